/** A hundred thousand bad messages over both transports: each is refused and located, nothing changes, nothing grows. */
import { Agent, request } from 'node:http'
import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type RunningServer, startServer } from '../../src/server/index.js'
import { Grpc, refusal } from '../server/clients.js'
import { draws } from '../server-process.js'
import {
  type BadMessage,
  type BadRequest,
  brokenBytes,
  brokenHttp,
  type HttpRequest,
  type Targets,
  toHttp,
  wrongFieldMaker,
} from './bad-messages.js'

const PER_TRANSPORT = Number(process.env.CHAOS_MESSAGES ?? 100_000) / 2
const IN_FLIGHT = 64
/** Bytes that the heap may grow by while nothing is kept. */
const GROWTH = 48 << 20

let server: RunningServer
let grpc: Grpc
const targets: Targets = { search: 'search', tensors: 'tensors', ranking: 'ranking', text: 'text' }
const queries = {} as Targets
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
const unhandled: unknown[] = []
const onUnhandled = (error: unknown) => unhandled.push(error)

const TENSORS = [
  { name: 'a', shape: [3n], dtype: 1 },
  { name: 'b', shape: [2n, 2n], dtype: 1 },
]
const SESSIONS: { [K in keyof Targets]: object } = {
  search: {
    method: 'random',
    space: {
      kind: {
        case: 'search',
        value: { parameters: [{ name: 'x0', type: { case: 'float', value: { low: 0, high: 1 } } }] },
      },
    },
  },
  tensors: { method: 'adam', space: { kind: { case: 'tensors', value: { tensors: TENSORS } } } },
  ranking: { method: 'zo-rank-sgd', space: { kind: { case: 'tensors', value: { tensors: TENSORS } } } },
  text: {
    method: 'opro',
    space: { kind: { case: 'text', value: { components: [{ name: 'prompt', initial: 'Say it.' }] } } },
    objectives: [{ name: 'accuracy', direction: 2 }],
    task: { description: 'Say it well.', examples: [{ input: 'a', expected: 'b' }] },
  },
}

beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled)
  const config = configSchema.parse({ grpcPort: 0, httpPort: 0, store: 'memory', drainSeconds: 1 })
  server = await startServer(config, { log: pino({ level: 'silent' }), onReady: () => {} })
  grpc = new Grpc(server.grpcPort)
  for (const [key, session] of Object.entries(SESSIONS)) {
    const id = targets[key as keyof Targets]
    await grpc.unary('createSession', { session: { ...session, seed: 1n }, sessionId: id } as never)
    // A first observation, so that there is something to lose.
    if (key === 'search') {
      const [{ id: queryId }] = (await grpc.unary('ask', { name: `sessions/${id}` })).queries
      await grpc.unary('tell', { name: `sessions/${id}`, observations: [{ queryId, values: [{ values: [1] }] }] })
    }
    queries[key as keyof Targets] = (await grpc.unary('ask', { name: `sessions/${id}` })).queries[0].id
  }
  // One whose query wants a completion.
  for (let i = 0; i < 10; i++) {
    const name = `sessions/${targets.text}`
    const open = (await grpc.unary('ask', { name })).queries[0]
    if (open) queries.text = open.id
    else break
  }
})
afterAll(async () => {
  process.off('unhandledRejection', onUnhandled)
  agent.destroy()
  grpc.client.close()
  await server.close()
})

/** All that a message could have changed. */
async function world() {
  const { sessions } = await grpc.unary('listSessions', {})
  const all = await Promise.all(sessions.map(({ name }) => grpc.unary('getSession', { name })))
  return all.map(({ name, revision, stateHash, updateTime, counts }) => ({
    name,
    revision,
    stateHash,
    updateTime,
    counts,
  }))
}

v8.setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
function heap(): number {
  collect()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

type Answer = { ok: boolean; reason: string; failed: boolean; paths: readonly string[]; detail: string }

async function overGrpc({ rpc, bytes }: BadMessage): Promise<Answer> {
  try {
    await grpc.unary(rpc, bytes)
    return { ok: true, reason: '', failed: false, paths: [], detail: '' }
  } catch (error) {
    const { code, reason, paths, message } = refusal(error)
    const failed = [2, 13, 14, 15].includes(code) || reason === '' || reason === 'INTERNAL'
    return { ok: false, reason, failed, paths, detail: `${code} ${reason} ${message}` }
  }
}

const overHttp = ({ verb, path, body, headers }: HttpRequest): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.httpPort, agent, method: verb, path, headers }
    const sent = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const status = response.statusCode ?? 0
        const text = Buffer.concat(chunks).toString()
        if (status < 400) return resolve({ ok: true, reason: '', failed: false, paths: [], detail: text })
        const problem = response.headers['content-type']?.startsWith('application/problem+json') ? JSON.parse(text) : {}
        const { code = '', errors = [] } = problem
        const failed = (status >= 500 && status !== 501) || code === '' || code === 'INTERNAL'
        const paths = errors.map((error: { path: string }) => error.path)
        resolve({ ok: false, reason: code, failed, paths, detail: `${status} ${text}` })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })

/** Sends so many messages, several at a time; returns what was wrong with the answers. */
async function bombard(total: number, next: () => { bad: BadMessage | BadRequest; send: () => Promise<Answer> }) {
  const wrong: string[] = []
  const reasons = new Map<string, number>()
  let sent = 0
  let early = 0
  const before = await world()
  const worker = async () => {
    while (sent < total && wrong.length < 20) {
      if (++sent === Math.ceil(total / 10)) early = heap()
      const { bad, send } = next()
      const answer = await send()
      reasons.set(answer.reason, (reasons.get(answer.reason) ?? 0) + 1)
      const said = `${bad.what}${'rpc' in bad ? ` (${bad.rpc})` : ''}: ${answer.detail.slice(0, 300)}`
      if (answer.ok) wrong.push(`accepted: ${said}`)
      else if (answer.failed) wrong.push(`failed: ${said}`)
      else if (bad.located && !answer.paths[0]) wrong.push(`not located: ${said}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  expect(wrong).toEqual([])
  expect(await world()).toEqual(before)
  expect(unhandled).toEqual([])
  const growth = heap() - early
  console.log(
    `${sent} messages refused, the heap grew by ${(growth / 2 ** 20).toFixed(1)} MiB`,
    Object.fromEntries(reasons),
  )
  expect(growth).toBeLessThan(GROWTH)
  return reasons
}

describe('bad messages', { timeout: 600_000 }, () => {
  it(`${PER_TRANSPORT} over gRPC`, async () => {
    const d = draws(11)
    const wrongField = wrongFieldMaker(targets, queries, d)
    const reasons = await bombard(PER_TRANSPORT, () => {
      const bad = d.uniform(0, 1) < 0.5 ? wrongField() : brokenBytes(targets, d)
      return { bad, send: () => overGrpc(bad) }
    })
    expect([...reasons.keys()]).toEqual(
      expect.arrayContaining([
        'MALFORMED',
        'INVALID_ARGUMENT',
        'OBSERVATION_INVALID',
        'SPACE_INVALID',
        'QUERY_NOT_FOUND',
      ]),
    )
  })

  it(`${PER_TRANSPORT} over HTTP`, async () => {
    const d = draws(12)
    const wrongField = wrongFieldMaker(targets, queries, d)
    const json = ({ rpc, json = {} }: BadMessage): HttpRequest | undefined => {
      const http = toHttp(rpc, json)
      return (
        http && {
          ...http,
          body: http.body && Buffer.from(JSON.stringify(http.body)),
          headers: http.body ? { 'content-type': 'application/json' } : {},
        }
      )
    }
    /** Broken bytes as they are, where the address names what they are about. */
    const binary = ({ rpc, bytes }: BadMessage): HttpRequest => ({
      verb: 'POST',
      path: rpc === 'createSession' ? '/v1/sessions' : '/v1/sessions/nothing-of-this-name:tell',
      body: Buffer.from(bytes),
      headers: { 'content-type': 'application/x-protobuf' },
    })
    const reasons = await bombard(PER_TRANSPORT, () => {
      const draw = d.uniform(0, 1)
      if (draw < 0.45) {
        for (;;) {
          const bad = wrongField()
          const http = json(bad)
          if (http) return { bad, send: () => overHttp(http) }
        }
      }
      if (draw < 0.6) {
        const bad = brokenBytes(targets, d)
        const http = binary(bad)
        return { bad, send: () => overHttp(http) }
      }
      const bad = brokenHttp(targets, d)
      return { bad, send: () => overHttp(bad) }
    })
    expect([...reasons.keys()]).toEqual(
      expect.arrayContaining([
        'MALFORMED',
        'INVALID_ARGUMENT',
        'OBSERVATION_INVALID',
        'SPACE_INVALID',
        'ROUTE_NOT_FOUND',
      ]),
    )
  })
})
