/** The same tell more than once, at the same time, after a restart and with another body, over both transports. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AsktellError } from '../../clients/typescript/src/errors.js'
import { Session } from '../../clients/typescript/src/session.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { type StartedProcess, sleep, startProcess } from '../server-process.js'

let server: StartedProcess
const connections: Transport[] = []
beforeAll(async () => {
  server = await startProcess()
  // grpc-js shares connections by the text of the target: these are two.
  for (const name of ['127.1.0.1', '127.1.0.2']) connections.push(new Transport(`dns://${name}/${server.target}`))
})
afterAll(async () => {
  for (const connection of connections) connection.close()
  await server.stop()
})

type Outcome = { revision: number; repeated: boolean } | { refused: string }
/** Tells a value of a query; `way` picks one of several connections. */
type Tell = (session: string, query: string, value: number, requestId: string, way: number) => Promise<Outcome>

const overGrpc: Tell = async (session, queryId, value, requestId, way) => {
  try {
    const handle = new Session(connections[way % 2], session)
    const { revision, repeated } = await handle.tell({ queryId, values: [value] }, { requestId })
    return { revision, repeated }
  } catch (error) {
    if (error instanceof AsktellError) return { refused: error.reason }
    throw error
  }
}
const overHttp: Tell = async (session, queryId, value, requestId) => {
  const response = await fetch(`${server.url}/v1/${session}:tell`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': requestId },
    body: JSON.stringify({ observations: [{ queryId, values: [{ values: [value] }] }] }),
  })
  const body = await response.json()
  if (body.code) {
    expect(response.status).toBe(body.status)
    return { refused: body.code }
  }
  return { revision: Number(body.revision), repeated: body.repeatedRequest ?? false }
}
const overBoth: Tell = (...args) => (args[4] % 2 === 0 ? overGrpc : overHttp)(...args)

const refusal = { refused: 'REQUEST_ID_REUSED' }

describe.each([
  ['gRPC', overGrpc],
  ['HTTP', overHttp],
  ['both', overBoth],
] as const)('over %s', (_, tell) => {
  let session: string
  let query: string
  const state = async () => {
    const { counts, revision, stateHash } = await new Session(connections[0], session).get()
    return { told: Number(counts?.told), revision: Number(revision), stateHash }
  }
  beforeEach(async () => {
    const info = await connections[0].unary(connections[0].methods.createSession, {
      session: {
        method: 'tpe',
        seed: 1n,
        space: {
          kind: {
            case: 'search',
            value: { parameters: [{ name: 'x', type: { case: 'float', value: { low: 0, high: 1 } } }] },
          },
        },
      },
    })
    session = info.name
    query = (await new Session(connections[0], session).ask(2)).queries[0].id
  })

  it('one after the other: the stored answer', async () => {
    const first = await tell(session, query, 1, 'a', 0)
    expect(first).toMatchObject({ repeated: false })
    const before = await state()
    expect(before.told).toBe(1)
    for (const way of [1, 2, 3]) expect(await tell(session, query, 1, 'a', way)).toEqual({ ...first, repeated: true })
    expect(await state()).toEqual(before)
  })

  it('at the same time: applied once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 16 }, (_, way) => tell(session, query, 1, 'a', way)))
    const [first] = outcomes.filter((outcome) => 'repeated' in outcome && !outcome.repeated)
    expect(outcomes.filter((outcome) => 'repeated' in outcome && !outcome.repeated)).toHaveLength(1)
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ revision: (first as { revision: number }).revision })
    expect((await state()).told).toBe(1)
  })

  it('after a restart: the stored answer', async () => {
    const first = await tell(session, query, 1, 'a', 0)
    const before = await state()
    await server.restart()
    expect(await tell(session, query, 1, 'a', 1)).toEqual({ ...first, repeated: true })
    expect(await tell(session, query, 2, 'a', 1)).toEqual(refusal)
    expect(await state()).toEqual(before)
  })

  it('while the server is killed and comes back: applied once', async () => {
    const insist = async (way: number): Promise<Outcome> => {
      for (;;) {
        const outcome = await tell(session, query, 1, 'a', way).catch(() => undefined)
        if (outcome && !('refused' in outcome && outcome.refused === 'UNAVAILABLE')) return outcome
        await sleep(20)
      }
    }
    const outcomes = Promise.all([0, 1, 2, 3].map(insist))
    await server.restart()
    const revisions = (await outcomes).map((outcome) => (outcome as { revision: number }).revision)
    expect(new Set(revisions).size).toBe(1)
    expect((await state()).told).toBe(1)
  })

  it('with another body: refused, whether the first has ended or not', async () => {
    const outcomes = await Promise.all([0, 1, 2, 3].map((way) => tell(session, query, way, 'a', way)))
    expect(outcomes.filter((outcome) => 'revision' in outcome)).toHaveLength(1)
    expect(outcomes.filter((outcome) => 'refused' in outcome)).toEqual([refusal, refusal, refusal])
    const before = await state()
    expect(before.told).toBe(1)
    expect(await tell(session, query, 99, 'a', 0)).toEqual(refusal)
    expect(await state()).toEqual(before)
  })

  it('a tell that was refused has not used its id', async () => {
    expect(await tell(session, 'nothing', 1, 'a', 0)).toEqual({ refused: 'QUERY_NOT_FOUND' })
    expect(await tell(session, query, 1, 'a', 1)).toMatchObject({ repeated: false })
    expect((await state()).told).toBe(1)
  })

  it('another id for a query that was told: refused', async () => {
    await tell(session, query, 1, 'a', 0)
    const before = await state()
    expect(await tell(session, query, 1, 'b', 1)).toEqual({ refused: 'QUERY_RESOLVED' })
    expect(await state()).toEqual(before)
  })
})
