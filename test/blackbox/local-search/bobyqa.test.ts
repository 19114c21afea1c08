import { describe, expect, it } from 'vitest'
import { method as nelderMead } from '../../../src/blackbox/evolution/nelder-mead.js'
import { dot } from '../../../src/blackbox/linalg/dense.js'
import { method } from '../../../src/blackbox/local-search/bobyqa.js'
import { boxedStep } from '../../../src/blackbox/local-search/boxed-step.js'
import { layout, mostTelling } from '../../../src/blackbox/local-search/geometry.js'
import {
  change,
  denominators,
  interpolation,
  lagrange,
  modelThrough,
} from '../../../src/blackbox/local-search/interpolation.js'
import { method as powell } from '../../../src/blackbox/local-search/powell.js'
import { type AnyMethod, checkSuitable } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem, type Told } from '../drive.js'

const randoms = (count: number, rng: Rng) => Float64Array.from({ length: count }, () => rng.normal())
const symmetric = (n: number, rng: Rng) => {
  const a = randoms(n * n, rng)
  return a.map((v, at) => v + a[(at % n) * n + Math.floor(at / n)])
}
/** Solves a x = b by elimination with partial pivoting; also the determinant. */
function eliminate(rows: number[][], b: number[]): { x: number[]; determinant: number } {
  const a = rows.map((row, i) => [...row, b[i]])
  const n = a.length
  let determinant = 1
  for (let k = 0; k < n; k++) {
    const pivot = a.reduce((p, row, i) => (i >= k && Math.abs(row[k]) > Math.abs(a[p][k]) ? i : p), k)
    if (pivot !== k) determinant *= -1
    ;[a[k], a[pivot]] = [a[pivot], a[k]]
    determinant *= a[k][k]
    for (let i = k + 1; i < n; i++) {
      const factor = a[i][k] / a[k][k]
      for (let j = k; j <= n; j++) a[i][j] -= factor * a[k][j]
    }
  }
  const x = new Array<number>(n).fill(0)
  for (let i = n - 1; i >= 0; i--)
    x[i] = (a[i][n] - x.reduce((sum, v, j) => (j > i ? sum + a[i][j] * v : sum), 0)) / a[i][i]
  return { x, determinant }
}

describe('the model', () => {
  const n = 3
  const stepTo = (points: Float64Array, i: number, base: number, n: number) =>
    points.slice(i * n, (i + 1) * n).map((v, j) => v - points[base * n + j])

  it.each([
    ['about one another', () => 1],
    ['near and far', (i: number) => (i % 2 === 0 ? 1 : 0.01)],
  ])('meets the values at the points, %s, and its Lagrange polynomials are 1 or 0', (_, spread) => {
    const rng = new Rng(rngStream(1, 'points'))
    const points = randoms(7 * n, rng).map((v, at) => v * spread(Math.floor(at / n)))
    const values = randoms(7, rng)
    for (const base of [0, 3, 6]) {
      const set = interpolation(points, n, base, 0.7)!
      const model = modelThrough(set, values, symmetric(n, rng))
      for (let i = 0; i < 7; i++) {
        const s = stepTo(points, i, base, n)
        expect(values[base] + change(model, s)).toBeCloseTo(values[i], 8)
        for (let t = 0; t < 7; t++)
          expect((t === base ? 1 : 0) + change(lagrange(set, t), s)).toBeCloseTo(t === i ? 1 : 0, 8)
      }
    }
  })

  it('is the quadratic itself where the points determine it', () => {
    const rng = new Rng(rngStream(2, 'full'))
    const points = randoms(10 * n, rng)
    const truth = { gradient: randoms(n, rng), hessian: symmetric(n, rng) }
    const values = Array.from({ length: 10 }, (_, i) => change(truth, stepTo(points, i, 4, n)))
    const { gradient, hessian } = modelThrough(interpolation(points, n, 4, 1)!, values, symmetric(n, rng))
    for (let j = 0; j < n; j++) expect(gradient[j]).toBeCloseTo(truth.gradient[j], 8)
    for (let j = 0; j < n * n; j++) expect(hessian[j]).toBeCloseTo(truth.hessian[j], 8)
  })

  it.each([4, 5])(
    'has of all such Hessians the nearest to the last: %i points, by the conditions of Karush, Kuhn and Tucker',
    (m) => {
      const rng = new Rng(rngStream(m, 'frobenius'))
      const points = randoms(m * 2, rng)
      const values = randoms(m, rng)
      const last = symmetric(2, rng)
      // Unknown: the gradient, h11, h12, h22, and a multiplier for each of the other points.
      const rows = Array.from({ length: m - 1 }, (_, i) => {
        const [a, b] = stepTo(points, i + 1, 0, 2)
        return [a, b, 0.5 * a * a, a * b, 0.5 * b * b]
      })
      const weights = [0, 0, 2, 4, 2]
      const kkt = [
        ...weights.map((w, k) => [...weights.map((_, j) => (j === k ? w : 0)), ...rows.map((row) => row[k])]),
        ...rows.map((row) => [...row, ...rows.map(() => 0)]),
      ]
      const target = [0, 0, last[0], last[1], last[3]]
      const right = [...weights.map((w, k) => w * target[k]), ...rows.map((_, i) => values[i + 1] - values[0])]
      const [g1, g2, h11, h12, h22] = eliminate(kkt, right).x
      const { gradient, hessian } = modelThrough(interpolation(points, 2, 0, 0.3)!, values, last)
      const found = [...gradient, ...hessian]
      expect(found).toEqual([g1, g2, h11, h12, h12, h22].map((v) => expect.closeTo(v, 9)))
    },
  )

  it('knows how the determinant of the system changes when a point is replaced', () => {
    const rng = new Rng(rngStream(5, 'determinant'))
    const points = randoms(5 * 2, rng)
    const x = randoms(2, rng)
    const determinant = (p: Float64Array) => {
      const row = (i: number) => p.subarray(2 * i, 2 * i + 2)
      const a = Array.from({ length: 5 }, (_, i) => Array.from({ length: 5 }, (_, j) => 0.5 * dot(row(i), row(j)) ** 2))
      const c = Array.from({ length: 5 }, (_, i) => [1, ...row(i)])
      const rows = [...a.map((r, i) => [...r, ...c[i]]), ...[0, 1, 2].map((k) => [...c.map((r) => r[k]), 0, 0, 0])]
      return eliminate(
        rows,
        rows.map(() => 0),
      ).determinant
    }
    const sigma = denominators(
      interpolation(points, 2, 2, 1.3)!,
      x.map((v, j) => v - points[4 + j]),
    )
    for (let t = 0; t < 5; t++) {
      const replaced = points.slice()
      replaced.set(x, 2 * t)
      const ratio = Math.abs(determinant(replaced) / determinant(points))
      expect(sigma[t] / ratio).toBeCloseTo(1, 8)
    }
  })

  it('there is none through points on a line', () => {
    expect(interpolation(Float64Array.of(0, 0, 1, 1, 2, 2, 3, 3), 2, 0, 1)).toBeUndefined()
    expect(interpolation(Float64Array.of(0, 0, 1, 0, 0, 1, 0, 1), 2, 0, 1)).toBeUndefined()
  })

  it.each([5, 6, 7, 9, 15])('its first %i points determine it, within the bounds', (count) => {
    const rng = new Rng(rngStream(count, 'layout'))
    const box = { low: 0, high: 1 } as Parameters<typeof layout>[3]
    const n = count === 5 ? 3 : 4
    for (const x of [Float64Array.of(0, 1, 0.1, 0.93), Float64Array.of(0.5, 0.25, 0.75, 0.6)]) {
      const points = layout(x.slice(0, n), count, 0.25, box, rng)
      expect(points.length).toBe(count * n)
      for (const v of points) expect(v >= 0 && v <= 1).toBe(true)
      expect(interpolation(points, n, 0, 0.25)).toBeDefined()
    }
  })

  it('a point moves to where its polynomial is large, also where the polynomial begins flat', () => {
    // The polynomial of the last point is x y.
    const set = interpolation(Float64Array.of(0, 0, 1, 0, -1, 0, 0, 1, 0, -1, 1, 1), 2, 0, 1)!
    const far = Float64Array.of(9, 9)
    const d = mostTelling(
      set,
      5,
      far.map((v) => -v),
      far,
      2,
    )
    expect(Math.hypot(...d)).toBeLessThanOrEqual(2 * (1 + 1e-12))
    expect(Math.abs(d[0] * d[1])).toBeCloseTo(2, 6)
  })
})

describe('the step', () => {
  const n = 2
  const far = new Float64Array(n).fill(Number.POSITIVE_INFINITY)
  const free = far.map((v) => -v)
  /** The best of a fine grid of the ball and the box. */
  function best(model: Parameters<typeof change>[0], low: Float64Array, high: Float64Array, radius: number) {
    let least = 0
    for (let i = 0; i <= 200; i++)
      for (let k = 0; k < 200; k++) {
        const [r, angle] = [(radius * i) / 200, (Math.PI * k) / 100]
        const d = Float64Array.of(r * Math.cos(angle), r * Math.sin(angle))
        if (d.every((v, j) => v >= low[j] && v <= high[j])) least = Math.min(least, change(model, d))
      }
    return least
  }
  const convex = (rng: Rng) => {
    const [a, b, c, d] = randoms(4, rng)
    return {
      gradient: randoms(n, rng),
      hessian: Float64Array.of(a * a + b * b, a * c + b * d, a * c + b * d, c * c + d * d),
    }
  }

  it('is the minimum where that lies within', () => {
    const rng = new Rng(rngStream(1, 'newton'))
    const a = randoms(36, rng)
    const hessian = Float64Array.from({ length: 36 }, (_, at) => {
      const [i, j] = [Math.floor(at / 6), at % 6]
      return dot(a.subarray(i * 6, i * 6 + 6), a.subarray(j * 6, j * 6 + 6)) + (i === j ? 1 : 0)
    })
    const gradient = randoms(6, rng)
    const none = new Float64Array(6).fill(1e3)
    const { d, curvature } = boxedStep(
      { gradient, hessian },
      none.map((v) => -v),
      none,
      1e3,
    )
    for (let i = 0; i < 6; i++) expect(gradient[i] + dot(d, hessian.subarray(i * 6, i * 6 + 6))).toBeCloseTo(0, 9)
    expect(curvature).toBeGreaterThanOrEqual(1)
  })

  it('gives nearly all that there is in a ball, and most in a ball and a box; it leaves neither', () => {
    const rng = new Rng(rngStream(2, 'ball'))
    for (let k = 0; k < 40; k++) {
      const model = convex(rng)
      const radius = 0.2 + 1.5 * rng.uniform()
      const { d } = boxedStep(model, free, far, radius)
      expect(Math.hypot(...d)).toBeLessThanOrEqual(radius * (1 + 1e-12))
      expect(change(model, d)).toBeLessThanOrEqual(0.98 * best(model, free, far, radius))
      const low = Float64Array.of(-rng.uniform(), 0)
      const high = Float64Array.of(rng.uniform(), rng.uniform())
      const inside = boxedStep(model, low, high, radius).d
      expect(Math.hypot(...inside)).toBeLessThanOrEqual(radius * (1 + 1e-12))
      for (let j = 0; j < n; j++) expect(inside[j] >= low[j] && inside[j] <= high[j]).toBe(true)
      expect(change(model, inside)).toBeLessThanOrEqual(0.8 * best(model, low, high, radius))
    }
  })

  it('follows negative curvature to the ball', () => {
    const model = { gradient: Float64Array.of(0.1, 0), hessian: Float64Array.of(-1, 0.5, 0.5, -3) }
    const { d, curvature } = boxedStep(model, free, far, 2)
    expect(Math.hypot(...d)).toBeCloseTo(2, 9)
    expect(curvature).toBe(0)
    expect(change(model, d)).toBeLessThanOrEqual(0.98 * best(model, free, far, 2))
  })
})

type Bounds = { low?: number; high?: number }
const tensors = (start: readonly number[], bounds: Bounds = {}): Problem => ({
  space: {
    kind: 'tensors',
    tensors: [{ name: 'x', shape: [start.length], dtype: 'f64' }],
    initial: { x: Float64Array.from(start) },
    ...bounds,
  },
  objectives: [{ name: 'f', direction: 'minimize' }],
})
const xOf = (query: Query) => {
  const [point] = query.points
  if (point.kind !== 'tensors') throw new Error('expected tensors')
  return Array.from(point.tensors.x)
}
type F = (x: number[]) => number
/** Evaluations until the value is within `target`. */
function evaluationsTo(target: number, by: AnyMethod, f: F, start: readonly number[], config: object, seed: number) {
  const driver = new Driver(by, tensors(start), config, seed)
  const asked = driver.play(1000, (query) => f(xOf(query)))
  const first = asked.findIndex((query) => f(xOf(query)) <= target)
  return first < 0 ? Number.POSITIVE_INFINITY : first + 1
}

/** A quadratic whose axes are not the coordinates, of a condition of about 1000. */
const skew: F = (x) =>
  x.reduce((sum, v, i) => {
    const y = x.reduce((total, w) => total + 0.5 * w, 0.5 * v)
    return sum + (1 + 7 * i) * (y - 1) ** 2
  }, 0)
const sphere: F = (x) => x.reduce((sum, v, i) => sum + (v - [1.3, -2.1, 0.7, 2.9, -0.4][i]) ** 2, 0)
const rosenbrock: F = (x) => x.slice(1).reduce((sum, y, i) => sum + 100 * (y - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, 0)
const dixonPrice: F = (x) =>
  x.reduce((sum, v, i) => sum + (i === 0 ? (v - 1) ** 2 : (i + 1) * (2 * v * v - x[i - 1]) ** 2), 0)
const logCosh: F = (x) =>
  x.reduce((sum, v, i) => sum + (1 + i) * Math.log(Math.cosh(v - 0.3 * i + 0.2 * x[(i + 1) % x.length])), 0)

describe('evaluations', () => {
  const zeros = [0, 0, 0, 0, 0]
  it.each([
    // Py-BOBYQA 1.5 needs 14, 60 and 181 (the same start, first radius and target).
    ['a sphere in 5 coordinates', sphere, zeros, 31],
    ['a skew quadratic in 5 coordinates', skew, zeros, 120],
    ["Rosenbrock's valley", rosenbrock, [-1.2, 1], 250],
  ])('%s', (_, f, start, most) => {
    for (const seed of [1, 2, 3])
      expect(evaluationsTo(1e-8, method, f, start, { step: 0.5 }, seed)).toBeLessThanOrEqual(most)
  })

  it('half of those of Nelder-Mead, and fewer than those of Powell along lines, on smooth functions', () => {
    const functions: [F, number[]][] = [
      [skew, zeros],
      [rosenbrock, [1.2, 1, 1.2, 1, 1.2]],
      [dixonPrice, [1, 1, 1, 1, 1]],
      [logCosh, [2, 2, 2, 2, 2]],
    ]
    const ratio = (other: AnyMethod) =>
      functions.reduce((product, [f, start]) => {
        const [mine, theirs] = [method, other].map((m) => evaluationsTo(1e-6, m, f, start, {}, 1))
        return product * (mine / theirs) ** (1 / functions.length)
      }, 1)
    expect(ratio(nelderMead)).toBeLessThan(0.5)
    expect(ratio(powell)).toBeLessThan(0.67)
  })

  it.each([7, 9, 16, 21])('models of %i points find the minimum too', (interpolationPoints) => {
    expect(evaluationsTo(1e-8, method, skew, zeros, { interpolationPoints }, 1)).toBeLessThan(400)
  })
})

it('keeps to bounds, and finds a minimum that lies on them', () => {
  const f: F = (x) => (x[0] - 2) ** 2 + (x[1] + 1) ** 2 + (x[2] - 0.3) ** 2 + x[0] * x[2]
  for (const start of [
    [0.5, 0.5, 0.5],
    [0, 1, 1],
    [0.05, 0.95, 0],
  ]) {
    const driver = new Driver(method, tensors(start, { low: 0, high: 1 }))
    const asked = driver.play(60, (query) => f(xOf(query)))
    for (const query of asked) for (const v of xOf(query)) expect(v >= 0 && v <= 1).toBe(true)
    const [{ point }] = driver.estimate().points
    const x = point.kind === 'tensors' ? Array.from(point.tensors.x) : []
    // At x0 = 1 the slope in x2 is 2 (x2 - 0.3) + 1 > 0 everywhere.
    expect(x).toEqual([1, 0, 0].map((v) => expect.closeTo(v, 7)))
  }
})

it('a valley that leaves the bounds: the minimum is where it does', () => {
  const driver = new Driver(method, tensors([-1.2, -1.8], { low: -2, high: 0.5 }))
  driver.play(250, (query) => rosenbrock(xOf(query)))
  expect(driver.best()).toBeCloseTo(0.25, 8)
})

it('asks the first points at once, then one at a time, and says so; answers may come in any order', () => {
  const driver = new Driver(method, tensors([0, 0, 0]))
  const first = driver.ask(20)
  expect(first.length).toBe(7)
  expect(driver.outcome?.short?.until).toBe('tell')
  const f: F = (x) => sphere(x)
  for (const query of [...first].reverse()) driver.tell(query, f(xOf(query)))
  const orderly = new Driver(method, tensors([0, 0, 0]))
  for (const query of orderly.ask(7)) orderly.tell(query, f(xOf(query)))
  const [next] = driver.ask(3)
  expect(driver.ask(1)).toEqual([])
  expect(xOf(next)).toEqual(xOf(orderly.ask(1)[0]))
})

it('goes on bit-identically from an encoded state, through failures and points that cannot be', () => {
  const told = (query: Query, i: number): Told => {
    const x = xOf(query)
    if (i % 7 === 3) return 'failed'
    return x[0] > 1.2 ? 'infeasible' : rosenbrock(x)
  }
  const run = (restart: boolean) => {
    const driver = new Driver(method, tensors([-1.2, 1]), {}, 4)
    const asked: number[][] = []
    for (let i = 0; i < 120; i++) {
      const [query] = driver.ask(1)
      asked.push(xOf(query))
      driver.tell(query, told(query, i))
      if (restart) driver.restart()
    }
    return { asked, state: driver.state }
  }
  const plain = run(false)
  expect(run(true)).toEqual(plain)
  expect(plain.asked[4]).toEqual(plain.asked[3])
})

it('stays out of where nothing is feasible, and finds a minimum near to it', () => {
  const f: F = (x) => (x[0] - 0.3) ** 2 + 2 * (x[1] - 0.4) ** 2 + 0.5 * x[0] * x[1]
  // Where 2 (x - 0.3) + y / 2 = 0 and 4 (y - 0.4) + x / 2 = 0.
  const y = 1.45 / 3.875
  const x = 0.3 - y / 4
  const driver = new Driver(method, tensors([0, 0]))
  driver.play(150, (query) => (xOf(query)[0] > x + 0.02 ? 'infeasible' : f(xOf(query))))
  expect(driver.best() - f([x, y])).toBeLessThan(1e-8)
})

it('finds most integers, and ends when no step is left that changes one', () => {
  let found = 0
  for (let seed = 1; seed <= 20; seed++) {
    const rng = new Rng(rngStream(seed, 'integers'))
    const center = [0, 1, 2].map(() => rng.integer(17) - 8)
    const space = searchProblem(
      center.map((_, i) => ({ name: `x${i}`, type: 'int', low: -10, high: 10 }) as const),
      'maximize',
    )
    const driver = new Driver(method, space, {}, seed)
    const asked = driver.play(100, (query) => {
      const params = paramsOf(query)
      return -center.reduce((sum, c, i) => sum + (1 + i) * ((params[`x${i}`] as number) - c) ** 2, 0)
    })
    expect(asked.length).toBeLessThan(60)
    if (driver.best() === 0) found++
  }
  expect(found).toBeGreaterThanOrEqual(14)
})

it('goes on where the points have become too near to one another for the numbers', () => {
  const driver = new Driver(method, tensors([0, 0, 0]))
  driver.play(300, (query) => xOf(query)[0] - xOf(query)[1])
  expect(driver.outcome?.status.phase).toBe('running')
  expect(driver.best()).toBeLessThan(-1e50)
})

it('ends when the trust region is at the tolerance, and says so', () => {
  for (const [f, most] of [
    [(x: number[]) => (x[0] - 1) ** 2, 1e-14],
    [() => 1, 1],
  ] as const) {
    const driver = new Driver(method, tensors([3]))
    const asked = driver.play(500, (query) => f(xOf(query)))
    expect(asked.length).toBeLessThan(60)
    expect(driver.outcome?.status).toEqual({ phase: 'done', reason: 'the trust region is as small as the tolerance' })
    expect(driver.best()).toBeLessThanOrEqual(most)
  }
})

it('refuses what it cannot do', () => {
  const issues = (problem: Problem, config: object = {}) => [
    ...checkSuitable(method, problem),
    ...(method.check?.(parseConfig(method.config, config), problem) ?? []),
  ]
  expect(issues(tensors(new Array(100).fill(0)))).toEqual([])
  expect(issues(tensors(new Array(101).fill(0)))[0].message).toMatch('100')
  expect(issues(tensors([0, 0]), { interpolationPoints: 6 })).toEqual([])
  for (const interpolationPoints of [3, 7])
    expect(issues(tensors([0, 0]), { interpolationPoints })).toMatchObject([{ path: 'config.interpolationPoints' }])
  const [issue] = issues(searchProblem([{ name: 'c', type: 'categorical', choices: ['a', 'b'] }]))
  expect(issue.message).toMatch('categorical')
})
