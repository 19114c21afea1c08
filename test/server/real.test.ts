/** The real session layer behind the real transports. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { configSchema } from '../../src/server/config.js'
import { type RunningServer, startServer } from '../../src/server/index.js'
import { Grpc, json, refused, SEARCH, searchSession, silent, sse, tensorSession } from './clients.js'

const dataDir = mkdtempSync(join(tmpdir(), 'asktell-server-'))
let server: RunningServer
let grpc: Grpc
const open = async () => {
  server = await startServer(configSchema.parse({ grpcPort: 0, httpPort: 0, dataDir, drainSeconds: 1 }), {
    log: silent,
    onReady: () => {},
  })
  grpc = new Grpc(server.grpcPort)
}
const shut = async () => {
  grpc.client.close()
  await server.close()
}
beforeAll(open)
afterAll(async () => {
  await shut()
  rmSync(dataDir, { recursive: true })
})

it('a search over HTTP, told over gRPC, is there after a restart', async () => {
  const url = `http://127.0.0.1:${server.httpPort}`
  const created = await json(`${url}/v1/sessions`, 'POST', {
    session: { ...SEARCH, seed: '7', config: {} },
    sessionId: 'kept',
  })
  expect(created.status, await created.clone().text()).toBe(200)
  const asked = await (await json(`${url}/v1/sessions/kept:ask`, 'POST', { count: 3 })).json()
  expect(asked.queries).toHaveLength(3)
  await grpc.unary('tell', {
    name: 'sessions/kept',
    observations: asked.queries.map(({ id }: { id: string }, i: number) => ({
      queryId: id,
      values: [{ values: [i] }],
    })),
    requestId: 'told-once',
  })
  const before = await grpc.unary('getSession', { name: 'sessions/kept' })
  await shut()
  await open()
  expect(await grpc.unary('getSession', { name: 'sessions/kept' })).toEqual(before)
  const estimate = await grpc.unary('getEstimate', { name: 'sessions/kept' })
  expect(estimate.points[0].values).toEqual([0])
})

it('events of one revision carry an id only at its end, so that a resumed watch skips none', async () => {
  await grpc.unary('createSession', { session: searchSession, sessionId: 'watched' })
  await grpc.unary('ask', { name: 'sessions/watched', count: 2 })
  const url = `http://127.0.0.1:${server.httpPort}/v1/sessions/watched:watch`
  const events = await sse(`${url}?after_revision=0`, 3)
  const seen = events.map(({ id, data }) => [JSON.parse(data).type, id])
  expect(seen).toEqual([
    ['created', '1'],
    ['asked', ''],
    ['asked', '2'],
  ])
  expect(await sse(url, 2, { 'last-event-id': events[0].id })).toEqual(events.slice(1))
})

it('JSON names every field that has a value, zero and false among them', async () => {
  const url = `http://127.0.0.1:${server.httpPort}/v1/sessions`
  expect(await (await fetch(`${url}?filter=method = "none"`)).json()).toEqual({ sessions: [], nextPageToken: '' })
})

it('a gradient session steps through views', async () => {
  await grpc.unary('createSession', { session: tensorSession([3]), sessionId: 'gradient' })
  let [query] = (await grpc.unary('ask', { name: 'sessions/gradient' })).queries
  for (let step = 0; step < 3; step++) {
    const { kind } = query.points[0]
    if (kind.case !== 'tensors') throw new Error('expected tensors')
    const x = new Float32Array(new Uint8Array(kind.value.tensors[0].data).buffer)
    const data = new Uint8Array(x.map((v) => v - 1).buffer)
    const answer = await grpc.unary('step', {
      name: 'sessions/gradient',
      observations: [{ queryId: query.id, gradients: [{ tensors: [{ name: 'w', data }] }] }],
    })
    query = answer.queries[0]
  }
  const estimate = await grpc.unary('getEstimate', { name: 'sessions/gradient' })
  const { kind } = estimate.points[0].point!
  if (kind.case !== 'tensors') throw new Error('expected tensors')
  const x = new Float32Array(new Uint8Array(kind.value.tensors[0].data).buffer)
  for (const v of x) expect(v).toBeGreaterThan(0)
})

it('describes every method of the catalogue', async () => {
  const { methods } = await grpc.unary('listMethods', {})
  expect(methods.length).toBeGreaterThan(0)
  for (const method of methods) {
    expect(method.title, method.id).not.toBe('')
    expect(method.configSchema, method.id).toBeUndefined()
    const { configSchema, configHash, equations, ...rest } = await grpc.unary('getMethod', { name: method.name })
    expect(configSchema, method.id).toMatchObject({ type: 'object' })
    expect(configHash, method.id).toMatch(/^[0-9a-f]{64}$/)
    expect({ ...rest, configHash: '', equations: [] }).toEqual(method)
  }
})

it('refuses an endpoint that the operator did not configure, and the name of its own resolver', async () => {
  const session = { ...searchSession, resolver: { endpoint: 'nowhere' } }
  expect(await refused(grpc.unary('createSession', { session }))).toMatchObject({
    reason: 'INVALID_ARGUMENT',
    paths: ['session.resolver.endpoint'],
  })
  expect(await refused(grpc.unary('ask', { name: 'sessions/kept', worker: 'resolver' }))).toMatchObject({
    paths: ['worker'],
  })
})

it('locates what the session layer refuses where the caller wrote it', async () => {
  const wrong = { ...tensorSession([2]), config: { learningRate: 'fast' } }
  expect(await refused(grpc.unary('createSession', { session: wrong }))).toMatchObject({
    reason: 'CONFIG_INVALID',
    paths: ['session.config.learningRate'],
  })
  expect(await refused(grpc.unary('createSession', { session: { ...searchSession, method: 'sgd' } }))).toMatchObject({
    reason: 'METHOD_UNSUITABLE',
    paths: ['session.space'],
  })
  const told = { name: 'sessions/kept', observations: [{ queryId: 'never' }] }
  expect(await refused(grpc.unary('tell', told))).toMatchObject({
    reason: 'QUERY_NOT_FOUND',
    paths: ['observations[0].query_id'],
  })
  expect(await refused(grpc.unary('listTrials', { parent: 'sessions/kept', pageToken: '!' }))).toMatchObject({
    paths: ['page_token'],
  })
})

it('gives back what it opened when a port is taken', async () => {
  const other = mkdtempSync(join(tmpdir(), 'asktell-server-'))
  const taken = configSchema.parse({ grpcPort: 0, httpPort: server.httpPort, dataDir: other })
  await expect(startServer(taken, { log: silent, onReady: () => {} })).rejects.toThrow(/EADDRINUSE/)
  const free = await startServer({ ...taken, httpPort: 0 }, { log: silent, onReady: () => {} })
  await free.close()
  rmSync(other, { recursive: true })
})
