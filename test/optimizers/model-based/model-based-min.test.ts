import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/model-based/model-based-min.js'
import { outerValue, toSimplex } from '../../../src/optimizers/model-based/outer.js'
import { phaseRetrieval } from '../../../src/optimizers/model-based/prox-point.js'
import { proxOf } from '../../../src/optimizers/model-based/regularizer.js'
import { solve } from '../../../src/optimizers/model-based/subproblem.js'
import { vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, v, i) => sum + v * b[i], 0)
const constant = (learningRate: number, more: object = {}) => ({ learningRate, schedule: 'constant', ...more })

/** |x^2 - 1|. */
const well: Client = (
  [
    {
      x: [x],
    },
  ],
  { wants: [{ kind }] },
) =>
  kind === 'gradient'
    ? { gradients: [{ x: Float64Array.of(Math.sign(x * x - 1) * 2 * x) }] }
    : {
        quantities: [
          {
            c: Float64Array.of(x * x - 1),
            jacobian: Float64Array.of(2 * x),
            a: Float64Array.of(1),
            b: Float64Array.of(1),
          },
        ],
      }

test('[model-based-min] the steps of each model on |x^2 - 1|', () => {
  const step = (variant: string, alpha: number, more: object = {}) =>
    new Turns(method, vectors([2]), { config: constant(alpha, { variant, ...more }) }).steps(1, well).answer.x[0]
  expect(step('prox-subgradient', 0.1)).toBeCloseTo(1.6, 14)
  expect(step('prox-linear', 0.1)).toBeCloseTo(1.6, 14)
  expect(step('prox-linear', 10)).toBe(1.25)
  expect(step('prox-subgradient', 10)).toBe(-38)
  for (const inner of ['prox-linear', 'phase-retrieval']) {
    expect(step('prox-point', 0.1, { inner })).toBeCloseTo(5 / 3, 7)
    expect(step('prox-point', 10, { inner })).toBeCloseTo(1, 7)
  }
})

test('[model-based-min] phase retrieval: models are right at any step size, subgradients at none', () => {
  const [d, n] = [10, 100]
  const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]
  const residuals = (variant: string, alpha: number) =>
    Array.from({ length: 5 }, (_, seed) => {
      const rng = new Rng(rngStream(seed, 'signal'))
      const normals = () => Float64Array.from({ length: d }, () => rng.normal())
      const rows = Array.from({ length: n }, normals)
      const unit = (v: Float64Array) => v.map((vi) => vi / Math.sqrt(dot(v, v)))
      const signal = unit(normals())
      const away = unit(normals())
      const start = vectors(Array.from(signal, (v, i) => v + 0.8 * away[i]))
      const b = rows.map((a) => dot(a, signal) ** 2)
      const client: Client = ([{ x }], { wants: [{ kind }] }) => {
        const i = rng.integer(n)
        const a = rows[i]
        const u = dot(a, x)
        const c = u * u - b[i]
        if (kind === 'gradient') return { gradients: [{ x: a.map((v) => Math.sign(c) * 2 * u * v) }] }
        return {
          quantities: [{ c: Float64Array.of(c), jacobian: a.map((v) => 2 * u * v), a, b: Float64Array.of(b[i]) }],
        }
      }
      const config = { variant, learningRate: alpha, inner: 'phase-retrieval' }
      const { x } = new Turns(method, start, { config }).steps(2000, client).answer
      return rows.reduce((sum, a, i) => sum + Math.abs(dot(a, x) ** 2 - b[i]) / n, 0)
    })
  for (const alpha of [0.1, 1, 10, 100])
    for (const variant of ['prox-linear', 'prox-point']) expect(median(residuals(variant, alpha))).toBeLessThan(1e-10)
  expect(median(residuals('prox-subgradient', 0.1))).toBeGreaterThan(0.01)
  for (const alpha of [10, 100])
    for (const residual of residuals('prox-subgradient', alpha)) expect(Number.isFinite(residual)).toBe(false)
})

test('[model-based-min] the gradient of the Moreau envelope of |x|', () => {
  const line: Client = ([{ x }]) => ({ quantities: [{ c: x, jacobian: Float64Array.of(1) }] })
  for (const [x, expected] of [
    [0.2, 0.4],
    [3, 1],
    [-3, 1],
    [0, 0],
  ]) {
    const session = new Turns(method, vectors([x]), { config: { envelope: 0.5 } })
    expect(session.query).toMatchObject({ purpose: 'envelope', sampleKey: 'all' })
    while (session.metrics.envelopeGradient === undefined) session.tell(line)
    expect(session.metrics.envelopeGradient).toBeCloseTo(expected, 12)
    expect(session.answer.x[0]).toBe(x)
  }
})

test('subproblems of several elements and regularizers satisfy their conditions of optimality', () => {
  const rng = new Rng(rngStream(0, 'subproblem'))
  const normals = (n: number) => Float64Array.from({ length: n }, () => rng.normal())
  const [d, step] = [4, 0.7]
  for (const h of ['abs', 'hinge', 'huber', 'square', 'max'] as const)
    for (const regularizer of ['none', 'l1', 'ball', 'box', 'simplex'] as const)
      for (const m of [1, 6]) {
        const outer = { h, huber: 0.5 }
        const space = vectors([0, 0, 0, 0], regularizer === 'box' ? { low: -0.3, high: 0.5 } : {})
        const problem = { space, objectives: [{ name: 'f', direction: 'minimize' as const }] }
        const prox = proxOf({ regularizer, weight: 0.3, radius: 0.6 }, problem)
        const linear = { c: normals(m), J: normals(m * d), at: normals(d) }
        const center = normals(d)
        const y = solve(outer, prox, linear, center, step)
        const objective = (p: Float64Array) => {
          const from = p.map((v, j) => v - linear.at[j])
          const c = linear.c.map((ci, i) => ci + dot(linear.J.subarray(i * d, (i + 1) * d), from))
          return (
            outerValue(outer, c) +
            prox.value(p) +
            dot(
              p.map((v, j) => v - center[j]),
              p.map((v, j) => v - center[j]),
            ) /
              (2 * step)
          )
        }
        // It is in the set, and no feasible point near or far does better.
        const again = regularizer === 'l1' ? y : prox.map(y, 1)
        again.forEach((v, j) => {
          expect(v).toBeCloseTo(y[j], 9)
        })
        const least = objective(y)
        for (let k = 0; k < 200; k++) {
          const size = 10 ** (-4 * rng.uniform())
          const other = y.map((v) => v + size * rng.normal())
          const feasible = regularizer === 'l1' ? other : prox.map(other, 1)
          expect(objective(feasible)).toBeGreaterThanOrEqual(least - 1e-9)
        }
      }
})

test('closed forms: the simplex, and phase retrieval against a search on a grid', () => {
  expect(Array.from(toSimplex(Float64Array.of(0.5, 0.5, 3), 1))).toEqual([0, 0, 1])
  expect(Array.from(toSimplex(Float64Array.of(1, 1), 1))).toEqual([0.5, 0.5])
  for (const [x, a, b, alpha] of [
    [0.3, 2, 1.5, 0.2],
    [-1, 0.5, 0.1, 3],
    [2, 1, -1, 0.5],
    [1, 1, 4, 0.5],
  ]) {
    const cost = (y: number) => Math.abs((a * y) ** 2 - b) + (y - x) ** 2 / (2 * alpha)
    const [y] = phaseRetrieval(Float64Array.of(x), Float64Array.of(a), b, alpha)
    for (let k = -4000; k <= 4000; k++) expect(cost(y)).toBeLessThanOrEqual(cost(k / 1000) + 1e-12)
  }
})

test('model-based-min: random outputs, keys of samples, refusals, restarts', () => {
  const options = {
    config: { variant: 'prox-point', learningRate: 0.3, output: 'random', envelope: 0.1, envelopeEvery: 3 },
  }
  const indices = Array.from({ length: 200 }, (_, seed) => {
    const session = new Turns(method, vectors([2]), {
      config: { ...options.config, schedule: 'constant', envelope: undefined },
      seed,
    })
    return session.steps(4, well).metrics.outputIndex
  })
  // All of four iterates are drawn alike: about 50 times each.
  for (const index of [0, 1, 2, 3]) expect(Math.abs(indices.filter((i) => i === index).length - 50)).toBeLessThan(25)

  const plain = new Turns(method, vectors([2]), options)
  const restarted = new Turns(method, vectors([2]), options)
  const keys = new Map<string, Set<string>>()
  for (let k = 0; k < 60; k++) {
    const { purpose, sampleKey } = plain.query!
    keys.set(purpose!, (keys.get(purpose!) ?? new Set()).add(sampleKey!))
    plain.tell(well)
    restarted.tell(well)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
  expect(keys.get('envelope')).toEqual(new Set(['all']))
  // A key per step: all queries to one prox-point are of one sample.
  expect(Math.abs(keys.get('inner')!.size - plain.estimate.step)).toBeLessThanOrEqual(1)
  expect(plain.counts.inner).toBeGreaterThan(2 * keys.get('inner')!.size)

  const refused =
    (config: object, more: object = {}) =>
    () =>
      new Turns(method, vectors([2], more), { config })
  expect(refused({}, { low: 0 })).toThrow('config.regularizer')
  expect(refused({ regularizer: 'box' })).toThrow('config.regularizer')
  expect(refused({ variant: 'prox-point', inner: 'phase-retrieval', regularizer: 'l1' })).toThrow('config.inner')
  expect(() => new Turns(method, vectors([2]), { direction: 'maximize' })).toThrow('objectives[0].direction')
})
