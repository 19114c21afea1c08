import { expect, test } from 'vitest'
import { method as amsgrad } from '../../../src/optimizers/presets/amsgrad.js'
import { method as optimistic } from '../../../src/optimizers/presets/opt-amsgrad.js'
import { of, Session, vectors } from '../session.js'

const curvatures = Array.from({ length: 10 }, (_, i) => 100 ** (-i / 9))
const gradient = of((x) => curvatures.map((h, i) => h * x[i]))
const value = (x: readonly number[]) => curvatures.reduce((sum, h, i) => sum + 0.5 * h * x[i] ** 2, 0)
const ones = new Array<number>(10).fill(1)

test('[opt-amsgrad] the first steps on x^2/2', () => {
  const session = new Session(optimistic, vectors([1]), { config: { learningRate: 0.1 } })
  session.steps(
    1,
    of((x) => [x[0]]),
  )
  expect(Math.abs(session.x[0] - 0.36754467)).toBeLessThan(1e-7)
  // The half point is 0.68377223 with eps 0, from which eps 1e-8 moves it by 1e-7.
  expect(Math.abs(session.state.slots.w.x[0] - 0.68377233)).toBeLessThan(1e-7)
  expect(
    Math.abs(
      session.steps(
        1,
        of((x) => [x[0]]),
      ).x[0] - 0.00599922,
    ),
  ).toBeLessThan(1e-7)
})

test('[opt-amsgrad] an ill-conditioned bowl: both predictors are ahead of AMSGrad', () => {
  const end = (predictor: string) =>
    value(new Session(optimistic, vectors(ones), { config: { learningRate: 0.001, predictor } }).steps(100, gradient).x)
  expect(end('extrapolate')).toBeLessThan(0.2)
  expect(end('extrapolate')).toBeCloseTo(0.085, 2)
  expect(end('last')).toBeLessThan(1e-3)
  const plain = value(new Session(amsgrad, vectors(ones), { config: { learningRate: 0.001 } }).steps(100, gradient).x)
  expect(plain).toBeGreaterThan(0.35)
})

test('[opt-amsgrad] the extrapolation is the solution of its system', () => {
  const r = 3
  const gradients = Array.from({ length: 6 }, (_, k) => [Math.cos(k), Math.sin(2 * k), 1 / (k + 1), k * 0.1])
  const session = new Session(optimistic, vectors([0, 0, 0, 0]), { config: { predictor: 'extrapolate', memory: r } })
  for (const [k, g] of gradients.entries()) {
    session.tell(g)
    const p = session.state.slots.p.x
    if (k < r) {
      expect(Array.from(p)).toEqual(g)
      continue
    }
    const u = Array.from({ length: r }, (_, i) => g.map((_, j) => gradients[k - i][j] - gradients[k - i - 1][j]))
    const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, ai, i) => sum + ai * b[i], 0)
    const gram = u.map((a) => u.map((b) => dot(a, b)))
    // c of the prediction p = sum c_i g_i, from p itself: sum c = 1 and (M + 1e-8*I)*c is the same in all rows.
    const c = solve(
      u.map((_, i) => [0, 1, 2].map((j) => gradients[k - j][i])),
      [0, 1, 2].map((i) => p[i]),
    )
    expect(c[0] + c[1] + c[2]).toBeCloseTo(1, 8)
    const rows = gram.map((row) => dot(row, c))
    expect(rows[1] / rows[0]).toBeCloseTo(1, 4)
    expect(rows[2] / rows[0]).toBeCloseTo(1, 4)
  }
})

/** Cramer's rule for three equations. */
function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const det = ([p, q, r]: readonly (readonly number[])[]) =>
    p[0] * (q[1] * r[2] - q[2] * r[1]) - p[1] * (q[0] * r[2] - q[2] * r[0]) + p[2] * (q[0] * r[1] - q[1] * r[0])
  return [0, 1, 2].map((k) => det(a.map((row, i) => row.map((v, j) => (j === k ? b[i] : v)))) / det(a))
}

test('[opt-amsgrad] both points stay in the set', () => {
  const box = new Session(optimistic, vectors([0.5], { low: -1, high: 1 }), { config: { learningRate: 5 } })
  for (const g of [1, 1, -1, 1, -1]) {
    box.tell([g])
    for (const x of [box.x[0], box.state.slots.w.x[0]]) expect(Math.abs(x)).toBeLessThanOrEqual(1)
  }
  const ball = new Session(optimistic, vectors([0.5, 0]), { config: { learningRate: 5, ball: 1 } })
  for (const g of [1, -2, 3]) {
    ball.tell([g, 1])
    expect(Math.hypot(...ball.state.slots.w.x)).toBeLessThanOrEqual(1 + 1e-12)
  }
})
