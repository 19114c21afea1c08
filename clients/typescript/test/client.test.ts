/** The client against a real server process. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedProcess, startProcess } from '../../../test/server-process.js'
import {
  type AsktellError,
  Client,
  categorical,
  float,
  int,
  minimize,
  type Params,
  type Point,
  permutation,
  search,
  TrialPruned,
  tensors,
  text,
} from '../src/index.js'
import { decode } from '../src/tensors.js'

let server: StartedProcess
let client: Client

beforeAll(async () => {
  server = await startProcess()
  client = new Client(server.target, { retries: 20 })
})
afterAll(async () => {
  client.close()
  await server.stop()
})

const space = {
  optimizer: categorical(['sgd', 'adam']),
  learningRate: float(1e-4, 1, { log: true }),
  momentum: float(0, 0.99, { when: ['optimizer', 'sgd'] }),
  width: int(8, 64),
}
const loss = ({ optimizer, learningRate, momentum = 0.5 }: Params) =>
  Math.log10(Number(learningRate) * 100) ** 2 + (optimizer === 'sgd' ? Math.abs(Number(momentum) - 0.9) : 1)

describe('spaces and queries', () => {
  it('asks for points of a conditional space and takes values', async () => {
    const session = await client.createSession({ method: 'random', space, direction: 'minimize', seed: 1 })
    const { queries } = await session.ask(8)
    expect(queries).toHaveLength(8)
    for (const { points, trial, wants } of queries) {
      expect('momentum' in (points[0].params as Params)).toBe(points[0].params?.optimizer === 'sgd')
      expect(Number.isInteger(points[0].params?.width)).toBe(true)
      expect(trial).toBeGreaterThanOrEqual(0)
      expect(wants).toEqual([{ kind: 'value' }])
    }
    await session.tell(queries.map((q) => ({ queryId: q.id, values: [loss(q.points[0].params as Params)] })))
    const best = Math.min(...queries.map((q) => loss(q.points[0].params as Params)))
    expect((await session.estimate()).points[0].values[0]).toBe(best)
  })

  it('says where a space has what is no parameter', async () => {
    const wrong = { learningRate: float(0, 1), w: new Float32Array(3) } as never
    await expect(client.createSession({ method: 'random', space: wrong, direction: 'minimize' })).rejects.toThrow(
      /^space\.w: expected float\(\).*tensors/,
    )
  })

  it('begins a session from earlier ones, which may be gone then', async () => {
    const earlier = await minimize(loss, space, { maxEvaluations: 12, client, seed: 1, progress: false })
    const of = { method: 'gp', space, direction: 'minimize', seed: 2 } as const
    const session = await client.createSession({ ...of, warmStartFrom: [earlier.session] })
    expect((await session.get()).warmStartFrom).toEqual([earlier.session.name])
    await earlier.session.delete()
    const { queries } = await session.ask()
    expect(queries[0].points[0].params).toEqual(earlier.params)
    await expect(client.createSession({ ...of, warmStartFrom: [session.name, 'gone'] })).rejects.toMatchObject({
      reason: 'SESSION_NOT_FOUND',
      issues: [{ path: 'session.warm_start_from[1]' }],
    })
    await expect(client.createSession({ ...of, method: 'random', warmStartFrom: [session] })).rejects.toMatchObject({
      reason: 'METHOD_UNSUITABLE',
      issues: [{ path: 'session.warm_start_from' }],
    })
    expect((await client.describe('gp')).facts?.warmStart).toBe(true)
    expect((await client.describe('random')).facts?.warmStart).toBe(false)
  })

  it('analyzes the trials of a session', async () => {
    const session = await client.createSession({ method: 'random', space, direction: 'minimize', seed: 1 })
    const { queries } = await session.ask(24)
    await session.tell(queries.map((q) => ({ queryId: q.id, values: [loss(q.points[0].params as Params)] })))
    const [point] = queries.map((q) => q.points[0].params as Params)
    const analysis = await session.analyze({ points: [point], charts: true, resolution: 4 })
    expect(analysis.leftOut).toEqual([])
    expect(analysis.history.at(-1)?.best).toBe(Math.min(...analysis.history.map(({ value }) => value)))
    expect(analysis.importances?.method).toBe('ped-anova')
    const optimizer = analysis.slices.find(({ parameter }) => parameter === 'optimizer')
    expect(optimizer?.surrogate.map(({ parameterValue }) => parameterValue)).toEqual(['sgd', 'adam'])
    expect(analysis.contour?.means).toHaveLength(analysis.contour!.xValues.length * analysis.contour!.yValues.length)
    expect(analysis.timeline[0]).toMatchObject({ trial: 0, state: 'completed', endTime: expect.any(Date) })
    expect(analysis.predictions[0].params).toEqual(point)
    expect(analysis.charts.map(({ kind }) => kind)).toContain('cross-validation')
    expect(analysis.pareto).toBeUndefined()
    const refused = session.analyze({ kinds: ['contour'], parameters: ['width'] })
    await expect(refused).rejects.toMatchObject({ issues: [{ path: 'parameters' }] })
  })

  it('puts enqueued points first, and leases nothing when it only enqueues', async () => {
    const session = await client.createSession({ method: 'random', space: { x: float(0, 1) }, direction: 'minimize' })
    expect((await session.ask(0, { enqueue: [{ params: { x: 0.25 } }] })).queries).toEqual([])
    const { queries } = await session.ask()
    expect(queries[0].points).toEqual([{ params: { x: 0.25 } }])
    expect(queries[0].attempt).toBe(1)
  })

  it('keeps orders and constraints, is changed by hand, and says what repeats', async () => {
    const route = permutation(['a', 'b', 'c'])
    const constraints = [{ linear: { x: 4, n: 1 }, bound: 6 }, 'x^2 <= 0.5', { forbidden: { n: [1, 2] } }]
    const parameters = { route, x: float(0, 1), n: int(1, 8) }
    const session = await client.createSession({ method: 'tpe', space: search(parameters, constraints), seed: 1 })
    for (let i = 0; i < 6; i++) {
      const [{ id, points, repeats }] = (await session.ask()).queries
      const { route: order, x, n } = points[0].params as { route: string[]; x: number; n: number }
      expect([...order].sort()).toEqual(['a', 'b', 'c'])
      expect(4 * x + n <= 6 && x * x <= 0.5 && n > 2, `${x} ${n}`).toBe(true)
      expect(repeats).toBeUndefined()
      await session.tell([{ queryId: id, values: [x] }])
    }
    expect(await session.correctTrial(1, { values: [-1] }, { reason: 'a typo' })).toMatchObject({ values: [-1] })
    expect(await session.deleteTrial(2)).toMatchObject({ state: 'deleted' })
    await session.editSpace(search({ ...parameters, depth: int(1, 3) }, constraints), { defaults: { depth: 1 } })
    const estimate = await session.estimate()
    const point = { params: estimate.points[0].point.params as Params }
    expect(point.params.depth).toBe(1)
    await session.enqueue(point)
    const [again] = (await session.ask()).queries
    expect([again.points[0].params, again.repeats]).toEqual([point.params, 1])
    const audit = []
    for await (const entry of session.audit()) audit.push(entry)
    expect(audit.map(({ action, trial, reason }) => [action, trial, reason])).toEqual([
      ['correct_trial', 1, 'a typo'],
      ['delete_trial', 2, ''],
      ['edit_space', undefined, ''],
      ['enqueue', 6, ''],
    ])
    await expect(session.deleteTrial(99)).rejects.toMatchObject({ reason: 'TRIAL_NOT_FOUND' })
  })

  it('steps tensors by gradients, unary and streamed, to the same bits', async () => {
    const start = Float64Array.from([3, -4])
    const run = async (streamed: boolean) => {
      const session = await client.createSession({
        method: 'adam',
        space: tensors({ x: start }),
        config: { learningRate: 0.1 },
      })
      const loop = streamed ? session.stream() : { step: session.step.bind(session), close() {} }
      let { queries } = await loop.step()
      for (let i = 0; i < 20; i++) {
        const x = queries[0].points[0].tensors?.x as Float64Array
        ;({ queries } = await loop.step({
          observations: [{ queryId: queries[0].id, gradients: [{ x: x.map((v) => 2 * v) }] }],
        }))
      }
      loop.close()
      return queries[0].points[0].tensors?.x
    }
    expect(await run(true)).toEqual(await run(false))
  })

  it('takes derivatives along directions, and the terms of a loss', async () => {
    const forward = await client.createSession({
      method: 'forward-gradient',
      space: tensors({ x: Float64Array.of(3, -4) }),
      config: { optimizer: { id: 'sgd', config: { learningRate: 0.1 } } },
      seed: 1,
    })
    const [{ id, points, wants }] = (await forward.ask()).queries
    expect(wants).toEqual([{ kind: 'directional' }])
    const [x, u] = points.map((p) => p.tensors?.x as Float64Array)
    const j = 2 * (x[0] * u[0] + x[1] * u[1])
    const { queries } = await forward.step({ observations: [{ queryId: id, derivatives: [j] }] })
    const next = queries[0].points[0].tensors?.x as Float64Array
    x.forEach((v, i) => {
      expect(next[i]).toBeCloseTo(v - 0.1 * j * u[i], 12)
    })

    const sum = await client.createSession({ method: 'per-pixel-sge', space: tensors({ x: Float64Array.of(1, 2) }) })
    const [query] = (await sum.ask()).queries
    expect(query.wants).toEqual([{ kind: 'terms' }])
    const at = ({ tensors: t }: Point) => ({
      losses: Array.from(t?.x as Float64Array, (v) => v * v),
      contributors: [[0], [1]],
    })
    const terms = query.points.map(at)
    const wrong = sum.tell([{ queryId: query.id, terms: [terms[0], { ...terms[1], contributors: [[0], [2]] }] }])
    await expect(wrong).rejects.toThrow('terms[1].contributors[1][0]')
    await sum.tell([{ queryId: query.id, terms }])
    expect((await sum.estimate()).step).toBe(1)
  })

  it('takes products with a Hessian, and the Hessian as a quantity', async () => {
    const [a, b] = [2, 5]
    const gradient = (x: ArrayLike<number>) => ({ x: Float64Array.of(a * x[0], b * x[1]) })
    const config = { M: 1e-30 }
    const space = tensors({ x: Float64Array.of(3, -4) })
    const dense = await client.createSession({ method: 'root-newton', space, config })
    const [query] = (await dense.ask()).queries
    const description = 'the hessian matrix, by all parameters'
    expect(query.wants).toEqual([
      { kind: 'gradient' },
      { kind: 'quantities', quantities: [{ name: 'hessian', shape: [2, 2], description }] },
    ])
    const told = { queryId: query.id, gradients: [gradient([3, -4])] }
    const wrong = dense.tell([{ ...told, quantities: [{ hessian: Float64Array.of(a, 0, b) }] }])
    await expect(wrong).rejects.toThrow('quantities[0].hessian')
    await dense.tell([{ ...told, quantities: [{ hessian: Float32Array.of(a, 0, 0, b) }] }])
    for (const value of (await dense.estimate()).points[0].point.tensors!.x) expect(value).toBeCloseTo(0, 6)

    const products = await client.createSession({
      method: 'root-newton',
      space,
      config: { ...config, hessian: 'products' },
    })
    const [first] = (await products.ask()).queries
    const [second] = (await products.step({ observations: [{ queryId: first.id, gradients: told.gradients }] })).queries
    expect(second.wants).toEqual([{ kind: 'hvp', curvature: 'hessian' }])
    const directions = second.points.slice(1).map(({ tensors: t }) => gradient(t!.x))
    const short = products.tell([{ queryId: second.id, products: directions.slice(1) }])
    await expect(short).rejects.toThrow('observations[0].products')
    await products.tell([{ queryId: second.id, products: directions }])
    for (const value of (await products.estimate()).points[0].point.tensors!.x) expect(value).toBeCloseTo(0, 6)
  })

  it('sends a gradient of several chunks', async () => {
    const n = 700_000
    const session = await client.createSession({
      method: 'sgd',
      space: tensors({ w: new Float32Array(n) }),
      config: { learningRate: 1 },
      durability: 'snapshot',
    })
    const stream = session.stream()
    const { queries } = await stream.step()
    const gradient = Float32Array.from({ length: n }, (_, i) => i % 1000)
    const next = await stream.step({ observations: [{ queryId: queries[0].id, gradients: [{ w: gradient }] }] })
    stream.close()
    const w = next.queries[0].points[0].tensors?.w as Float32Array
    expect(w.findIndex((v, i) => v !== -gradient[i])).toBe(-1)
    expect(w).toHaveLength(n)
  })

  it('sends products of several chunks', async () => {
    const n = 300_000
    const session = await client.createSession({
      method: 'egn',
      space: tensors({ x: new Float64Array(n).fill(1) }),
      config: { jacobian: 'products', lambda: 1e-9, learningRate: 1 },
      durability: 'snapshot',
    })
    const stream = session.stream()
    const [first] = (await stream.step()).queries
    const told = { queryId: first.id, gradients: [{ x: new Float64Array(n).fill(4) }] }
    const [second] = (await stream.step({ observations: [told] })).queries
    expect(second.wants).toEqual([{ kind: 'hvp', curvature: 'gauss-newton' }])
    const product = (second.points[1].tensors as { x: Float64Array }).x.map((v) => 4 * v)
    const next = await stream.step({ observations: [{ queryId: second.id, products: [{ x: product }] }] })
    stream.close()
    for (const at of [0, 1, n - 1]) expect(next.queries[0].points[0].tensors?.x[at]).toBeCloseTo(0, 6)
  })

  it('asks about text and takes scores', async () => {
    const session = await client.createSession({
      method: 'opro',
      space: text({ instruction: 'Be brief.' }),
      direction: 'maximize',
      task: { description: 'Answer.', examples: [{ input: 'a', expected: 'A' }] },
      offers: ['score', 'completion'],
    })
    const { queries } = await session.ask()
    expect(queries[0].points[0].text).toEqual({ instruction: 'Be brief.' })
    const { queries: next } = await session.step({
      observations: [{ queryId: queries[0].id, scores: [{ score: 0.5 }] }],
    })
    expect(next[0].wants[0]).toMatchObject({ kind: 'completion', purpose: 'propose' })
  })

  it('reads tensors at any alignment', () => {
    const bytes = Buffer.from(Float32Array.of(1, 2, 3).buffer)
    const shifted = Buffer.concat([Buffer.from([0]), bytes]).subarray(1)
    expect(decode(shifted, 1)).toEqual(Float32Array.of(1, 2, 3))
  })
})

describe('refusals', () => {
  it('are typed and located', async () => {
    const refused = client.createSession({ method: 'tpe', space: search({ x: float(2, 1) }), direction: 'minimize' })
    await expect(refused).rejects.toMatchObject({ name: 'AsktellError', reason: 'SPACE_INVALID' })
    const error = (await refused.catch((e) => e)) as AsktellError
    expect(error.issues[0].path).toContain('parameters[0]')
  })

  it('of a gradient with NaN name its tensor and element, and change nothing', async () => {
    const session = await client.createSession({ method: 'sgd', space: tensors({ w: new Float32Array(4) }) })
    const { queries } = await session.ask()
    const before = await session.get()
    const gradients = [{ w: Float32Array.of(0, 0, Number.NaN, 0) }]
    const error = (await session.tell({ queryId: queries[0].id, gradients }).catch((e) => e)) as AsktellError
    expect(error.reason).toBe('OBSERVATION_INVALID')
    expect(error.issues[0].path).toContain('w[2]')
    expect((await session.get()).stateHash).toBe(before.stateHash)
  })
})

describe('minimize', () => {
  it('runs workers in parallel, prunes, and counts a throw as a failed trial', async () => {
    let open = 0
    let most = 0
    const { trials, value, session } = await minimize(
      async (params, trial) => {
        most = Math.max(most, ++open)
        try {
          if (trial.number === 3) throw new Error('no luck')
          for (let step = 1; step <= 3; step++) await trial.report(step, loss(params) + 1 / step)
          return loss(params)
        } finally {
          open--
        }
      },
      space,
      {
        client,
        maxEvaluations: 40,
        workers: 8,
        seed: 5,
        pruner: { method: 'median', config: { nStartupTrials: 5 } },
        progress: false,
      },
    )
    expect(most).toBeGreaterThan(4)
    expect(trials.filter((t) => t.state === 'failed').map((t) => t.message)).toEqual(['no luck'])
    expect(trials.filter((t) => t.state === 'pruned').length).toBeGreaterThan(0)
    const completed = trials.filter((t) => t.state === 'completed')
    expect(value).toBe(Math.min(...completed.map((t) => t.values[0])))
    expect((await session.get()).counts?.told).toBe(BigInt(trials.length))
    expect(TrialPruned.prototype).toBeInstanceOf(Error)
  })
})

describe('a session', () => {
  it('is watched, forked, exported and imported', async () => {
    const session = await client.createSession({ method: 'tpe', space, direction: 'minimize', seed: 2 })
    for (let i = 0; i < 12; i++) {
      const { queries } = await session.ask()
      await session.tell({ queryId: queries[0].id, values: [loss(queries[0].points[0].params as Params)] })
    }
    const types: string[] = []
    for await (const event of session.watch(0)) {
      types.push(event.type)
      if (event.type === 'told' && types.filter((t) => t === 'told').length === 12) break
    }
    expect(types.slice(0, 3)).toEqual(['created', 'asked', 'told'])

    const file = join(server.dataDir, 'session.asktell')
    await session.export(file)
    const copies = [await session.fork(), await client.importSession(file)]
    const { queries } = await session.ask()
    for (const copy of copies) expect((await copy.ask()).queries[0].points).toEqual(queries[0].points)
    for (const copy of copies) await copy.delete()
    await expect(copies[0].get()).rejects.toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })

  it('goes on through a killed server: calls and streams are sent again under their request ids', async () => {
    // However long a busy machine takes to start a server.
    const client = new Client(server.target, { retries: 100 })
    const session = await client.createSession({ method: 'tpe', space, direction: 'minimize', seed: 3 })
    const stream = session.stream()
    let { queries } = await stream.step()
    await server.process.kill()
    const told = stream.step({ observations: [{ queryId: queries[0].id, values: [1] }] })
    await server.restart()
    ;({ queries } = await told)
    expect(queries).toHaveLength(1)
    await session.tell({ queryId: queries[0].id, values: [2] })
    expect((await session.get()).counts?.told).toBe(2n)
    stream.close()
    client.close()
  })
})
