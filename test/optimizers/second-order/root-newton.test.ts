import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as aicn } from '../../../src/optimizers/second-order/aicn.js'
import { method as greedyNewton } from '../../../src/optimizers/second-order/greedy-newton.js'
import { method as rootNewton } from '../../../src/optimizers/second-order/root-newton.js'
import { method as universalNewton } from '../../../src/optimizers/second-order/universal-newton.js'
import { Newton, type Smooth, type Vector } from './smooth.js'

/** log(2 + 2*cosh z) and its first two derivatives. */
const softAbs = (z: number) => Math.abs(z) + 2 * Math.log1p(Math.exp(-Math.abs(z)))
const slope = (z: number) => Math.tanh(z / 2)
const bend = (z: number) => 1 / (2 * Math.cosh(z / 2) ** 2)

const line: Smooth = {
  value: ([z]: Vector & Iterable<number>) => softAbs(z),
  gradient: (x) => [slope(x[0])],
  hessian: (x) => [bend(x[0])],
}

/** The sum over random directions of log(2 + 2*cosh(a.x - b)). */
function sum(seed: number, d = 5, rows = 15): Smooth {
  const rng = new Rng(rngStream(seed, 'rows'))
  const A = Array.from({ length: rows }, () => Array.from({ length: d }, () => rng.normal()))
  const b = A.map(() => rng.normal())
  const along = (x: Vector) => A.map((a, i) => a.reduce((s, v, j) => s + v * x[j], -b[i]))
  return {
    value: (x) => along(x).reduce((s, z) => s + softAbs(z), 0),
    gradient: (x) => {
      const z = along(x)
      return A[0].map((_, j) => z.reduce((s, zi, i) => s + slope(zi) * A[i][j], 0))
    },
    hessian: (x) => {
      const z = along(x)
      return Array.from({ length: d * d }, (_, at) =>
        z.reduce((s, zi, i) => s + bend(zi) * A[i][Math.floor(at / d)] * A[i][at % d], 0),
      )
    },
  }
}
/** Newton's method without damping: root-newton with a constant that is next to nothing. */
const undamped = (smooth: Smooth, start: Vector) => new Newton(rootNewton, start, { M: 1e-300 }, smooth)

describe('[root-newton]', () => {
  test.each([
    [2, 1.99821251],
    [3, 1.38574756],
    // By the same formula; 1.12312344 is a slip of the digits: 3 - n/(1 + (9*l^2)^(1/3)), n = 10.0178749, l^2 = 9.0676.
    [4, 1.12313744],
  ])('the first step for q = %d', (q, x) => {
    const { x: after } = new Newton(rootNewton, [3], { q, M: 1 }, line).steps(1)
    expect(Math.abs(after[0] - x)).toBeLessThan(1e-7)
  })

  test('converges where the undamped method overflows', () => {
    expect(Math.abs(new Newton(rootNewton, [3], { q: 3, M: 1 }, line).steps(13).x[0])).toBeLessThan(1e-8)
    expect(Math.abs(new Newton(rootNewton, [3], { q: 4, M: 1 }, line).steps(9).x[0])).toBeLessThan(1e-8)
    const newton = undamped(line, [3])
    expect(newton.steps(1).x[0]).toBeCloseTo(-7.018, 3)
    expect(newton.steps(1).x[0]).toBeCloseTo(551.2, 1)
    // The curvature there is zero in double precision, and no number is left to step by.
    newton.steps(5)
    expect(newton.done).toBeDefined()
    expect(Math.abs(newton.x[0])).toBeGreaterThan(500)
  })

  test('un: the accepted points, one trial gradient per step', () => {
    const newton = new Newton(universalNewton, [3], { beta: 1, growth: 2 }, line)
    for (const x of [0.50255899, 0.05833924, 5.62835e-4]) {
      newton.steps(1)
      expect(newton.metrics.tries).toBe(1)
      expect(Math.abs(newton.x[0] / x - 1)).toBeLessThan(1e-6)
    }
    while (Math.abs(newton.x[0]) > 1e-16) newton.steps(1)
    // Six trials, and the gradient at the start.
    expect(newton.told.gradient).toBeLessThanOrEqual(7)
    const other = new Newton(universalNewton, [3], { beta: 2 / 3, growth: 2 }, line).steps(1)
    expect(other.metrics.tries).toBe(2)
    expect(other.x[0]).toBeCloseTo(1.06251908, 7)
  })

  test('a sum of 15: monotone, and at the minimum after 20 steps where the undamped method diverges', () => {
    for (let seed = 0; seed < 5; seed++) {
      const smooth = sum(seed)
      const start = [2, 2, 2, 2, 2]
      const newton = new Newton(rootNewton, start, { q: 3, M: 1 }, smooth)
      const values = [smooth.value(start, newton.query!)]
      for (let k = 0; k < 20; k++) values.push(smooth.value(newton.steps(1).x, newton.query!))
      for (let k = 1; k < values.length; k++) expect(values[k]).toBeLessThanOrEqual(values[k - 1] + 1e-12)
      const best = smooth.value(newton.steps(40).x, newton.query!)
      expect(values[20] - best).toBeLessThanOrEqual(1e-10)
      const free = undamped(smooth, start).steps(20)
      expect(smooth.value(free.x, newton.query!)).toBeGreaterThan(values[0])
    }
  })

  test('greedy and exact step sizes: the best of the grid, in one query', () => {
    const start = [3]
    const exact = new Newton(greedyNewton, start, { criterion: 'exact', trials: 50, smallest: 1e-3 }, line).steps(1)
    const grid = Array.from({ length: 50 }, (_, i) => 1e-3 ** (1 - i / 49))
    const n = slope(3) / bend(3)
    const best = Math.min(...grid.map((alpha) => softAbs(3 - alpha * n)))
    expect(softAbs(exact.x[0])).toBeCloseTo(best, 12)
    expect(exact.told).toEqual({ value: 51, gradient: 1, quantities: 1 })

    const greedy = new Newton(greedyNewton, start, {}, line)
    const merit = (alpha: number) => {
      const [x, gain] = [3 - alpha * n, slope(3 - alpha * n) ** 2 / bend(3)]
      return (softAbs(x) - softAbs(3)) / gain
    }
    const finest = Array.from({ length: 400 }, (_, i) => 1e-10 ** (1 - i / 399))
    greedy.steps(1)
    expect(merit(greedy.metrics.alpha)).toBeCloseTo(Math.min(...finest.map(merit)), 9)
    expect(Math.abs(greedy.steps(6).x[0])).toBeLessThan(1e-8)
  })

  test('aicn: the step size of its cubic model', () => {
    const newton = new Newton(aicn, [3], { M: 2 }, line).steps(1)
    const n = slope(3) / bend(3)
    const l = Math.sqrt(slope(3) * n)
    expect(newton.x[0]).toBeCloseTo(3 - ((Math.sqrt(1 + 4 * l) - 1) / (2 * l)) * n, 12)
    expect(Math.abs(newton.steps(15).x[0])).toBeLessThan(1e-8)
  })

  test.each([rootNewton, universalNewton, aicn])(
    '$id: the same steps by a matrix, by axes, and by products one by one',
    (method) => {
      const smooth = sum(7)
      const start = [1, 0, -1, 2, 1]
      const by = (hessian: string) => new Newton(method, start, { hessian }, smooth).steps(5)
      const [matrix, products, cg] = ['matrix', 'products', 'cg'].map(by)
      expect(products.x).toEqual(matrix.x)
      expect(Math.hypot(...cg.x.map((x, i) => x - matrix.x[i]))).toBeLessThan(1e-7)
      expect(matrix.told.hvp).toBeUndefined()
      expect(products.told.quantities).toBeUndefined()
    },
  )

  test('affine maps of the parameters change nothing', () => {
    const smooth = sum(3, 2)
    const T = [2, 1, 0, 0.5]
    const map = (y: Vector) => [T[0] * y[0] + T[1] * y[1], T[2] * y[0] + T[3] * y[1]]
    const back = (g: Vector) => [T[0] * g[0] + T[2] * g[1], T[1] * g[0] + T[3] * g[1]]
    const mapped: Smooth = {
      value: (y, query) => smooth.value(map(y), query),
      gradient: (y, query) => back(smooth.gradient(map(y), query)),
      hessian(y, query) {
        const H = smooth.hessian(map(y), query)
        const columns = [0, 1].map((j) => back([0, 1].map((i) => H[2 * i] * T[j] + H[2 * i + 1] * T[2 + j])))
        return [columns[0][0], columns[1][0], columns[0][1], columns[1][1]]
      },
    }
    const y = new Newton(rootNewton, [1, -1], { q: 4 }, mapped).steps(4)
    const x = new Newton(rootNewton, map([1, -1]), { q: 4 }, smooth).steps(4)
    map(y.x).forEach((value, i) => {
      expect(value).toBeCloseTo(x.x[i], 10)
    })
  })

  test('ends at the tolerance, refuses what is not convex, and takes a maximum', () => {
    const newton = new Newton(rootNewton, [3], { tolerance: 1e-3 }, line).steps(100)
    expect(newton.done).toContain('local norm')
    expect(newton.metrics.localNorm).toBeLessThanOrEqual(1e-3)
    const saddle: Smooth = { value: () => 0, gradient: () => [1, 1], hessian: () => [1, 0, 0, -2] }
    for (const hessian of ['matrix', 'products'])
      expect(new Newton(rootNewton, [0, 0], { hessian }, saddle).steps(1).done).toContain('eigenvalue -2')
    const hill: Smooth = {
      value: (x, query) => -line.value(x, query),
      gradient: ([z]: Vector & Iterable<number>) => [-slope(z)],
      hessian: (x) => [-bend(x[0])],
    }
    for (const hessian of ['matrix', 'products', 'cg'])
      expect(
        Math.abs(new Newton(universalNewton, [3], { hessian }, hill, { direction: 'maximize' }).steps(6).x[0]),
      ).toBeLessThan(1e-8)
  })
})
