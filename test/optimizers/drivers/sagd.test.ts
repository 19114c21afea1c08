import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { strongGrowth } from '../../../src/optimizers/diagnostics/strong-growth.js'
import { method as adagradNorm } from '../../../src/optimizers/presets/adagrad-norm.js'
import { method as sagd } from '../../../src/optimizers/presets/sagd-interp.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

const around = (learningRate: number, driver: object) => ({ learningRate, driver: { id: 'sagd', ...driver } })
const square = (x: ArrayLike<number>) => Array.from(x).reduce((sum, v) => sum + v * v, 0)

test('[sagd-interp] without noise both forms are the constant scheme of Nesterov', () => {
  const c = [1, 0.01]
  const gradient = of((x) => c.map((ci, i) => ci * x[i]))
  const full = new Session(sgd, vectors([1, 1]), { config: around(1, { mu: 0.01 }) })
  const stochastic = new Session(sgd, vectors([1, 1]), { config: around(1, { mu: 0.01, dual: 'stochastic' }) })
  let [w, y] = [
    [1, 1],
    [1, 1],
  ]
  for (let k = 0; k < 100; k++) {
    const last = w
    w = y.map((yi, i) => yi - c[i] * yi)
    // (1 - sqrt(mu/L))/(1 + sqrt(mu/L)).
    y = w.map((wi, i) => wi + (0.9 / 1.1) * (wi - last[i]))
    full.steps(1, gradient)
    stochastic.steps(1, gradient)
    for (const i of [0, 1]) {
      expect(Math.abs(full.x[i] - stochastic.x[i])).toBeLessThan(1e-12)
      expect(Math.abs(full.x[i] - w[i])).toBeLessThan(1e-12)
      expect(Math.abs(full.asked.x[i] - y[i])).toBeLessThan(1e-12)
    }
    expect(full.metrics.alpha).toBeCloseTo(0.1, 12)
    expect(full.metrics.lambda).toBeCloseTo(0.01, 12)
    expect(full.metrics.bound).toBeCloseTo(0.9 ** (k + 1), 12)
    expect(full.metrics.strongGrowth).toBe(1)
  }
})

/** Solves S*x = b of a symmetric positive definite matrix, by elimination. */
function solve(S: number[][], b: number[]): number[] {
  const a = S.map((row, i) => [...row, b[i]])
  const n = b.length
  for (let k = 0; k < n; k++)
    for (let i = 0; i < n; i++) {
      if (i === k) continue
      const factor = a[i][k] / a[k][k]
      for (let j = k; j <= n; j++) a[i][j] -= factor * a[k][j]
    }
  return a.map((row, i) => row[n] / row[i])
}
const times = (S: number[][], x: number[]) => S.map((row) => row.reduce((sum, v, j) => sum + v * x[j], 0))
/** The largest eigenvalue of a product of symmetric matrices that has positive ones, by powers. */
function largest(apply: (x: number[]) => number[], n: number): number {
  let x = Array.from({ length: n }, (_, i) => 1 + i / n)
  let size = 0
  for (let k = 0; k < 3000; k++) {
    x = apply(x)
    size = Math.sqrt(square(x))
    x = x.map((v) => v / size)
  }
  return size
}

test('[sagd-interp] interpolating least squares: within its bound, and long before SGD', () => {
  const [n, d, batch] = [200, 20, 10]
  for (let seed = 0; seed < 3; seed++) {
    const rng = new Rng(rngStream(seed, 'data'))
    const A = Array.from({ length: n }, () =>
      Float64Array.from({ length: d }, (_, j) => rng.normal() * 10 ** ((-1.5 * j) / (d - 1))),
    )
    const start = Array.from({ length: d }, () => rng.normal())
    /** Of the errors w - w*, with w* = 0: mean (a'w)^2/2 has the Hessian H; M is the mean of |a|^2 a a'. */
    const mean = (weight: (a: Float64Array) => number) =>
      Array.from({ length: d }, (_, i) =>
        Array.from({ length: d }, (_, j) => A.reduce((sum, a) => sum + (weight(a) * a[i] * a[j]) / n, 0)),
      )
    const H = mean(() => 1)
    const M = mean(square)
    const L = largest((x) => times(H, x), d)
    const mu = 1 / largest((x) => solve(H, x), d)
    // E|g|^2 = |grad f|^2 (1 - 1/b) + w'Mw/b, and |grad f|^2 = |Hw|^2.
    const rho = 1 - 1 / batch + largest((x) => solve(H, times(M, solve(H, x))), d) / batch
    const eta = 1 / (rho * L)
    const value = (w: ArrayLike<number>) => {
      const x = Array.from(w)
      return times(H, x).reduce((sum, v, i) => sum + (v * x[i]) / 2, 0)
    }
    const oracle = (draws: Rng) =>
      of((w) => {
        const g = new Float64Array(d)
        for (let k = 0; k < batch; k++) {
          const a = A[draws.integer(n)]
          let error = 0
          for (let j = 0; j < d; j++) error += a[j] * w[j]
          for (let j = 0; j < d; j++) g[j] += (error * a[j]) / batch
        }
        return g
      })
    const stochastic = oracle(new Rng(rngStream(seed, 'batches')))
    const whole = of((w) => times(H, Array.from(w)))
    const session = new Session(sgd, vectors(start), { config: around(eta, { mu }) })
    const base = value(start) + (mu / 2) * square(start)
    let steps = 0
    for (; value(session.x) > 1e-6 * value(start) && steps < 5000; steps++) {
      session.steps(1, (x, query) => (query.purpose === 'full' ? whole : stochastic)(x, query))
      expect(value(session.x)).toBeLessThanOrEqual(1.01 * base * (1 - Math.sqrt(mu / (rho * L))) ** (steps + 1))
    }
    expect(steps).toBeLessThan(5000)
    expect(session.metrics.strongGrowth).toBeGreaterThan(1)
    expect(session.metrics.strongGrowth).toBeLessThan(rho)
    const plain = new Session(sgd, vectors(start), { config: { learningRate: eta, reportNorm: false } })
    expect(value(plain.steps(20000, oracle(new Rng(rngStream(seed, 'batches')))).x)).toBeGreaterThan(
      1e-6 * value(start),
    )
  }
}, 30_000)

test('[sagd-interp] mu = 0: lambda falls, and the error stays below its bound on a quadratic without full rank', () => {
  const c = [1, 0.3, 0.01, 1e-4, 0]
  const start = [1, -1, 2, 3, 5]
  const f = (x: readonly number[]) => x.reduce((sum, v, i) => sum + (c[i] * v * v) / 2, 0)
  const [eta, lambda0] = [1, 1]
  // w* nearest to the start: the last coordinate stays.
  const base = f(start) + (lambda0 / 2) * square(start.slice(0, 4))
  const session = new Session(sgd, vectors(start), { config: around(eta, {}) })
  for (let k = 1, last = lambda0; k <= 1000; k++) {
    session.steps(
      1,
      of((x) => c.map((ci, i) => ci * x[i])),
    )
    expect(session.metrics.lambda).toBeLessThan(last)
    last = session.metrics.lambda
    expect(f(session.x)).toBeLessThanOrEqual((4 * base) / (2 + k * Math.sqrt(eta * lambda0)) ** 2)
  }
})

test('sagd: the two queries of a step, the damped momentum, other rules, and a restart', () => {
  const session = new Session(sgd, vectors([2]), { config: around(0.5, { mu: 0.5, rho: 4, dual: 'full' }) })
  const [first] = [session.query]
  expect(first.purpose).toBe('step')
  session.tell([3])
  expect(session.query.purpose).toBe('full')
  expect(session.query.sampleKey).not.toBe(first.sampleKey)
  expect(session.asked.x[0]).toBe(2)
  session.tell([1])
  expect(session.x[0]).toBe(2 - 0.5 * 3)
  expect(session.metrics.alpha).toBeCloseTo(0.5, 12)
  expect(session.view('dual').x[0]).toBeCloseTo((0.5 * 0.5 * 2 + 0.5 * 0.5 * 2 - 0.5 * 1) / 0.5, 12)
  expect(session.metrics.strongGrowth).toBe(9)

  const damped = new Session(sgd, vectors([2]), { config: around(0.5, { mu: 0.5, rho: 4, dual: 'stochastic' }) })
  damped.tell([1])
  expect(damped.metrics.alpha).toBeCloseTo(Math.sqrt((0.5 / 4) * 0.5), 12)
  expect(damped.metrics.gradients).toBe(1)

  const config = { ...around(1, { mu: 0.1 }) }
  const adaptive = new Session(adagradNorm, vectors([1, 1]), { config })
  expect(
    square(
      adaptive.steps(
        200,
        of((x) => [x[0], 0.1 * x[1]]),
      ).x,
    ),
  ).toBeLessThan(1e-6)
  const still = new Session(sgd, vectors([1]), { config: around(0, {}) })
  expect(
    still.steps(
      2,
      of((x) => x),
    ).x,
  ).toEqual([1])

  const plain = new Session(sagd, vectors([1, 2])).steps(
    10,
    of((x) => x),
  )
  const restarted = new Session(sagd, vectors([1, 2]))
  for (let k = 0; k < 20; k++) {
    restarted.tell(restarted.asked.x)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
})

test('strong growth: mean square over square of the mean', () => {
  const at = (...x: number[]) => ({ x: Float64Array.from(x) })
  expect(strongGrowth([at(3, 4), at(0, 5)], at(1.5, 4.5))).toBeCloseTo(25 / 22.5, 14)
  expect(strongGrowth([at(1, 0)], at(0, 0))).toBe(Infinity)
  expect(strongGrowth([at(0, 0)], at(0, 0))).toBeNaN()
})
