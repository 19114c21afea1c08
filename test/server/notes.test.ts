/** Text for the client in a session over tensors, from a method through the real transport and back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { configSchema } from '../../src/server/config.js'
import { type RunningServer, startServer } from '../../src/server/index.js'
import { json, silent } from './clients.js'

const dataDir = mkdtempSync(join(tmpdir(), 'asktell-server-'))
let server: RunningServer
beforeAll(async () => {
  const config = configSchema.parse({ grpcPort: 0, httpPort: 0, dataDir, drainSeconds: 1 })
  server = await startServer(config, { log: silent, onReady: () => {} })
})
afterAll(async () => {
  await server.close()
  rmSync(dataDir, { recursive: true })
})

const call = async (path: string, body: object) => {
  const response = await json(`http://127.0.0.1:${server.httpPort}/v1/sessions${path}`, 'POST', body)
  return { status: response.status, body: await response.json() }
}
const base64 = (...values: number[]) => Buffer.from(Float64Array.from(values).buffer).toString('base64')

it('seeds and coefficients are sent as the text of a last point, of which nothing is told', async () => {
  const config = { modules: [{ weight: 'w' }], copies: 2, optimizer: { id: 'sgd', config: { learningRate: 1 } } }
  const space = { tensors: { tensors: [{ name: 'w', shape: ['1', '2'], dtype: 'DTYPE_F64' }] } }
  const created = await call('', { session: { method: 'ulr', config, space }, sessionId: 'noted' })
  expect(created.status, JSON.stringify(created.body)).toBe(200)
  const [query] = (await call('/noted:ask', { count: 1 })).body.queries
  expect(query.points.map((point: object) => Object.keys(point)[0])).toEqual(['tensors', 'text'])
  const { seed } = query.points[1].text.components
  expect(Number(seed)).toBeGreaterThanOrEqual(0)

  const tell = (queryId: string, sets: object[]) =>
    call('/noted:step', { count: 1, observations: [{ queryId, quantities: sets }] })
  const losses = { tensors: [{ name: 'losses', data: base64(4, 2, 1, 3) }] }
  const refused = await tell(query.id, [losses, losses])
  expect(refused.status).toBe(400)
  expect(JSON.stringify(refused.body)).toContain('expected 1 sets of arrays, one per point, got 2')
  const told = await tell(query.id, [losses])
  expect(told.status, JSON.stringify(told.body)).toBe(200)
  const [product] = told.body.queries
  // (L+ - L-)/(2 sigma K N) with sigma 0.2, K = 2 and N = 1.
  expect(product.points[1].text.components.seed).toBe(seed)
  expect(product.points[1].text.components.coefficients.split(' ').map(Number)).toEqual([2.5, -2.5])
  expect((await tell(product.id, [{ tensors: [{ name: 'w', data: base64(0.5, -1) }] }])).status).toBe(200)
  const estimate = await fetch(`http://127.0.0.1:${server.httpPort}/v1/sessions/noted/estimate`)
  expect(JSON.stringify(await estimate.json())).toContain(base64(-0.5, 1))
})
