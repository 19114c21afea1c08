/** Seeds in place of vectors, through the real transport: what a step sends does not grow with the tensors. */
import { create, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../clients/typescript/src/client.js'
import { SeededIterate } from '../../clients/typescript/src/seeded.js'
import { search, tensors } from '../../clients/typescript/src/space.js'
import type { Move } from '../../src/core/gen/asktell/v1/query_pb.js'
import { Asktell, OptimizeRequestSchema, type StepResponse } from '../../src/core/gen/asktell/v1/service_pb.js'
import { configSchema } from '../../src/server/config.js'
import { type RunningServer, startServer } from '../../src/server/index.js'
import { Grpc, silent } from './clients.js'

let server: RunningServer
let grpc: Grpc
let client: Client
beforeAll(async () => {
  const config = configSchema.parse({ grpcPort: 0, httpPort: 0, store: 'memory', drainSeconds: 1 })
  server = await startServer(config, { log: silent, onReady: () => {} })
  grpc = new Grpc(server.grpcPort)
  client = new Client(`127.0.0.1:${server.grpcPort}`)
})
afterAll(async () => {
  client.close()
  grpc.client.close()
  await server.close()
})

const moveOf = ({ seed, scale }: Move) => ({ seed: seed.value ?? 0, scale, rademacher: seed.case === 'signs' })

/** The squared distance to ones, where no element counts twice. */
const loss = (x: Float32Array) => x.reduce((sum, v) => sum + (v - 1) ** 2, 0) / x.length

it.each([10, 100_000])('a step over %i parameters sends under 100 bytes each way', async (n) => {
  const sessionId = `seeded-${n}`
  const space = {
    kind: { case: 'tensors' as const, value: { tensors: [{ name: 'x', shape: [BigInt(n)], dtype: 1 }] } },
  }
  const config = { learningRate: 0.1, distribution: 'rademacher' }
  await grpc.unary('createSession', { sessionId, session: { method: 'mezo', space, config } as never })
  const iterate = new SeededIterate({ x: new Float32Array(n) })
  const call = grpc.bidi('optimize')
  const answer = () => new Promise<StepResponse>((resolve) => call.once('data', resolve))
  call.send({ message: { case: 'step', value: { name: `sessions/${sessionId}` } } })
  for (let i = 0; i < 5; i++) {
    const response = await answer()
    expect(toBinary(Asktell.method.optimize.output, response).length).toBeLessThan(100)
    const [{ id, points, iterate: at }] = response.queries
    expect(points.map(({ kind }) => kind.case)).toEqual(['seeded', 'seeded'])
    iterate.follow({ iterate: { step: Number(at!.step), last: at!.last.map(moveOf) } })
    const values = points.map(({ kind }) => ({
      values: [loss(iterate.at({ seeded: { move: moveOf(kind.value as Move), alone: false } }).x as Float32Array)],
    }))
    const request = create(OptimizeRequestSchema, {
      message: { case: 'step', value: { observations: [{ queryId: id, values } as never] } },
    })
    expect(toBinary(OptimizeRequestSchema, request).length).toBeLessThan(100)
    call.write(toBinary(OptimizeRequestSchema, request))
  }
  call.end()
})

it('a client trains by values alone, goes on from an estimate, and the server has the same parameters', async () => {
  const n = 40
  const session = await client.createSession({
    method: 'mezo',
    space: tensors({ x: new Float32Array(n).fill(0.5) }),
    config: { learningRate: 0.5, distribution: 'rademacher' },
    seed: 3,
  })
  const play = async (iterate: SeededIterate, steps: number) => {
    let { queries } = await session.ask()
    for (let i = 0; i < steps; i++) {
      iterate.follow(queries[0])
      const values = queries[0].points.map((point) => loss(iterate.at(point).x as Float32Array))
      ;({ queries } = await session.step({ observations: [{ queryId: queries[0].id, values }] }))
    }
    await session.tell([{ queryId: queries[0].id, status: 'cancelled' }])
    return queries[0]
  }
  const first = new SeededIterate({ x: new Float32Array(n).fill(0.5) })
  const before = loss(first.tensors.x as Float32Array)
  const last = await play(first, 60)
  first.follow(last)
  const { points, step } = await session.estimate()
  expect(step).toBe(60)
  expect(points[0].point.tensors).toEqual(first.tensors)
  const late = new SeededIterate({ x: new Float32Array(n) })
  expect(() => late.follow(last)).toThrow('the query is at step 60, the iterate at 0: begin from the estimate')
  const second = new SeededIterate({ x: (points[0].point.tensors!.x as Float32Array).slice() }, step)
  await play(second, 200)
  expect(loss(second.tensors.x as Float32Array)).toBeLessThan(before / 100)
})

it('points that are made of seeds are asked, and never told', async () => {
  const session = await client.createSession({
    method: 'random',
    space: search({ x: { type: 'float', low: 0, high: 1 } }),
  })
  const point = { kind: { case: 'seeded' as const, value: { scale: 1 } } }
  const told = grpc.unary('tell', { name: session.name, observations: [{ point, values: [{ values: [1] }] }] } as never)
  await expect(told).rejects.toMatchObject({
    details: expect.stringContaining('expected one of tensors, params, text, item'),
  })
})
