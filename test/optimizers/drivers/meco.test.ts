import { expect, test } from 'vitest'
import {
  batch,
  contrastiveGradient,
  dataGradient,
  gaussianMean,
  type Model,
  mixture,
  noiseTerm,
  normal,
  type Sample,
} from '../../../examples/workloads/unnormalized.js'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method } from '../../../src/optimizers/presets/meco.js'
import { Session, vectors } from '../session.js'

type World = { model: Model; data: () => Sample; noise: () => Sample; logq: (y: number) => number }

/** Answers data and noise queries, a batch each. */
function session(world: World, config: object, start: readonly number[], of: AnyMethod = method) {
  let term = { value: 0, gradient: [0] }
  const s = new Session(of, vectors(start), { config, value: () => term.value })
  const answer = () => {
    if (s.query.purpose === 'noise') term = noiseTerm(world.model, world.noise(), world.logq, s.asked.x)
    s.tell(s.query.purpose === 'noise' ? term.gradient : dataGradient(world.model, world.data(), s.asked.x))
  }
  const steps = (count: number) => {
    const end = s.state.t + count
    while (s.state.t < end) answer()
    return s
  }
  return { session: s, steps }
}

/** Trapezoid nodes of a law that is negligible beyond these bounds. */
function nodes(logDensity: (x: number) => number, low: number, high: number, n = 4000): Sample {
  const points = Array.from({ length: n }, (_, i) => low + ((high - low) * i) / (n - 1))
  const weights = points.map((x) => Math.exp(logDensity(x)))
  const total = weights.reduce((sum, w) => sum + w, 0)
  return { points, weights: weights.map((w) => w / total) }
}
const LOG_Z = Math.log(Math.sqrt(2 * Math.PI))

test('[meco] the likelihood has curvature 1 where that of contrastive estimation goes flat', () => {
  const expected = { 2: 0.35784, 4: 0.14802, 6: 0.019068, 8: 0.00079168 }
  for (const [R, curvature] of Object.entries(expected).map(([r, c]) => [Number(r), c])) {
    const logq = normal(1)
    const data = nodes((x) => logq(x - R), -10, R + 10)
    const noise = nodes(logq, -10, R + 10)
    const h = 1e-4
    const nce = (theta: number) => contrastiveGradient(gaussianMean, LOG_Z, data, noise, logq, [theta])[0]
    expect(Math.abs((nce(R + h) - nce(R - h)) / (2 * h) / curvature - 1)).toBeLessThan(0.01)
    const gradient = (theta: number) => {
      const world = { model: gaussianMean, data: () => data, noise: () => noise, logq }
      return session(world, {}, [theta]).steps(1).view('momentum').x[0]
    }
    expect((gradient(R + h) - gradient(R - h)) / (2 * h)).toBeCloseTo(1, 4)
  }
})

test('[meco] tracking the partition function steadies small batches', () => {
  const deviation = (gamma: number) => {
    const finals = Array.from({ length: 10 }, (_, seed) => {
      const rng = new Rng(rngStream(seed, 'batches'))
      const pair = (scale: number) => batch([scale * rng.normal(), scale * rng.normal()])
      const world = { model: gaussianMean, data: () => pair(1), noise: () => pair(3), logq: normal(3) }
      const driver = { id: 'meco', gamma, beta: 1 }
      return session(world, { learningRate: 0.02, driver }, [0.5]).steps(2000).x[0]
    })
    const mean = finals.reduce((sum, x) => sum + x, 0) / 10
    return Math.sqrt(finals.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 10)
  }
  expect(deviation(1) / deviation(0.1)).toBeGreaterThanOrEqual(1.5)
})

test('[meco] noise of the model itself: the gradient is the exact one of that batch', () => {
  const theta = 0.3
  const rng = new Rng(rngStream(1, 'own'))
  const draw = () => batch(Array.from({ length: 8 }, () => theta + rng.normal()))
  const [data, noise] = [draw(), draw()]
  const logq = (y: number) => gaussianMean.logDensity(y, [theta]) - LOG_Z
  const world = { model: gaussianMean, data: () => data, noise: () => noise, logq }
  const s = session(world, { learningRate: 0, driver: { id: 'meco', beta: 1 } }, [theta])
  const mean = ({ points }: Sample) => points.reduce((sum, x) => sum + x / points.length, 0)
  for (let t = 0; t < 3; t++) {
    const { momentum } = s.steps(1).state.driver.points
    expect(Math.abs(momentum.x[0] - (mean(noise) - mean(data)))).toBeLessThan(1e-12)
    expect(s.session.metrics.logPartition).toBeCloseTo(LOG_Z, 12)
  }
})

test('meco: by the book for two steps; a mixture density by adam; contrastive estimation; refusals', () => {
  const world = (told: readonly number[]) => {
    let t = 0
    return {
      model: { logDensity: () => told[t++], score: () => [1] },
      data: () => batch([0]),
      noise: () => batch([0]),
      logq: () => 0,
    }
  }
  // w = 2 then 6: u = 2, then 0.9*2 + 0.1*6 = 2.4, so that the second gradient is -1 + 6/2.4 = 1.5, the first -1 + 1 = 0.
  const { session: s, steps } = session(world([Math.log(2), Math.log(6)]), { learningRate: 1 }, [0])
  expect(s.query).toMatchObject({ purpose: 'data', wants: [{ kind: 'gradient' }] })
  steps(2)
  expect(Math.exp(s.metrics.logPartition)).toBeCloseTo(2.4, 12)
  expect(s.x[0]).toBeCloseTo(-0.15, 12)
  s.restart()

  // Data of a mixture with bells at -2 and 1, the second twice as heavy.
  const rng = new Rng(rngStream(4, 'mixture'))
  const draw = (n: number, one: () => number) => batch(Array.from({ length: n }, one))
  const found = session(
    {
      model: mixture,
      data: () => draw(64, () => (rng.uniform() < 1 / 3 ? -2 : 1) + rng.normal()),
      noise: () => draw(64, () => 3 * rng.normal()),
      logq: normal(3),
    },
    { learningRate: 0.01, averaging: { id: 'polynomial', gamma: 8 }, driver: { id: 'meco' } },
    [-1, 0.5, 0],
    adam,
  ).steps(3000)
  for (const [i, value] of [-2, 1, Math.log(2)].entries())
    expect(Math.abs(found.answer.x[i] - value)).toBeLessThan(0.25)

  const nce = new Session(method, vectors([1]), {
    config: { learningRate: 0.1, driver: { id: 'meco', objective: 'nce', beta: 1 } },
  })
  expect(nce.query).toMatchObject({ purpose: 'nce', wants: [{ kind: 'gradient' }] })
  expect(nce.tell([2]).x[0]).toBeCloseTo(0.8, 12)
  expect(() => new Session(method, vectors([1]), { direction: 'maximize' })).toThrow('config.driver.id')
})
