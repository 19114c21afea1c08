/** Points that lie in a session's state, when another client tells before they are sent. */
import { create } from '@bufbuild/protobuf'
import { ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { expect, it } from 'vitest'
import { AskRequestSchema, StepResponseSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import type { Call } from '../../src/server/call.js'
import { Steps } from '../../src/server/steps.js'
import { Telemetry } from '../../src/server/telemetry.js'
import { createSessions } from '../../src/sessions/index.js'
import { silent } from './clients.js'

it('a query that another client answers meanwhile comes without tensors of a later state', async () => {
  const sessions = await createSessions({ store: { kind: 'memory' }, engine: 'interpreter', threads: 0 })
  const telemetry = new Telemetry(silent, trace.getTracer('test'), () => 0)
  const tensors = [{ name: 'w', shape: [2], dtype: 'f64' as const }]
  await sessions.create(
    { method: 'sgd', problem: { space: { kind: 'tensors', tensors }, objectives: [] } },
    { id: 'a' },
  )
  let tells = 0
  const steps = new Steps(
    {
      ...sessions,
      get: sessions.get.bind(sessions),
      view: sessions.view.bind(sessions),
      async step(id, input) {
        const result = await sessions.step(id, input)
        for (const { id: queryId } of result.queries.slice(0, tells)) {
          const gradients = [{ w: Float64Array.of(1, 1) }]
          await sessions.step(id, { observations: [{ queryId, status: 'ok', gradients }], count: 0 })
        }
        return result
      },
    },
    telemetry,
    2 ** 31,
  )
  const { signal } = new AbortController()
  const call = { signal, draining: signal, trace: ROOT_CONTEXT } as Call
  const ask = (more: object = {}) => steps.ask(create(AskRequestSchema, { name: 'sessions/a', ...more }), call)
  tells = 1
  const answer = create(StepResponseSchema, await ask({ requestId: 'r' }))
  expect(answer.queries).toEqual([])
  expect(answer.short?.reason).toBe('1 of 1 queries have been answered since, and their points are gone')
  tells = 0
  expect(await ask({ requestId: 'r' })).toMatchObject({ queries: [], repeatedRequest: true })
  expect(create(StepResponseSchema, await ask()).queries.map(({ points }) => points[0].kind.case)).toEqual(['tensors'])
  await sessions.close()
})
