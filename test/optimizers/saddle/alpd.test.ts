import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/saddle/alpd.js'
import { Game, type Operator, players } from './game.js'

const N = 30
const M = 30
const Q = Array.from({ length: N }, (_, i) => 10 ** (-1 + (4 * i) / (N - 1)))
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/** f = x'Qx/2 - c'x with c = Q x* for a normal x*, phi = y'Ax with |A| = 1, g = |y|^2/2, and the exact duality gap. */
function instance(seed: number, scale = 1) {
  const rng = new Rng(rngStream(seed, 'saddle'))
  let A = Array.from({ length: M }, () => Float64Array.from({ length: N }, () => rng.normal()))
  const c = Float64Array.from(Q, (q) => q * rng.normal())
  const times = (x: ArrayLike<number>) => Float64Array.from(A, (row) => dot(row, x))
  const back = (y: ArrayLike<number>) => {
    const x = new Float64Array(N)
    A.forEach((row, i) => {
      for (let j = 0; j < N; j++) x[j] += row[j] * y[i]
    })
    return x
  }
  let v = Float64Array.from({ length: N }, () => 1)
  for (let k = 0; k < 500; k++) {
    const w = back(times(v))
    const length = Math.sqrt(dot(w, w))
    v = w.map((value) => value / length)
  }
  const norm = Math.sqrt(dot(times(v), times(v)))
  A = A.map((row) => row.map((value) => (scale * value) / norm))
  const f = (x: ArrayLike<number>) => 0.5 * Q.reduce((sum, q, i) => sum + q * x[i] ** 2, 0) - dot(c, x)
  const operator: Operator = ({ x, y }, { purpose }) =>
    purpose === 'smooth'
      ? { x: Q.map((q, i) => q * x[i] - c[i]), y: new Float64Array(M) }
      : { x: back(y), y: times(x).map((value) => -value) }
  const gap = (z: readonly number[]) => {
    const [x, y] = [z.slice(0, N), z.slice(N)]
    const Ax = times(x)
    const r = back(y).map((value, i) => c[i] - value)
    return f(x) + 0.5 * dot(Ax, Ax) + 0.5 * Q.reduce((sum, q, i) => sum + r[i] ** 2 / q, 0) + 0.5 * dot(y, y)
  }
  return { c, f, operator, gap }
}
const start = (variant: string, config: object = {}) =>
  new Game(method, players({ x: Array(N).fill(0), y: Array(M).fill(0) }), { variant, lipschitz: 1000, ...config })
/** Each step of these two asks three times. */
const steps = (game: Game, count: number, operator: Operator) => {
  for (let k = 0; k < 3 * count; k++) game.tell(operator)
  return game
}

describe.each([1, 2, 3, 4])('[alpd] quadratic f of condition 10,000 (seed %i)', (seed) => {
  const { operator, gap } = instance(seed)
  const gaps = (variant: string) => {
    const game = start(variant)
    return [1600, 1600].map((count) => gap(steps(game, count, operator).x))
  }
  test('the gap after 1,600 steps, and its rate', () => {
    const [early, late] = gaps('alpd')
    const [linearEarly, linearLate] = gaps('lpd')
    expect(early).toBeLessThanOrEqual(1e-4)
    expect(early).toBeLessThanOrEqual(1e-3 * linearEarly)
    expect(late / early).toBeLessThanOrEqual(0.3)
    expect(linearLate / linearEarly).toBeGreaterThanOrEqual(0.3)
  })
})

test('[alpd] without a coupling: accelerated descent, which lpd is not', () => {
  const { c, f, operator } = instance(1, 0)
  const optimum = -0.5 * Q.reduce((sum, q, i) => sum + c[i] ** 2 / q, 0)
  const distance = Q.reduce((sum, q, i) => sum + (c[i] / q) ** 2, 0)
  const bound = (t: number) => (4 * 1000 * distance) / (t * (t + 1))
  const game = start('alpd', { coupling: 0 })
  for (let t = 1; t <= 200; t++) {
    const z = steps(game, 1, operator).x
    expect(f(z) - optimum).toBeLessThanOrEqual(bound(t))
    expect(z.slice(N).every((y) => y === 0)).toBe(true)
  }
  expect(f(steps(start('lpd', { coupling: 0 }), 200, operator).x) - optimum).toBeGreaterThan(bound(200))
})

test('alpd-inexact: follows alpd where the coupling is linear, and takes one that is not', () => {
  const { operator, gap } = instance(2)
  const inexact = start('alpd-inexact')
  while (inexact.estimate.step < 400) inexact.tell(operator)
  const exact = gap(steps(start('alpd'), 400, operator).x)
  expect(gap(inexact.x)).toBeLessThan(2 * exact)

  // phi = y (x^2 + 2)/2 with g = y^2/2 and f = (x - 1)^2/2: at the saddle y = (x^2 + 2)/2 and x - 1 + y x = 0.
  const curved: Operator = ({ x: [x], y: [y] }, { purpose }) =>
    purpose === 'smooth' ? { x: [x - 1], y: [0] } : { x: [x * y], y: [-(x * x + 2) / 2] }
  const game = new Game(method, players({ x: [1.5], y: [0] }), { variant: 'alpd-inexact', coupling: 2, curvature: 1 })
  while (game.estimate.step < 200) game.tell(curved)
  const [x, y] = game.x
  expect(y).toBeCloseTo((x * x + 2) / 2, 3)
  expect(x - 1 + y * x).toBeCloseTo(0, 3)
})

test('alpd: an l1 penalty sets small coordinates to zero', () => {
  const told: Operator = ({ x }, { purpose }) =>
    purpose === 'smooth' ? { x: [x[0] - 1, x[1] - 0.1], y: [0] } : { x: [0, 0], y: [0] }
  const game = new Game(method, players({ x: [0, 0], y: [0] }), { l1: 0.3, coupling: 0 })
  for (let k = 0; k < 600; k++) game.tell(told)
  expect(game.x[0]).toBeCloseTo(0.7, 4)
  expect(game.x[1]).toBe(0)
})
