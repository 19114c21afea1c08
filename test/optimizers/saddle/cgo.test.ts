import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method } from '../../../src/optimizers/saddle/cgo.js'
import { of, Session, vectors } from '../session.js'
import { bilinear, Game, type Operator, players } from './game.js'

const start = (config: object) => new Game(method, players({ x: [1], y: [1] }), { learningRate: 0.1, ...config })
const square = (x: readonly number[]) => x.reduce((sum, v) => sum + v * v, 0)

describe.each(['direct', 'cg'])('[cgo] f = x*y, solver %s', (solver) => {
  test('the first step, and the factor of every step', () => {
    const first = start({ solver }).steps(1, bilinear).x
    expect(first[0]).toBeCloseTo(0.9, 10)
    expect(first[1]).toBeCloseTo(1, 10)
    for (const [alpha, factor] of [
      [1, 0.905],
      [0.1, 0.990099],
      [0, 1.01],
    ]) {
      const exact = 1 - (2 * 0.1 * alpha) / (1 + alpha ** 2) + 0.1 ** 2 / (1 + alpha ** 2)
      expect(exact).toBeCloseTo(factor, 6)
      const game = start({ alpha, solver })
      for (let t = 0; t < 20; t++) {
        const before = square(game.x)
        expect(square(game.steps(1, bilinear).x) / before).toBeCloseTo(exact, 9)
      }
    }
  })
  test.each([
    ['cgo', 1, 6.5e-5],
    ['cgo', 0.1, 0.523],
    ['cgo', 0, 3.83],
    ['ocgo', 0, 0.5176],
  ])('%s, alpha %f: norm %f after 200 steps', (variant, alpha, norm) => {
    const found = Math.sqrt(square(start({ variant, alpha, solver }).steps(200, bilinear).x))
    expect(Math.abs(found / norm - 1)).toBeLessThan(0.01)
    if (alpha === 1) expect(found).toBeLessThanOrEqual(1e-4)
  })
})

test('[cgo] ocgo with alpha 0 is optimistic gradient descent-ascent', () => {
  const game = start({ variant: 'ocgo', alpha: 0 })
  let [x, y] = [1, 1]
  let [gx, gy] = [1, 1]
  for (let t = 0; t < 50; t++) {
    const [px, py] = [y, x]
    if (t === 0) [gx, gy] = [px, py]
    ;[x, y] = [x - 0.2 * px + 0.1 * gx, y + 0.2 * py - 0.1 * gy]
    ;[gx, gy] = [px, py]
    game.steps(1, bilinear)
    expect(Math.abs(game.x[0] - x)).toBeLessThan(1e-12)
    expect(Math.abs(game.x[1] - y)).toBeLessThan(1e-12)
  }
})

/** f = x'Px/2 + x'By - y'Qy/2 + c'x + d'y in 5 + 5 dimensions. */
function quadratic(seed: number) {
  const n = 5
  const rng = new Rng(rngStream(seed, 'game'))
  const matrix = () => Array.from({ length: n }, () => Array.from({ length: n }, () => rng.normal() / 2))
  const [M, B, K] = [matrix(), matrix(), matrix()]
  const gram = (m: number[][]) => m.map((_, i) => m.map((_, j) => m.reduce((sum, row) => sum + row[i] * row[j], 0)))
  const [P, Q] = [gram(M), gram(K)]
  const [c, d, x0, y0] = [0, 1, 2, 3].map(() => Array.from({ length: n }, () => rng.normal()))
  const times = (m: number[][], v: ArrayLike<number>) => m.map((row) => row.reduce((sum, a, j) => sum + a * v[j], 0))
  const transposed = B.map((_, j) => B.map((row) => row[j]))
  const gx = (x: ArrayLike<number>, y: ArrayLike<number>) => {
    const [a, b] = [times(P, x), times(B, y)]
    return c.map((v, i) => v + a[i] + b[i])
  }
  const gy = (x: ArrayLike<number>, y: ArrayLike<number>) => {
    const [a, b] = [times(transposed, x), times(Q, y)]
    return d.map((v, i) => v + a[i] - b[i])
  }
  const operator: Operator = ({ x, y }) => ({ x: gx(x, y), y: gy(x, y).map((v) => -v) })
  return { B, transposed, times, gx, gy, operator, space: players({ x: x0, y: y0 }) }
}

test('[cgo] alpha = learningRate is competitive gradient descent; alpha = 0 simultaneous descent-ascent', () => {
  const { B, transposed, times, gx, gy, operator, space } = quadratic(1)
  const lr = 0.1
  // A spacing of 1: the differences are exact on a quadratic, and rounding is smallest.
  const game = new Game(method, space, { learningRate: lr, alpha: lr, solver: 'direct', spacing: 1 })
  let x = Array.from(space.initial!.x)
  let y = Array.from(space.initial!.y)
  for (let t = 0; t < 10; t++) {
    const [p, q] = [gx(x, y), gy(x, y)]
    // (I + lr^2 B B') dx = -lr (gx + lr B gy) and (I + lr^2 B'B) dy = lr (gy - lr B'gx), by fixed-point iteration.
    const solve = (right: number[], outer: number[][], inside: number[][]) => {
      let v = right
      for (let k = 0; k < 200; k++) {
        const w = times(outer, times(inside, v))
        v = right.map((r, i) => r - lr * lr * w[i])
      }
      return v
    }
    const [Bq, Bp] = [times(B, q), times(transposed, p)]
    const dx = solve(
      p.map((v, i) => -lr * (v + lr * Bq[i])),
      B,
      transposed,
    )
    const dy = solve(
      q.map((v, i) => lr * (v - lr * Bp[i])),
      transposed,
      B,
    )
    x = x.map((v, i) => v + dx[i])
    y = y.map((v, i) => v + dy[i])
    game.steps(1, operator)
    ;[...x, ...y].forEach((v, i) => {
      expect(Math.abs(game.x[i] - v)).toBeLessThan(1e-12)
    })
  }

  const gda = new Game(method, space, { learningRate: lr, alpha: 0 })
  const plain = new Session(sgd, vectors([...space.initial!.x, ...space.initial!.y]), { config: { learningRate: lr } })
  for (let t = 0; t < 20; t++) {
    gda.steps(1, operator)
    plain.steps(
      1,
      of((z) => {
        const [a, b] = [Array.from(z).slice(0, 5), Array.from(z).slice(5)]
        return [...gx(a, b), ...gy(a, b).map((v) => -v)]
      }),
    )
    gda.x.forEach((v, i) => {
      expect(Math.abs(plain.x[i] - v)).toBeLessThan(1e-12)
    })
  }
})

test('[cgo] direct and cg agree to 1e-5; cg starts from the last solution; a restart changes nothing', () => {
  const { operator, space } = quadratic(2)
  const [direct, cg, restarted] = ['direct', 'cg', 'cg'].map(
    (solver) => new Game(method, space, { learningRate: 0.05, solver }),
  )
  const iterations: number[] = []
  for (let t = 0; t < 30; t++) {
    direct.steps(1, operator)
    cg.steps(1, operator)
    iterations.push(cg.metrics.solverIterations)
    while (restarted.estimate.step <= t) {
      restarted.tell(operator)
      restarted.restart()
    }
    cg.x.forEach((v, i) => {
      expect(Math.abs(direct.x[i] - v)).toBeLessThan(1e-5)
    })
  }
  expect(restarted.state).toEqual(cg.state)
  // The product of the old solution, and at most one step per dimension.
  expect(Math.max(...iterations)).toBeLessThanOrEqual(7)
})

test('cgo: refuses unknown and missing maximizers, and bounds', () => {
  expect(() => start({ maximizers: ['w'] })).toThrow('"w" is not a tensor')
  expect(() => start({ maximizers: [] })).toThrow('at least one')
  expect(() => new Game(method, players({ x: [0], y: [0] }, { high: 1 }))).toThrow('keeps to no bounds')
})
