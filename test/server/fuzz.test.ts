/**
 * Bad messages by the thousand over both transports, against real sessions: each is refused with a reason that is not
 * the server's own failure, and no session changes. FUZZ_MESSAGES sets how many; 100,000 takes minutes.
 */
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import { configSchema } from '../../src/server/config.js'
import { type RunningServer, startServer } from '../../src/server/index.js'
import { Grpc, refused, searchSession, silent, tensorSession } from './clients.js'

const MESSAGES = Number(process.env.FUZZ_MESSAGES ?? 4000)
const AT_ONCE = 50

let server: RunningServer
let grpc: Grpc
beforeAll(async () => {
  server = await startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, store: 'memory', drainSeconds: 1 }), {
    log: silent,
    onReady: () => {},
  })
  grpc = new Grpc(server.grpcPort)
  await grpc.unary('createSession', { session: { ...searchSession, seed: 1n }, sessionId: 'search' })
  await grpc.unary('createSession', { session: { ...tensorSession([4]), seed: 1n }, sessionId: 'tensors' })
  await grpc.unary('ask', { name: 'sessions/search', count: 3 })
  await grpc.unary('ask', { name: 'sessions/tensors' })
})
afterAll(async () => {
  grpc.client.close()
  await server.close()
})

/** xorshift32: the same messages in every run. */
let word = 2463534242
const random = (n: number): number => {
  if (n === 0) return 0
  word ^= word << 13
  word ^= word >>> 17
  word ^= word << 5
  return (word >>> 0) % n
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)]

const { input } = Asktell.method.tell
/** None of these can be taken: they tell of queries that were never asked, or what does not fit. */
const SEEDS = [
  { name: 'sessions/search', observations: [{ queryId: 'never-asked', values: [{ values: [1, NaN] }] }] },
  {
    name: 'sessions/tensors',
    observations: [{ queryId: 'never', gradients: [{ tensors: [{ name: 'w', data: new Uint8Array(16) }] }] }],
  },
  { name: 'sessions/tensors', observations: [{ queryId: '', point: { kind: { case: 'item', value: 'x' } } }] },
  {
    name: 'sessions/search',
    observations: [{ queryId: 'not', ranking: { ties: [{ points: [0, 1] }] } }],
    expectedRevision: 99n,
  },
  {
    name: 'sessions/tensors',
    observations: [
      {
        queryId: 'no',
        products: [{ tensors: [{ name: 'w', data: new Uint8Array(16) }] }],
        quantities: [{ tensors: [{ name: 'J', dtype: 2, data: new Uint8Array(16) }] }],
      },
    ],
  },
  { name: 'sessions/none', observations: [{ queryId: 'no', scores: [{ score: 1, examples: [1], outputs: ['a'] }] }] },
] as const
const messages = SEEDS.map((seed) => create(input, seed as never))

function damagedBytes(): Uint8Array {
  const bytes = [...toBinary(input, pick(messages))]
  for (let n = 1 + random(4); n > 0; n--)
    switch (random(4)) {
      case 0:
        bytes[random(bytes.length)] = random(256)
        break
      case 1:
        bytes.splice(random(bytes.length), random(8))
        break
      case 2:
        bytes.splice(random(bytes.length), 0, ...Array.from({ length: random(8) }, () => random(256)))
        break
      default:
        bytes.length = random(bytes.length + 1)
    }
  return Uint8Array.from(bytes)
}

const ODD = [null, true, -1, 1e308, 'NaN', '', 'x', [], {}, [[]], { a: { b: [1] } }, '9223372036854775807', '__proto__']

function damagedJson(): string {
  const json = JSON.parse(JSON.stringify(toJson(input, pick(messages))))
  const nodes: [Record<string, unknown>, string][] = []
  const walk = (node: unknown) => {
    if (node === null || typeof node !== 'object') return
    for (const key of Object.keys(node)) {
      nodes.push([node as Record<string, unknown>, key])
      walk((node as Record<string, unknown>)[key])
    }
  }
  walk(json)
  const [node, key] = pick(nodes)
  if (random(3) === 0) delete node[key]
  else node[random(3) === 0 ? pick(['__proto__', 'constructor', 'unknown', 'query_id', 'values']) : key] = pick(ODD)
  const text = JSON.stringify(json)
  return random(4) === 0 ? text.slice(0, random(text.length)) : text
}

const unchanged = async () => {
  const { sessions } = await grpc.unary('listSessions', {})
  return Promise.all(
    sessions.map(async ({ name }) => {
      const { revision, stateHash, counts } = await grpc.unary('getSession', { name })
      return { name, revision, stateHash, counts }
    }),
  )
}

async function everyOne(count: number, refuse: () => Promise<string>) {
  const before = await unchanged()
  const seen = new Set<string>()
  for (let sent = 0; sent < count; sent += AT_ONCE)
    for (const reason of await Promise.all(Array.from({ length: AT_ONCE }, refuse))) seen.add(reason)
  expect(await unchanged()).toEqual(before)
  expect([...seen]).not.toContain('INTERNAL')
  expect([...seen]).not.toContain('')
  expect([...seen]).toContain('MALFORMED')
  expect([...seen]).toContain('QUERY_NOT_FOUND')
}

it('damaged bytes over gRPC', () =>
  everyOne(MESSAGES / 2, async () => (await refused(grpc.unary('tell', damagedBytes()))).reason))

it('damaged JSON over HTTP', () =>
  everyOne(MESSAGES / 2, async () => {
    const response = await fetch(
      `http://127.0.0.1:${server.httpPort}/v1/sessions/${pick(['search', 'tensors', 'none'])}:tell`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: damagedJson(),
      },
    )
    expect(response.ok).toBe(false)
    return (await response.json()).code
  }))
