/** Snapshot durability: a kill takes the session back to the step it promised, and no further; it goes on bit for bit. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Query } from '../../clients/typescript/src/query.js'
import { Session } from '../../clients/typescript/src/session.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { type StartedProcess, startProcess } from '../server-process.js'

const STEPS = 250

let server: StartedProcess
let transport: Transport
beforeAll(async () => {
  server = await startProcess()
  transport = new Transport(server.target)
})
afterAll(async () => {
  transport.close()
  await server.stop()
})

/** A gradient that differs from step to step. */
const gradient = ({ id, points }: Query) => {
  const { w } = points[0].tensors!
  const step = Number(id.match(/\d+/)?.[0])
  return { queryId: id, gradients: [{ w: w.map((x, i) => x - i + Math.sin(step)) as Float32Array }] }
}
const shown = ({ id, points }: Query) => [id, [...points[0].tensors!.w]]

it('resumes from the step it promised', async () => {
  const { name } = await transport.unary(transport.methods.createSession, {
    session: {
      method: 'adam',
      seed: 1n,
      durability: 2,
      space: { kind: { case: 'tensors', value: { tensors: [{ name: 'w', shape: [3n], dtype: 1 }] } } },
    },
  })
  const session = new Session(transport, name)
  const asked: unknown[] = []
  let promised = 0
  let [query] = (await session.ask()).queries
  for (let step = 0; step < STEPS; step++) {
    asked.push(shown(query))
    const answer = await session.step({ observations: [gradient(query)] })
    promised = answer.durableStep!
    query = answer.queries[0]
  }
  expect(promised).toBeGreaterThan(0)

  await server.restart()
  const { step } = await session.estimate()
  expect(step).toBeGreaterThanOrEqual(promised)
  expect(step).toBeLessThan(STEPS)
  const again: unknown[] = []
  ;[query] = (await session.ask()).queries
  for (let at = step; at < STEPS; at++) {
    again.push(shown(query))
    query = (await session.step({ observations: [gradient(query)] })).queries[0]
  }
  expect(again).toEqual(asked.slice(step))
})
