/** Large tensors on their way in and out of a session's own memory, while others change the session. */
import { connect } from 'node:http2'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client, tensors } from '../../clients/typescript/src/index.js'
import { AskRequestSchema, StepResponseSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { type StartedProcess, sleep, startProcess } from '../server-process.js'
import { Grpc } from './clients.js'

const N = 1 << 20
/** Elements of more than the server puts on its way to a reader ahead. */
const MANY = 4 * N
/** Elements of a chunk. */
const CHUNK = 1 << 17

let server: StartedProcess
let client: Client
let grpc: Grpc
beforeAll(async () => {
  server = await startProcess()
  client = new Client(server.target)
  grpc = new Grpc(server.grpcPort)
})
afterAll(async () => {
  client.close()
  grpc.client.close()
  await server.stop()
})

const session = (id: string, method: string, config: { learningRate?: number } = {}, n = N) =>
  client.createSession({
    id,
    method,
    config,
    seed: 1,
    space: tensors({ w: new Float32Array(n) }),
    direction: 'minimize',
  })
const gradient = (step: number) => Float32Array.from({ length: N }, (_, i) => Math.sin(i * (step + 1)))

/** An Ask on a connection of its own that reads its answer when it is told to. */
async function slowAsk(name: string) {
  const connection = connect(`http://${server.target}`)
  const headers = {
    ':method': 'POST',
    ':path': '/asktell.v1.Asktell/Ask',
    'content-type': 'application/grpc',
    te: 'trailers',
  }
  const call = connection.request(headers)
  const message = toBinary(AskRequestSchema, create(AskRequestSchema, { name }))
  const header = Buffer.alloc(5)
  header.writeUInt32BE(message.length, 1)
  call.end(Buffer.concat([header, message]))
  // Headers go out with the answer: from here on it waits for the reader.
  await new Promise((resolve) => call.once('response', resolve))
  return async () => {
    const pieces: Buffer[] = []
    for await (const piece of call) pieces.push(piece)
    connection.close()
    return fromBinary(StepResponseSchema, Buffer.concat(pieces).subarray(5))
  }
}

it('a reader that is slow gets the parameters of its query, whatever is told meanwhile', async () => {
  await session('slow', 'sgd', { learningRate: 1 }, MANY)
  const read = await slowAsk('sessions/slow')
  await sleep(100)
  const told = client.session('slow')
  const [query] = (await told.ask(1, { worker: 'other' })).queries.concat({ id: 'g1' } as never)
  const after = await told.step({
    observations: [{ queryId: query.id, gradients: [{ w: new Float32Array(MANY).fill(1) }] }],
  })
  expect((after.queries[0].points[0].tensors!.w as Float32Array)[MANY - 1]).toBe(-1)
  const late = await read()
  const { value } = late.queries[0].points[0].kind
  const { data } = (value as { tensors: { data: Uint8Array }[] }).tensors[0]
  expect(data.length).toBe(4 * MANY)
  expect(data.every((byte) => byte === 0)).toBe(true)
})

it('a gradient in chunks is the gradient in one piece', async () => {
  const states = []
  for (const [id, pieces] of [
    ['whole', false],
    ['chunks', true],
  ] as const) {
    const own = await session(id, 'adam')
    const stream = own.stream()
    const step = pieces ? stream.step : own.step.bind(own)
    let { queries } = await step({})
    for (let t = 0; t < 3; t++)
      ({ queries } = await step({ observations: [{ queryId: queries[0].id, gradients: [{ w: gradient(t) }] }] }))
    stream.close()
    states.push((await own.get()).stateHash)
  }
  expect(states[1]).toBe(states[0])
})

it('chunks that stay away or come for a query that another has answered change nothing', async () => {
  const open = (name: string) => {
    const call = grpc.bidi('optimize')
    const events: unknown[] = []
    for (const event of ['data', 'error']) call.on(event, (value) => events.push(value))
    const next = async <T>() => {
      while (events.length === 0) await sleep(5)
      return events.shift() as T
    }
    call.send({ message: { case: 'step', value: { name, count: 1, omitTensors: true } } })
    const chunks = (g: Float32Array, queryId: string, from: number, to: number) => {
      for (let at = from; at < to; at += CHUNK) {
        const data = new Uint8Array(g.buffer, 4 * at, 4 * CHUNK)
        call.send({ message: { case: 'chunk', value: { queryId, tensor: { name: 'w', data, offset: BigInt(at) } } } })
      }
    }
    const tell = (queryId: string) =>
      call.send({ message: { case: 'step', value: { observations: [{ queryId }], count: 1, omitTensors: true } } })
    return { call, next, chunks, tell }
  }
  type Answer = { queries: { id: string }[]; details?: string }

  for (const name of ['raced', 'calm']) await session(name, 'adam')
  const [first, second, calm] = ['raced', 'raced', 'calm'].map((name) => open(`sessions/${name}`))
  const [{ id }] = (await first.next<Answer>()).queries
  await second.next()
  await calm.next()

  first.chunks(gradient(7), id, 0, N / 2)
  await sleep(50)
  second.chunks(gradient(0), id, 0, N)
  second.tell(id)
  const [{ id: nextId }] = (await second.next<Answer>()).queries
  // The first goes on where the second has written already.
  second.chunks(gradient(1), nextId, N / 2, N)
  await sleep(100)
  first.chunks(gradient(7), id, N / 2, N)
  await sleep(100)
  second.chunks(gradient(1), nextId, 0, N / 2)
  second.tell(nextId)
  await second.next()
  first.tell(id)
  expect((await first.next<Answer>()).details).toContain('has been answered')

  let query = id
  for (const t of [0, 1]) {
    calm.chunks(gradient(t), query, 0, N)
    calm.tell(query)
    query = (await calm.next<Answer>()).queries[0].id
  }
  const hash = async (name: string) => (await client.session(name).get()).stateHash
  expect(await hash('raced')).toBe(await hash('calm'))
  for (const { call } of [second, calm]) call.end()
})
