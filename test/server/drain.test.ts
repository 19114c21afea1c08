import { describe, expect, it, vi } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import { closeOnSignals } from '../../src/server/index.js'
import type { StepResult } from '../../src/sessions/api.js'
import { createSessions } from '../../src/sessions/index.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import { refusal, refused, searchSession, start } from './clients.js'
import type { FakeSessions } from './fake-sessions.js'

const answer: StepResult = {
  revision: 1,
  queries: [],
  state: 'running',
  statusMessage: '',
  repeated: false,
  released: false,
}

const told = (queryId: string, value: number) => ({ queryId, values: [{ values: [value] }] })

describe('a server that drains', () => {
  it('finishes what is in flight, ends streams with UNAVAILABLE, takes nothing new, and closes its sessions', async () => {
    const h = await start()
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'd' })
    let finish = (_: StepResult) => {}
    h.sessions.override = () => new Promise((resolve) => (finish = resolve))
    const inFlight = h.grpc.unary('step', { name: 'sessions/d' })
    await vi.waitFor(() => expect(h.sessions.steps).toHaveLength(1))

    const ended = (call: NodeJS.EventEmitter) => new Promise((resolve) => call.on('error', (e) => resolve(refusal(e))))
    const watch = ended(h.grpc.serverStream('watch', { name: 'sessions/d', afterRevision: -1n }).resume())
    const optimize = ended(h.grpc.bidi('optimize').resume())
    const events = await fetch(`${h.url}/v1/sessions/d:watch?afterRevision=-1`)

    const closed = h.server.close()
    const unavailable = { code: 14, reason: 'UNAVAILABLE', message: 'draining, reconnect', retry: true }
    expect(await watch).toMatchObject(unavailable)
    expect(await optimize).toMatchObject(unavailable)
    const text = await events.text()
    expect(text).toContain('event: error')
    expect(text).toContain('draining, reconnect')
    expect(h.sessions.closed).toBe(false)

    finish(answer)
    expect((await inFlight).revision).toBe(1n)
    await closed
    expect(h.sessions.closed).toBe(true)
    h.grpc.client.close()
  })

  it('says so to probes and to calls on connections that are still open', async () => {
    const h = await start()
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'd' })
    let finish = (_: StepResult) => {}
    h.sessions.override = () => new Promise((resolve) => (finish = resolve))
    const inFlight = h.grpc.unary('step', { name: 'sessions/d' })
    await vi.waitFor(() => expect(h.sessions.steps).toHaveLength(1))
    const ready = async () => fetch(`${h.url}/readyz`)
    expect((await ready()).status).toBe(200)
    const closed = h.server.close()
    const response = await ready()
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({ ready: false, reasons: ['draining'] })
    expect((await fetch(`${h.url}/v1/sessions/d`)).headers.get('retry-after')).toBe('1')
    expect(await refused(h.grpc.unary('getSession', { name: 'sessions/d' }))).toMatchObject({ code: 14 })
    finish(answer)
    await inFlight
    await closed
    h.grpc.client.close()
  })

  it('cuts a wait short, and what does not end by itself when the time is up', async () => {
    const h = await start({ drainSeconds: 0.3 })
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'd' })
    h.sessions.override = (_id, { signal, wait }) =>
      new Promise((resolve, reject) => {
        if (!wait) return
        signal?.addEventListener('abort', () => reject(new AsktellError('CANCELLED', 'cancelled')))
        void resolve
      })
    const waiting = refused(h.grpc.unary('ask', { name: 'sessions/d', wait: { seconds: 60n } }))
    const stuck = refused(h.grpc.unary('ask', { name: 'sessions/d' }))
    await vi.waitFor(() => expect(h.sessions.steps).toHaveLength(2))
    await h.server.close()
    expect(await waiting).toMatchObject({ code: 14, reason: 'UNAVAILABLE' })
    expect((await stuck).code).not.toBe(0)
    h.grpc.client.close()
  })

  it('ends a wait with UNAVAILABLE, and the same request goes on with it at the next server', async () => {
    const store = new MemoryStore()
    const begin = async () => start({}, { sessions: (await createSessions({ store, threads: 0 })) as FakeSessions })
    const name = 'sessions/w'
    let h = await begin()
    await h.grpc.unary('createSession', {
      session: { ...searchSession, budget: { maxEvaluations: 2n } },
      sessionId: 'w',
    })
    await h.grpc.unary('ask', { name, count: 2, worker: 'a' })
    const wait = { seconds: 60n }
    const ask = { name, wait, worker: 'b', requestId: 'r1' }
    const step = { name, wait, worker: 'c', requestId: 'r2', observations: [told('q0', 1)] }
    const untold = { ...step, requestId: '', observations: [] }
    const waiting = [h.grpc.unary('ask', ask), h.grpc.unary('step', step), h.grpc.unary('step', untold)]
    const ended = Promise.all(waiting.map(refused))
    await vi.waitFor(async () => expect((await h.grpc.unary('getSession', { name })).counts?.told).toBe(1n))
    await h.server.close()
    h.grpc.client.close()
    for (const refusal of await ended) expect(refusal).toMatchObject({ code: 14, reason: 'UNAVAILABLE', retry: true })

    h = await begin()
    const again = [h.grpc.unary('ask', ask), h.grpc.unary('step', step)]
    await h.grpc.unary('updateSession', {
      session: { name, budget: { maxEvaluations: 4n } },
      updateMask: { paths: ['budget'] },
    })
    const ids = (await Promise.all(again)).flatMap(({ queries }) => queries.map(({ id }) => id))
    expect(ids.sort()).toEqual(['q2', 'q3'])
    const { queries, repeatedRequest } = await h.grpc.unary('ask', ask)
    expect([repeatedRequest, queries.length]).toEqual([true, 1])
    expect((await h.grpc.unary('getSession', { name })).counts?.told).toBe(1n)
    await h.server.close()
    h.grpc.client.close()
  })

  it('closes on the first signal and exits at once on the second', async () => {
    let finish = () => {}
    const server = { host: '', grpcPort: 0, httpPort: 0, close: vi.fn(() => new Promise<void>((r) => (finish = r))) }
    const exit = vi.fn()
    closeOnSignals(server, exit)
    process.emit('SIGTERM')
    expect(server.close).toHaveBeenCalledOnce()
    expect(exit).not.toHaveBeenCalled()
    process.emit('SIGINT')
    expect(exit).toHaveBeenCalledWith(1)
    finish()
    await vi.waitFor(() => expect(exit).toHaveBeenCalledWith(0))
    process.removeAllListeners('SIGTERM')
    process.removeAllListeners('SIGINT')
  })
})
