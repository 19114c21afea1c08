import { beforeAll, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { affineNoise, generalizedSmoothness } from '../../../src/optimizers/diagnostics/generalized-smoothness.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adamGensmooth } from '../../../src/optimizers/presets/adam-gensmooth.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

beforeAll(loadEngines)

/** f = e^x + e^-x, whose gradient is about its curvature, and noise that grows with it. */
const slope = (x: number) => Math.exp(x) - Math.exp(-x)
const noisy = (rng: Rng, x: number) => slope(x) * (1 + Math.SQRT2 * rng.normal()) + Math.SQRT1_2 * rng.normal()
const seeds = 10

/** The mean of |f'| over a run and the seeds, from 1 and from 6: elements are problems of their own. */
function averages(rule: string, horizon: number) {
  const rng = new Rng(rngStream(horizon, 'noise'))
  const start = Array.from({ length: 2 * seeds }, (_, k) => (k < seeds ? 1 : 6))
  const config = { rule, horizon, reportNorm: false }
  const session = new Session(adamGensmooth, vectors(start), { config, engine: 'wasm' })
  const sums = [0, 0]
  session.steps(
    horizon,
    of((x) =>
      Float64Array.from(x, (xi, k) => {
        sums[k < seeds ? 0 : 1] += Math.abs(slope(xi))
        return noisy(rng, xi)
      }),
    ),
  )
  return sums.map((sum) => sum / (seeds * horizon))
}

test('[adam-gensmooth] the mean gradient falls with the horizon as promised, also from where gradients are large', () => {
  for (const rule of ['rmsprop', 'adam']) {
    const runs = [1000, 4000, 16_000, 64_000].map((horizon) => averages(rule, horizon))
    const [near, far] = [0, 1].map((start) => runs.map((run) => run[start]))
    expect(near[3]).toBeLessThanOrEqual(0.4 * near[0])
    for (const average of far) expect(average).toBeLessThan(Number.POSITIVE_INFINITY)
    // The catalogue asks that a factor 4 in T halves it. Over 200 seeds the three ratios are 0.486 to 0.514, on both
    // sides of 1/2, so a bound at 1/2 would be decided by the seeds. Tested here: their geometric mean, and each by itself.
    expect((far[3] / far[0]) ** (1 / 3)).toBeLessThanOrEqual(0.505)
    for (const k of [1, 2, 3]) expect(far[k]).toBeLessThanOrEqual(0.55 * far[k - 1])
  }
  const rng = new Rng(rngStream(3, 'noise'))
  const plain = new Session(sgd, vectors([6]), { config: { learningRate: 0.1 } })
  plain.steps(
    50,
    of((x) => [noisy(rng, x[0])]),
  )
  expect(Number.isFinite(plain.x[0])).toBe(false)
})

test('[adam-gensmooth] the rule: eps under the root, no correction, both rates from the horizon', () => {
  for (const [rule, initial] of [
    ['adam', 'first'],
    ['adam', 2],
    ['rmsprop', 'first'],
    ['rmsprop', 0],
  ] as const) {
    const config = { rule, initial, horizon: 25, learningRate: 2, forgetting: 0.5, eps: 0.01 }
    const session = new Session(adamGensmooth, vectors([1]), { config })
    let [x, m, v] = [1, 0, initial === 'first' ? 9 : initial]
    for (const g of [3, -1, 0.5, 2]) {
      m = 0.9 * m + 0.1 * g
      v = 0.9 * v + 0.1 * g * g
      x -= (0.4 * (rule === 'adam' ? m : g)) / Math.sqrt(v + 0.01)
      expect(session.tell([g]).x[0]).toBeCloseTo(x, 13)
    }
  }
  expect(() => new Session(adamGensmooth, vectors([1]), { config: { horizon: 4, forgetting: 3 } })).toThrow(
    'config.forgetting: expected at most the root of the horizon, 2',
  )
})

test('[adam-gensmooth] the diagnostic finds the constants of smoothness and noise', () => {
  const rng = new Rng(rngStream(5, 'points'))
  const pairs = (gradient: (x: number) => number) =>
    Array.from({ length: 300 }, () => {
      const x = (rng.uniform() < 0.5 ? -1 : 1) * (1 + 5 * rng.uniform())
      const u = 0.1 * (2 * rng.uniform() - 1)
      return { gradient: [gradient(x)], moved: [gradient(x + u)], distance: Math.abs(u) }
    })
  const steep = generalizedSmoothness(pairs(slope))
  const flat = generalizedSmoothness(pairs((x) => x))
  const noise = affineNoise(
    Array.from({ length: 100 }, (_, k) => Array.from({ length: 200 }, () => [noisy(rng, -3 + (6 * k) / 99)])),
  )
  expect(steep.L1).toBeGreaterThan(0.8)
  expect(steep.L1).toBeLessThan(1.3)
  expect(Math.abs(flat.L1)).toBeLessThan(0.05)
  expect(flat.L0).toBeGreaterThan(0.9)
  expect(flat.L0).toBeLessThan(1.1)
  expect(noise.D1).toBeGreaterThan(1.5)
  expect(noise.D1).toBeLessThan(2.5)
})
