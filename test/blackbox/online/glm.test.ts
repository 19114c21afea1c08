import { describe, expect, test } from 'vitest'
import { method as ftrl } from '../../../src/blackbox/online/ftrl-glm.js'
import { addLabel, type Link, lossOf, meanOf, startFit } from '../../../src/blackbox/online/glm.js'
import { method as ucb } from '../../../src/blackbox/online/hetero-ucb.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { choleskyFactor, solveRows } from '../../../src/optimizers/cholesky.js'
import { indices, items, Session } from './session.js'

const model = (d: number): TensorsSpace => ({ kind: 'tensors', tensors: [{ name: 'w', shape: [d], dtype: 'f64' }] })
const wOf = (session: Session): number[] => {
  const { point } = session.estimate.points[0]
  return point.kind === 'tensors' ? Array.from(point.tensors.w) : []
}
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0)
const normals = (rng: Rng, d: number) => Array.from({ length: d }, () => rng.normal())

test('[ftrl-glm] linear: predicts 0 first; one pair (1, 2) makes w = 1', () => {
  const session = new Session(ftrl, model(1))
  expect([session.query.purpose, wOf(session)]).toEqual(['features', [0]])
  session.tell([1])
  expect([session.query.purpose, session.metrics.prediction]).toEqual(['label', 0])
  session.tell(2)
  expect(wOf(session)).toEqual([1])
  session.tell([3])
  expect(session.metrics.prediction).toBe(3)
})

test('[ftrl-glm] rank-one updates and direct solves agree after 500 rounds', () => {
  const rng = new Rng(rngStream(1, 'rounds'))
  const d = 6
  const session = new Session(ftrl, model(d), { together: true, comparator: [1, 0, 0, 0, 0, 0] })
  const A = Float64Array.from({ length: d * d }, (_, i) => Number(i % (d + 1) === 0))
  const b = new Float64Array(d)
  let [loss, compared] = [0, 0]
  const rounds: { x: number[]; y: number }[] = []
  for (let t = 0; t < 500; t++) {
    const x = normals(rng, d)
    const y = dot(x, [1, -2, 0.5, 0, 3, -1]) + rng.normal()
    loss += lossOf('identity', dot(wOf(session), x), y)
    compared += lossOf('identity', x[0], y)
    rounds.push({ x, y })
    session.tell({ quantities: [{ x: Float64Array.from(x), y: Float64Array.of(y) }] })
    for (let i = 0; i < d; i++) {
      b[i] += y * x[i]
      for (let j = 0; j < d; j++) A[i * d + j] += x[i] * x[j]
    }
  }
  const direct = solveRows(choleskyFactor(A, d), d, b)
  wOf(session).forEach((w, i) => {
    expect(Math.abs(w - direct[i])).toBeLessThan(1e-9)
  })
  // The regret report: against the told comparator, and against the best model in hindsight.
  const hindsight = rounds.reduce((sum, { x, y }) => sum + lossOf('identity', dot(direct, x), y), 0)
  expect(session.metrics.comparatorRegret).toBeCloseTo(loss - compared, 6)
  expect(session.metrics.hindsightRegret).toBeCloseTo(loss - hindsight, 6)
  // 0.5 sigma^2 d log(1 + T X^2/(lambda d)) is the scale of it.
  expect(session.metrics.hindsightRegret).toBeLessThan(3 * session.metrics.regretScale)
})

describe('ftrl-glm: the other links', () => {
  test.each(['logistic', 'poisson'] as const)(
    '%s: w minimizes the regularized loss, and the truth is found',
    (link: Link) => {
      const rng = new Rng(rngStream(2, link))
      const truth = [0.8, -0.5, 0.3]
      const session = new Session(ftrl, model(3), { link, lambda: 0.5, together: true })
      const sums = [0, 0, 0]
      for (let t = 0; t < 400; t++) {
        const x = normals(rng, 3)
        const mean = meanOf(link, dot(truth, x))
        let y = Number(rng.uniform() < mean)
        // Knuth's Poisson draw.
        if (link === 'poisson')
          for (let p = rng.uniform(), limit = Math.exp(-mean), k = 0; ; p *= rng.uniform(), k++)
            if ((y = k) >= 0 && p <= limit) break
        session.tell({ quantities: [{ x: Float64Array.from(x), y: Float64Array.of(y) }] })
        rounds.push({ x, y })
      }
      const w = wOf(session)
      for (const { x, y } of rounds)
        x.forEach((xi, i) => {
          sums[i] += (meanOf(link, dot(w, x)) - y) * xi
        })
      // Stationary: lambda w + sum (mu - y) x = 0.
      sums.forEach((s, i) => {
        expect(Math.abs(0.5 * w[i] + s)).toBeLessThan(1e-6)
        expect(Math.abs(w[i] - truth[i])).toBeLessThan(0.25)
      })
      expect(session.metrics.hindsightRegret).toBeGreaterThan(0)
      rounds.length = 0
    },
  )
  const rounds: { x: number[]; y: number }[] = []

  test('Newton steps do not overflow on a count far from what was expected', () => {
    const fit = startFit(1, 1)
    for (const [x, y] of [
      [3, 500],
      [-3, 0],
      [2, 900],
    ])
      addLabel(fit, 'poisson', 1, Float64Array.of(x), y)
    expect(Number.isFinite(fit.w[0])).toBe(true)
    expect(Math.exp(2 * fit.w[0])).toBeGreaterThan(10)
  })
})

/**
 * Ten arms in five dimensions, fresh ones each round or always the same; rewards with noise 1 in a tenth of the rounds and
 * 0.05 otherwise, or always `s`. The regret and the rows played.
 */
function play(
  config: object,
  seed: number,
  { fresh = true, T = 2000, s: always }: { fresh?: boolean; T?: number; s?: number } = {},
) {
  const rng = new Rng(rngStream(seed, 'bandit'))
  const unit = () => {
    const v = normals(rng, 5)
    return v.map((x) => x / Math.hypot(...v))
  }
  const truth = unit()
  const same = Array.from({ length: 10 }, unit)
  const session = new Session(ucb, fresh ? model(5) : items(same), config)
  const chosen: number[] = []
  let regret = 0
  for (let t = 0; t < T; t++) {
    const arms = fresh ? Array.from({ length: 10 }, unit) : same
    if (fresh) session.tell(arms.flat())
    const [point] = session.query.points
    const arm =
      point.kind === 'tensors' ? arms.findIndex((x) => x[0] === point.tensors.w[0]) : indices(session.query)[0]
    const means = arms.map((x) => dot(x, truth))
    const s = always ?? (rng.uniform() < 0.1 ? 1 : 0.05)
    regret += Math.max(...means) - means[arm]
    chosen.push(arm)
    // The objective of these sessions is minimized: a reward is told with its sign changed.
    session.tell({ values: [[-(means[arm] + s * rng.normal())]], noise: [[s]] })
  }
  return { regret, chosen }
}

describe('[ftrl-glm] hetero-ucb', () => {
  test('told variances save a quarter of the regret at least', () => {
    // Arms are drawn anew each round: of ten that stay, the first few rewards decide, and three seeds are chance.
    const total = (config: object) => [0, 1, 2].reduce((sum, seed) => sum + play(config, seed).regret, 0)
    const plain = [0.1, 0.3, 1, 2].map((beta) => total({ weighting: 'none', beta }))
    expect(total({})).toBeLessThanOrEqual(0.75 * Math.min(...plain))
    // Layers are safe, and slow: a hundredth of a reward per round.
    expect(total({ weighting: 'layered' })).toBeLessThan(3 * 0.01 * 2000)
  })
  test('finds the best of arms that stay, and goes on after a restart', () => {
    const { regret, chosen } = play({ beta: 0.3 }, 1, { fresh: false })
    expect(regret).toBeLessThan(40)
    expect(new Set(chosen.slice(-100)).size).toBe(1)
    const [a, b] = [0, 1].map(
      () =>
        new Session(
          ucb,
          items([
            [1, 0],
            [0, 1],
          ]),
          { weighting: 'layered' },
        ),
    )
    for (const reward of [1, 0.5, 0.2, 0.9, 0.1]) {
      b.restart()
      for (const session of [a, b]) session.tell({ values: [[reward]], noise: [[reward]] })
      expect(b.query).toEqual(a.query)
    }
    expect(b.state).toEqual(a.state)
  })
  test('says what it does not take', () => {
    expect(() => new Session(ucb, items([[]]))).toThrow('space.items[0].features')
    expect(() => new Session(ucb, model(2), { link: 'logistic' })).toThrow('objectives[0].direction')
    expect(() => new Session(ftrl, model(2), { comparator: [1] })).toThrow('config.comparator: expected 2 numbers')
    expect(() => new Session(ftrl, { ...model(2), low: 0 })).toThrow('space.low')
  })
  test('with equal variances it plays the arms of linear UCB', () => {
    // Weights are relative to the floor: equal variances at or below it weigh 1, so that lambda means the same in both.
    for (const s of [0.05, 0.01]) {
      const plain = play({ weighting: 'none' }, 0, { T: 500, s })
      expect(play({}, 0, { T: 500, s }).chosen).toEqual(plain.chosen)
    }
    // Larger ones scale the data by c: the arms are those of lambda/c and beta/sqrt(c).
    const c = (0.05 / 0.2) ** 2
    const scaled = play({ weighting: 'none', lambda: 0.1 / c, beta: 1 / Math.sqrt(c) }, 0, { T: 500, s: 0.2 })
    expect(play({}, 0, { T: 500, s: 0.2 }).chosen).toEqual(scaled.chosen)
  })
})
