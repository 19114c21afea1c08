/** A worker that dies after an ask: its query is asked again after the lease, and what it tells late is judged fairly. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Session } from '../../clients/typescript/src/session.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { type StartedProcess, sleep, startProcess } from '../server-process.js'

const CLIENT = new URL('../../dist/clients/typescript/src/index.js', import.meta.url).href
/** Seconds. */
const LEASE = 1

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

/** A process that asks for one query, and is killed before it answers. Returns the query's id. */
async function dyingWorker(session: Session): Promise<string> {
  const script = `
    const { Client } = await import(${JSON.stringify(CLIENT)})
    const session = new Client(${JSON.stringify(server.target)}).session(${JSON.stringify(session.name)})
    const { queries } = await session.ask(1, { worker: 'doomed' })
    process.stdout.write(queries[0].id)
    setInterval(() => {}, 1000)`
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const id = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(String(data)))
    child.once('exit', (code) => reject(new Error(`the worker ended by ${code}`)))
  })
  child.kill('SIGKILL')
  return id
}

const SPACES = {
  random: {
    kind: {
      case: 'search' as const,
      value: { parameters: [{ name: 'x', type: { case: 'float' as const, value: { low: 0, high: 1 } } }] },
    },
  },
  adam: {
    kind: { case: 'tensors' as const, value: { tensors: [{ name: 'w', shape: [2n], dtype: 1 }] } },
  },
}
const OBSERVED = { random: { values: [0.5] }, adam: { gradients: [{ w: Float32Array.of(1, -1) }] } }

describe.each(['random', 'adam'] as const)('%s', (method) => {
  const open = async () => {
    const request = {
      session: { method, seed: 1n, space: SPACES[method], lease: { seconds: BigInt(LEASE), nanos: 0 } },
    }
    return new Session(transport, (await transport.unary(transport.methods.createSession, request)).name)
  }
  const found = (queryId: string) => ({ queryId, ...OBSERVED[method] })
  const told = async (session: Session) => Number((await session.get()).counts?.told)

  it('is asked again with the next attempt, once the lease has ended and not before', async () => {
    const session = await open()
    const id = await dyingWorker(session)
    const asked = await session.get()
    const early = await session.ask(1, { worker: 'second' })
    // The server's clock says whether the lease had ended; its own is the only one that counts.
    const leased = Number(early.queries[0]?.id === id)
    if (leased === 0 && method === 'adam') {
      expect(early.short).toBeTruthy()
      expect(early.retryAfter).toBeGreaterThan(0)
      expect(early.retryAfter).toBeLessThanOrEqual(LEASE)
    }
    const again = leased ? early : await session.ask(1, { worker: 'second', wait: method === 'adam' ? 10 : 0 })
    const retaken = async () => {
      let answer = again
      for (let i = 0; i < 100 && answer.queries[0]?.id !== id; i++) {
        await sleep(100)
        answer = await session.ask(1, { worker: 'second' })
      }
      return answer.queries[0]
    }
    const query = await retaken()
    expect(query).toMatchObject({ id, attempt: 2 })
    const before = await told(session)
    await session.tell(found(id))
    expect(await told(session)).toBe(before + 1)
    expect(Number(asked.counts?.asked)).toBe(1)
  })

  it('a tell after the lease is taken while the query is open, and refused once another has answered', async () => {
    const session = await open()
    const id = await dyingWorker(session)
    await sleep(LEASE * 1000 + 50)
    const { queries } = await session.ask(1, { worker: 'second' })
    expect(queries[0]).toMatchObject({ id, attempt: 2 })
    // Late, from the first worker: the query is still open.
    await session.tell(found(id), { requestId: 'late' })
    const before = await session.get()
    await expect(session.tell(found(id), { requestId: 'second' })).rejects.toMatchObject({
      reason: 'QUERY_RESOLVED',
      issues: [{ path: 'observations[0].query_id' }],
    })
    const after = await session.get()
    expect([after.revision, after.stateHash]).toEqual([before.revision, before.stateHash])
    expect(await told(session)).toBe(1)
  })

  it('outlives the server: the lease ends after a restart too', async () => {
    const session = await open()
    const id = await dyingWorker(session)
    await server.restart()
    await sleep(LEASE * 1000)
    const { queries } = await session.ask(1, { worker: 'second' })
    expect(queries[0]).toMatchObject({ id, attempt: 2 })
  })
})

it('a report renews the lease of a worker that is slow but alive', async () => {
  const request = {
    session: { method: 'random', seed: 1n, space: SPACES.random, lease: { seconds: 2n, nanos: 0 } },
  }
  const session = new Session(transport, (await transport.unary(transport.methods.createSession, request)).name)
  const { queries } = await session.ask(1, { worker: 'slow' })
  for (let step = 1; step <= 4; step++) {
    await sleep(700)
    await session.report(queries[0], step, 1 / step)
  }
  const other = await session.ask(1, { worker: 'second' })
  expect(other.queries[0].id).not.toBe(queries[0].id)
})
