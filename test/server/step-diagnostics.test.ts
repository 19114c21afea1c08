/** What a server shows of the steps of gradient sessions: its stream of events, the command, and /metrics. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client, float, type Session, tensors, type WatchEvent } from '../../clients/typescript/src/index.js'
import { type StartedProcess, startProcess } from '../server-process.js'

let server: StartedProcess
let client: Client
beforeAll(async () => {
  server = await startProcess()
  client = new Client(server.target)
})
afterAll(async () => {
  client.close()
  await server.stop()
})

const create = (id: string, config: object, method = 'sgd') =>
  client.createSession({
    id,
    method,
    config: { learningRate: 0.1, ...config },
    space: tensors({ w: Float32Array.of(1, -2) }),
  })

/** Answers queries with these gradients. */
async function steps(session: Session, gradients: readonly number[][]) {
  for (const gradient of gradients) {
    const [{ id }] = (await session.ask()).queries
    await session.tell({ queryId: id, gradients: [{ w: Float32Array.from(gradient) }] })
  }
}
async function told(session: Session, count: number): Promise<WatchEvent[]> {
  const events: WatchEvent[] = []
  for await (const event of session.watch(0)) {
    if (event.type === 'told') events.push(event)
    if (events.length === count) break
  }
  return events
}
const metrics = async () => (await fetch(`${server.url}/metrics`)).text()

describe('steps with diagnostics', () => {
  let session: Session
  const gradients = [
    [1, 0],
    [1, 1],
    [3, 4],
    [3, 3],
  ]
  beforeAll(async () => {
    session = await create('measured', { diagnostics: true, driver: { id: 'accumulate', batches: 2 } })
    await steps(session, gradients)
  })

  it('are in the stream of events and in the estimate', async () => {
    const events = await told(session, 4)
    expect(events[0].metrics).not.toHaveProperty('gradientNorm')
    // The mean of (1, 0) and (1, 1): |G|^2 = (2*1.25 - 1.5)/(2 - 1), S = (1.5 - 1.25)/(1 - 1/2).
    expect(events[1].metrics).toMatchObject({ nonFinite: 0, steps: 1 })
    const figures = { gradientNorm: Math.sqrt(1.25), updateRatio: 0.05, noiseScale: 0.5, signalToNoise: 4 }
    for (const [name, value] of Object.entries(figures)) expect(events[1].metrics[name], name).toBeCloseTo(value, 6)
    expect(events[1].metrics).not.toHaveProperty('gradientCosine')
    expect(events[3].metrics.gradientCosine).toBeCloseTo(4.75 / Math.hypot(3, 3.5) / Math.sqrt(1.25), 6)
    expect(events[3].metrics.noiseScale).toBeGreaterThan(0)
    const estimate = await session.estimate()
    expect(estimate.metrics).toEqual(events[3].metrics)
    const { stdout } = await asktell('estimate', 'measured')
    expect(stdout).toMatch(/^ {2}gradientCosine: 0.921635/m)
  })

  it('are printed by the command as they happen', async () => {
    await session.update({ state: 'done' })
    const { stdout } = await asktell('watch', 'measured', '--after', '0')
    const lines = stdout.split('\n').filter((line) => line.includes('told'))
    expect(lines).toHaveLength(4)
    expect(lines[3]).toMatch(
      / {2}gradientNorm 4\.60977 {2}updateRatio 0.205898 {2}gradientCosine 0.921635 {2}nonFinite 0 {2}noiseScale /,
    )
  })

  it('come back after a kill, with the state that a server that was not killed has', async () => {
    const before = [await told(session, 4), (await session.get()).stateHash]
    await server.restart()
    expect([await told(session, 4), (await session.get()).stateHash]).toEqual(before)
  })
})

it('/metrics counts each step once, by method and of no session by name', async () => {
  await steps(await create('plain', {}, 'adam'), [[1, 1]])
  for (const id of ['counted-1', 'counted-2'])
    await steps(await create(id, { diagnostics: true, driver: { id: 'accumulate', batches: 2 } }, 'qhm'), [
      [0.05, 0],
      [0.05, 0],
      [30, 0],
      [30, 0],
    ])
  await steps(await create('counted-3', { diagnostics: true, learningRate: 1e30 }, 'qhm'), [[1e15, 1]])
  const text = await metrics()
  expect(text).toContain('asktell_step_gradient_norm_count{method="qhm"} 5')
  expect(text).toContain('asktell_step_gradient_norm_bucket{le="0.1",method="qhm"} 2')
  expect(text).toContain('asktell_step_gradient_norm_bucket{le="100",method="qhm"} 4')
  expect(text).toContain('asktell_step_gradient_cosine_count{method="qhm"} 2')
  expect(text).toContain('asktell_step_noise_scale_count{method="qhm"} 4')
  expect(text).toContain('asktell_step_not_finite_total{method="qhm"} 1')
  expect(text).not.toMatch(/asktell_step.*adam/)
  expect(text).not.toContain('counted-')
})

it('/metrics counts observations with a number that is not finite, refused or not', async () => {
  const before = await metrics()
  expect(before).not.toMatch(/asktell_tells_not_finite_total{/)
  const session = await create('broken', { driver: { id: 'hutchinson', products: 'hessian' } })
  const [{ id }] = (await session.ask()).queries
  const tell = (queryId: string, what: object) => session.tell({ queryId, ...what })
  const w = Float32Array.of(1, Number.NaN)
  await expect(tell(id, { gradients: [{ w }] })).rejects.toMatchObject({ reason: 'OBSERVATION_INVALID' })
  await tell(id, { gradients: [{ w: Float32Array.of(1, 1) }] })
  const [product] = (await session.ask()).queries
  await expect(tell(product.id, { products: [{ w }] })).rejects.toMatchObject({ reason: 'OBSERVATION_INVALID' })

  const search = await client.createSession({ method: 'random', space: { x: float(0, 1) }, seed: 1 })
  const { queries } = await search.ask(2)
  await search.tell({ queryId: queries[0].id, values: [Number.POSITIVE_INFINITY] })
  await search.tell({ queryId: queries[1].id, values: [1] })
  const text = await metrics()
  for (const kind of ['gradient', 'product', 'value'])
    expect(text).toContain(`asktell_tells_not_finite_total{kind="${kind}"} 1`)
})

const asktell = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['dist/bin/asktell.js', ...args, '--server', server.target])
