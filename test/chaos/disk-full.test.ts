/** A disk that is full: writes are refused with a clear error, reads are served, and it goes on when there is room. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { AsktellError, toError } from '../../clients/typescript/src/errors.js'
import { Session } from '../../clients/typescript/src/session.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { AsktellError as ServerError } from '../../src/core/errors.js'
import { configSchema, startServer } from '../../src/server/index.js'
import { createSessions } from '../../src/sessions/index.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import { startProcess, temporaryDirectory } from '../server-process.js'

/** A file system of a few megabytes, or why there is none: mounting one takes a privilege. */
function smallDisk(size: string): { path: string; remove(): void } | { reason: string } {
  const directory = temporaryDirectory()
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory.path], { stdio: 'pipe' })
  } catch (error) {
    directory.remove()
    return { reason: `a small file system cannot be mounted here: ${(error as Error).message.trim()}` }
  }
  return {
    path: directory.path,
    remove() {
      execFileSync('umount', [directory.path])
      directory.remove()
    },
  }
}

/** Takes all the room that is left. */
function fill(path: string) {
  const file = openSync(path, 'a')
  try {
    for (let size = 1 << 20; size >= 1; )
      try {
        writeSync(file, Buffer.alloc(size))
      } catch {
        size >>= 1
      }
  } finally {
    closeSync(file)
  }
}

type Server = { target: string; url: string }

/** A session and what was acknowledged of it. */
class Ledger {
  readonly acknowledged = new Map<string, number>()
  constructor(readonly session: Session) {}

  static async open(transport: Transport) {
    const space = {
      kind: {
        case: 'search' as const,
        value: { parameters: [{ name: 'x', type: { case: 'float' as const, value: { low: 0, high: 1 } } }] },
      },
    }
    const request = { session: { method: 'tpe', seed: 3n, space } }
    const { name } = await transport.unary(transport.methods.createSession, request)
    return new Ledger(new Session(transport, name))
  }

  /** Tells one query with a message of so many bytes; the reason when it is refused. */
  async tell(queryId: string, bytes = 10): Promise<string | undefined> {
    const value = this.acknowledged.size / 10
    try {
      await this.session.tell(
        { queryId, values: [value], message: 'm'.repeat(bytes) },
        { requestId: `tell-${queryId}` },
      )
    } catch (thrown) {
      const error = toError(thrown)
      if (error instanceof AsktellError) return error.reason
      throw error
    }
    this.acknowledged.set(queryId, value)
    return undefined
  }

  /** All reads are served, and show what was acknowledged and no more. */
  async expectKept() {
    const { counts } = await this.session.get()
    expect(Number(counts?.told)).toBe(this.acknowledged.size)
    const values = new Map<string, number>()
    for await (const trial of this.session.trials('state = COMPLETED')) values.set(trial.queryId, trial.values[0])
    expect(values).toEqual(this.acknowledged)
    const best = (await this.session.estimate()).points[0]?.values[0]
    expect(best).toBe(this.acknowledged.size > 0 ? 0 : undefined)
  }
}

/** What both kinds of full disk must go through. */
async function survive({ target, url }: Server, full: () => void, room: () => void, whileFull = async () => {}) {
  const transport = new Transport(target, { retries: 0 })
  try {
    const ledger = await Ledger.open(transport)
    const ids = (await ledger.session.ask(40)).queries.map(({ id }) => id)
    for (const id of ids.slice(0, 10)) expect(await ledger.tell(id)).toBeUndefined()

    full()
    for (const id of ids.slice(10, 20)) expect(await ledger.tell(id, 100_000)).toBe('STORAGE_FULL')
    await ledger.expectKept()
    const overHttp = await fetch(`${url}/v1/${ledger.session.name}:tell`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        observations: [{ queryId: ids[20], values: [{ values: [1] }], message: 'm'.repeat(1e5) }],
      }),
    })
    expect(overHttp.status).toBe(507)
    expect(await overHttp.json()).toMatchObject({ code: 'STORAGE_FULL', status: 507 })
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    await whileFull()
    await ledger.expectKept()

    room()
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    // The same requests, sent again.
    for (const id of ids.slice(10, 30)) expect(await ledger.tell(id)).toBeUndefined()
    await ledger.expectKept()
    return ledger
  } finally {
    transport.close()
  }
}

describe('a disk that is full', () => {
  it('that a store reports', async () => {
    let isFull = false
    const store = new MemoryStore()
    const write = store.write.bind(store)
    store.write = async (writes) => {
      if (isFull) throw new ServerError('STORAGE_FULL', 'the disk that holds the store is full')
      return write(writes)
    }
    store.probe = async () => {
      if (isFull) throw new ServerError('STORAGE_FULL', 'the disk that holds the store is full')
    }
    const server = await startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, drainSeconds: 1 }), {
      log: pino({ level: 'silent' }),
      onReady: () => {},
      sessions: await createSessions({ store, threads: 0 }),
    })
    const at = { target: `127.0.0.1:${server.grpcPort}`, url: `http://127.0.0.1:${server.httpPort}` }
    try {
      await survive(
        at,
        () => {
          isFull = true
        },
        () => {
          isFull = false
        },
        async () => {
          expect((await fetch(`${at.url}/readyz`)).status).toBe(503)
        },
      )
    } finally {
      await server.close()
    }
  })

  it('that is really full, under a real server', async (context) => {
    const disk = smallDisk('16m')
    if ('reason' in disk) return context.skip(disk.reason)
    const server = await startProcess([], disk.path)
    try {
      const junk = join(disk.path, 'junk')
      const { session, acknowledged } = await survive(
        server,
        () => fill(junk),
        () => unlinkSync(junk),
      )
      await server.restart()
      const transport = new Transport(server.target)
      try {
        const kept = new Ledger(new Session(transport, session.name))
        for (const [id, value] of acknowledged) kept.acknowledged.set(id, value)
        await kept.expectKept()
      } finally {
        transport.close()
      }
    } finally {
      await server.stop()
      disk.remove()
    }
  })

  it('that the sessions fill themselves: refused from some tell on, and again readable after a restart', async (context) => {
    const disk = smallDisk('8m')
    if ('reason' in disk) return context.skip(disk.reason)
    const server = await startProcess([], disk.path)
    const transport = new Transport(server.target)
    try {
      const ledger = await Ledger.open(transport)
      const ids = (await ledger.session.ask(200)).queries.map(({ id }) => id)
      const refusals = new Set<string>()
      for (const id of ids) {
        const refused = await ledger.tell(id, 100_000)
        if (refused) refusals.add(refused)
      }
      expect([...refusals]).toEqual(['STORAGE_FULL'])
      expect(ledger.acknowledged.size).toBeGreaterThan(10)
      await ledger.expectKept()
      await server.restart()
      await ledger.expectKept()
    } finally {
      transport.close()
      await server.stop()
      disk.remove()
    }
  })
})
