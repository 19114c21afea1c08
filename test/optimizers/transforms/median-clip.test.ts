import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { coordinateMedian, geometricMedian } from '../../../src/optimizers/aggregators/medians.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const median = (more: object) => [{ id: 'median-clip', ...more }]
/** SGD with rate 1 from 0: what it moves by in a step is the estimate. */
const estimates = (more: object, told: number[][]) => {
  const session = new Session(sgd, vectors(told[0].map(() => 0)), {
    config: { learningRate: 1, transforms: median(more) },
  })
  return told.map((g) => {
    const before = session.x
    const after = session.tell(g).x
    return after.map((xi, i) => before[i] - xi)
  })
}
const near = (found: readonly number[], expected: readonly number[], tolerance = 1e-12) => {
  expect(found).toHaveLength(expected.length)
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}

test('[median-clip] one step of each estimator, and a second one', () => {
  const g = [3, 4]
  const [first, second] = estimates({ loss: 'vector' }, [g, g])
  near(first, [0.6, 0.8])
  near(second, [1.2, 1.6])
  near(estimates({ loss: 'component' }, [g])[0], [1, 1])
  near(estimates({ loss: 'squared' }, [g])[0], [1.5, 2])
  // Huber: a square near the estimate, and a step of mu*tau far from it.
  near(estimates({ loss: 'huber', tau: 100 }, [g])[0], [1.5, 2])
  near(estimates({ loss: 'huber', tau: 0.5 }, [g])[0], [0.3, 0.4])
})

test('[median-clip] the estimates are proximal steps: nothing nearby is better', () => {
  const [m, g] = [
    [0.3, -1],
    [2, 1.5],
  ]
  const length = (u: number[], v: number[]) => Math.hypot(u[0] - v[0], u[1] - v[1])
  const losses: Record<string, (u: number[], tau: number) => number> = {
    vector: (u) => length(u, g),
    component: (u) => Math.abs(u[0] - g[0]) + Math.abs(u[1] - g[1]),
    squared: (u) => length(u, g) ** 2 / 2,
    huber: (u, tau) => (length(u, g) <= tau ? length(u, g) ** 2 / 2 : tau * length(u, g) - tau ** 2 / 2),
  }
  for (const [loss, value] of Object.entries(losses))
    for (const [mu, tau] of [
      [0.3, 0.4],
      [0.3, 2.7],
      [1.9, 1],
      [5, 0.2],
      [50, 1],
    ]) {
      // From 0, a step of the square with a large mu goes to any m.
      const start = new Session(sgd, vectors([0, 0]), {
        config: { learningRate: 1, transforms: median({ loss, mu, tau }) },
      })
      Object.assign(start.state.slots.m.x, m)
      const u = start.tell(g).x.map((xi) => -xi)
      const objective = (v: number[]) => value(v, tau) + length(v, m) ** 2 / (2 * mu)
      for (let k = 0; k < 16; k++) {
        const v = [u[0] + 1e-3 * Math.cos(k), u[1] + 1e-3 * Math.sin(k)]
        expect(objective(v)).toBeGreaterThan(objective(u) - 1e-12)
      }
    }
})

test('[median-clip] without memory it is clipping; with a large mu it is the rule; any rule takes it', () => {
  const told = Array.from({ length: 10 }, (_, k) => [Math.sin(k * k), 3 * Math.cos(k)])
  const run = (method: typeof sgd, transforms: object[]) => {
    const session = new Session(method, vectors([1, 2]), { config: { learningRate: 0.1, transforms } })
    return told.map((g) => session.tell(g).x)
  }
  const pairs: [object[], object[]][] = [
    [median({ memory: false, mu: 1.2 }), [{ id: 'clip-norm', threshold: 1.2 }]],
    [median({ memory: false, mu: 1.2, loss: 'component' }), [{ id: 'clip-value', threshold: 1.2 }]],
    [median({ mu: 1e12 }), []],
    [median({ mu: 1e12, loss: 'component' }), []],
  ]
  for (const method of [sgd, adam as unknown as typeof sgd])
    for (const [a, b] of pairs) {
      const expected = run(method, b)
      for (const [k, x] of run(method, a).entries()) near(x, expected[k])
    }
})

test('[median-clip] medians of a sample with an outlier', () => {
  const sample = [
    [1, 0],
    [1.1, 0.1],
    [0.9, -0.1],
    [1, 0.05],
    [100, 100],
  ]
  const mean = [0, 1].map((i) => sample.reduce((sum, g) => sum + g[i] / 5, 0))
  near(mean, [20.8, 20.01])
  // The middle of 0.9, 1, 1, 1.1, 100 and of -0.1, 0, 0.05, 0.1, 100.
  expect(Array.from(coordinateMedian(sample))).toEqual([1, 0.05])
  near(Array.from(geometricMedian(sample)), [1.00698, 0.0451], 1e-4)
  expect(Array.from(coordinateMedian(sample.slice(0, 2)))).toEqual([1.05, 0.05])
  expect(Array.from(geometricMedian([[2, 3]]))).toEqual([2, 3])
})

test('[median-clip] noise without a variance: the medians converge, the means do not', () => {
  const [d, seeds, steps] = [10, 100, 2000]
  const curvature = Array.from({ length: d }, (_, i) => 20 ** (-i / 9))
  const rng = new Rng(rngStream(11, 'noise'))
  // Uniform directions times Lomax lengths, the same for all estimators.
  const noise = new Float64Array(steps * seeds * d)
  for (let at = 0; at < noise.length; at += d) {
    let length = 0
    for (let i = at; i < at + d; i++) length += (noise[i] = rng.normal()) ** 2
    const scale = (0.3 * ((1 - rng.uniform()) ** (-1 / 1.2) - 1)) / Math.sqrt(length)
    for (let i = at; i < at + d; i++) noise[i] *= scale
  }
  /** The gradient at x with the noise from `at` on. */
  const gradient = (x: ArrayLike<number>, at: number) => {
    let far = 0
    for (let i = 0; i < d; i++) far += x[i] * x[i]
    const scale = 1 + Math.sqrt(far)
    return curvature.map((h, i) => h * x[i] + scale * noise[at + i])
  }
  /** Final values in order. Norms are those of a tensor: each seed is a tensor of its own. */
  const ends = (transforms: object[], momentum = 0) => {
    const names = Array.from({ length: seeds }, (_, k) => `s${k}`)
    const space = vectors(Object.fromEntries(names.map((name) => [name, Array(d).fill(1)])))
    const config = { learningRate: 0.02, transforms, momentum, dampening: momentum, reportNorm: false }
    const session = new Session(sgd, space, { config, engine: 'wasm' })
    session.steps(steps, (x) =>
      Object.fromEntries(names.map((name, k) => [name, gradient(x[name], (session.state.t * seeds + k) * d)])),
    )
    const f = (x: ArrayLike<number>) => curvature.reduce((sum, h, i) => sum + (h * x[i] ** 2) / 2, 0)
    return names.map((name) => f(session.state.x[name])).sort((a, b) => a - b)
  }
  const [quantile, middle] = [98, 50]
  const vclip = ends(median({ mu: 0.5, per: 'tensor' }))[quantile]
  const cclip = ends(median({ mu: 0.5 / 3, loss: 'component' }))[quantile]
  const plain = ends(median({ mu: 0.5, memory: false, per: 'tensor' }))[quantile]
  for (const f of [vclip, cclip, plain]) expect(f).toBeLessThan(0.02)
  expect(vclip).toBeLessThan(plain)
  expect(ends([])[middle]).toBeGreaterThan(1)
  expect(ends([], 0.9)[middle]).toBeGreaterThan(1)
})
