import { expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { FittingName } from '../../../src/optimizers/preconditioners/index.js'
import { fittings } from '../../../src/optimizers/preconditioners/index.js'
import { method } from '../../../src/optimizers/presets/hessian-fitting.js'
import { distance, layoutOf, type Matrix, product } from '../preconditioners/fits.js'
import { Session, vectors } from '../session.js'

const n = 20
const H: Matrix = Array.from({ length: n }, (_, i) =>
  Float64Array.from({ length: n }, (_, j) => (i === j ? 1.05 : Math.abs(i - j) === 1 ? 0.5 : 0)),
)
/** (H^2 + variance*I)^1/2 */
function root(variance: number): Matrix {
  const square = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    return product(H, H[j])[i] + (i === j ? variance : 0)
  })
  const values = symmetricEigen(square, n)
  return H.map((_, i) =>
    Float64Array.from(H, (_, j) =>
      values.reduce((sum, value, k) => sum + Math.sqrt(value) * square[i * n + k] * square[j * n + k], 0),
    ),
  )
}

/** Fits through a session that stays where it is; answers the distance of P*target to the identity. */
function fitted(group: FittingName, pairs: number, rate: number, noise = 0, target = H): number {
  const rng = new Rng(rngStream(7, 'noise'))
  const session = new Session(method, vectors(Array(n).fill(0)), {
    config: { answer: 'direction', driver: { id: 'psgd', group, rate, scale: 1 } },
    product: (_, { x }) => ({ x: product(H, x).map((value) => (noise > 0 ? value + noise * rng.normal() : value)) }),
  })
  session.steps(pairs, () => ({ x: new Float64Array(n) }))
  return distance(group, session.state.driver.arrays!, layoutOf(n), target)
}

test('[hessian-fitting] one step of one parameter, Q = 1, v = 1, h = 2', () => {
  const after = (group: FittingName) => {
    const rng = new Rng(rngStream(1, 'step'))
    const layout = layoutOf(1)
    const fit = fittings[group].begin(layout, 1, rng)
    fittings[group].learn(fit, layout, { v: Float64Array.of(1), h: Float64Array.of(2) }, 1, rng)
    return { Q: fit.Q, P: fittings[group].apply(fit, layout, Float64Array.of(1)) }
  }
  for (const group of ['gl', 'triangular'] as const) {
    expect(after(group).Q[0]).toBeCloseTo(0.4, 12)
    expect(after(group).P[0]).toBeCloseTo(0.16, 12)
  }
  expect(after('spd').P[0]).toBeCloseTo(0.4, 12)
  expect(after('closed-form').P[0]).toBeCloseTo(0.5, 12)
  expect(after('bfgs').P[0]).toBeCloseTo(0.5, 12)
})

test('[hessian-fitting] |P H - I| after 3,000 clean pairs', () => {
  expect(fitted('gl', 3000, 1)).toBeLessThan(1e-6)
  expect(fitted('triangular', 3000, 1)).toBeLessThan(1e-2)
  expect(fitted('spd', 3000, 1)).toBeLessThan(1e-2)
  expect(fitted('bfgs', 3000, 1)).toBeLessThan(1e-6)
  expect(fitted('closed-form', 3000, 1)).toBeGreaterThan(0.1)
  expect(fitted('euclidean', 3000, 1)).toBeGreaterThan(1)
})

test('[hessian-fitting] 6,000 pairs with noise 0.01: gl is near (H^2 + 1e-4 I)^1/2, and bfgs is not', () => {
  const target = root(1e-4)
  const gl = fitted('gl', 6000, 0.1, 0.01, target)
  const bfgs = fitted('bfgs', 6000, 0.1, 0.01, target)
  expect(gl).toBeLessThan(0.12)
  expect(bfgs).toBeGreaterThan(0.15)
  expect(gl).toBeLessThan(bfgs)
})

test('[hessian-fitting] answers P g, and the error of the fit on pairs to come', () => {
  const session = new Session(method, vectors([3, -2]), {
    config: { answer: 'direction' },
    product: (_, { x }) => ({ x: [4 * x[0], 0.25 * x[1]] }),
  })
  const first = session.steps(1, () => ({ x: [8, 1] })).metrics
  session.steps(300, () => ({ x: [8, 1] }))
  expect(session.answer.x[0]).toBeCloseTo(2, 6)
  expect(session.answer.x[1]).toBeCloseTo(4, 6)
  expect(session.x).toEqual([3, -2])
  expect(first.fittingError).toBeGreaterThan(0.5)
  expect(session.metrics.fittingError).toBeLessThan(1e-6)
  // h'Ph + v'P^-1v is 2 v'H v at the solution.
  expect(session.metrics.criterion).toBeGreaterThan(0)
})

test('[hessian-fitting] an indefinite Hessian: P is the inverse of its absolute value; the same by differences', () => {
  const gradient = (x: ArrayLike<number>) => ({ x: [4 * x[0], -0.25 * x[1]] })
  for (const pairs of ['hvp', 'difference']) {
    const session = new Session(method, vectors([3, -2]), {
      config: { answer: 'direction', driver: { id: 'psgd', group: 'diagonal', rate: 0.5, pairs } },
      product: (_, { x }) => gradient(x),
    })
    session.steps(1000, ({ x }) => gradient(x))
    expect(session.answer.x[0]).toBeCloseTo(3, 6)
    expect(session.answer.x[1]).toBeCloseTo(2, 6)
  }
})
