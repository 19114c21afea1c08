import { expect, test } from 'vitest'
import { draw, type Mixture, noiseIn, randomMixture } from '../../../examples/workloads/gaussian-mixture.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { keptShare, method } from '../../../src/optimizers/guidance/dreamguider.js'
import { players } from '../saddle/game.js'
import { type Client, Turns } from '../turns.js'

const D = 8
const T = 100
const schedule = { steps: T, betaStart: 0.001, betaEnd: 0.2 }
const KEPT = Array.from({ length: T + 1 }, (_, t) => keptShare(schedule as Parameters<typeof keptShare>[0], t))
const space = players({ x: new Array(D).fill(0), t: [0] })

/** A goal |h(A x) - y|^2/2, with h linear or tanh and y = h(A x*) of a sample x*. */
function world(
  seed: number,
  bent: boolean,
): { mixture: Mixture; goal: (x: Float64Array) => { value: number; gradient: Float64Array } } {
  const rng = new Rng(rngStream(seed, 'world'))
  const mixture = randomMixture(rng, 4, D, 0.3)
  const A = Array.from({ length: 3 }, () => Array.from({ length: D }, () => rng.normal()))
  const h = (u: number) => (bent ? Math.tanh(u) : u)
  const outputs = (x: ArrayLike<number>) => A.map((row) => h(row.reduce((sum, a, i) => sum + a * x[i], 0)))
  const y = outputs(draw(mixture, rng))
  const goal = (x: Float64Array) => {
    const z = outputs(x)
    const slopes = z.map((v, k) => (v - y[k]) * (bent ? 1 - v * v : 1))
    return {
      value: z.reduce((sum, v, k) => sum + (v - y[k]) ** 2 / 2, 0),
      gradient: Float64Array.from(x, (_, i) => A.reduce((sum, row, k) => sum + row[i] * slopes[k], 0)),
    }
  }
  return { mixture, goal }
}

const client =
  ({ mixture, goal }: ReturnType<typeof world>, factor = 1): Client =>
  ([{ x, t }], { purpose }) => {
    if (purpose === 'denoise') return { quantities: [{ noise: noiseIn(mixture, x, KEPT[t[0]]) }] }
    const { value, gradient } = goal(Float64Array.from(x))
    return { values: [[factor * value]], gradients: [{ x: gradient.map((g) => factor * g), t: Float64Array.of(0) }] }
  }
const sample = (of: ReturnType<typeof world>, config: object, seed: number, factor = 1) =>
  new Turns(method, space, { config, seed }).finish(client(of, factor))

test.each([0, 1, 2, 3])(
  '[dreamguider] one strength for a linear and a bent goal: samples that meet it (seed %i)',
  (seed) => {
    for (const bent of [false, true]) {
      const of = world(seed, bent)
      const mean = (config: object) =>
        Array.from({ length: 20 }, (_, k) => sample(of, config, k).metrics.goalLoss).reduce((sum, v) => sum + v / 20, 0)
      expect(mean({}) / mean({ c: 0 })).toBeLessThanOrEqual(0.1)
    }
  },
)

test('[dreamguider] without guidance: ancestral sampling, bit for bit; T denoiser queries, T*R goal gradients', () => {
  const of = world(1, false)
  for (const augmentations of [1, 3]) {
    const session = sample(of, { c: 0, augmentations }, 7)
    const rng = new Rng(rngStream(7, 'noise'))
    let x = new Float64Array(D).map(() => rng.normal())
    for (let t = T; t > 0; t--) {
      const noise = noiseIn(of.mixture, x, KEPT[t])
      const clean = x.map((v, i) => (v - Math.sqrt(1 - KEPT[t]) * noise[i]) / Math.sqrt(KEPT[t]))
      const fresh = Math.sqrt(((1 - KEPT[t - 1]) / (1 - KEPT[t])) * (1 - KEPT[t] / KEPT[t - 1]))
      const rest = Math.sqrt(Math.max(0, 1 - KEPT[t - 1] - fresh ** 2))
      x = clean.map((v, i) => Math.sqrt(KEPT[t - 1]) * v + rest * noise[i] + fresh * rng.normal())
    }
    expect(session.answer.x).toEqual(x)
    expect(session.counts).toEqual({ denoise: T, goal: T * augmentations })
    expect(session.metrics.goalGradients).toBe(T * augmentations)
    expect(session.done).toBe('the sample is complete')
  }
})

test('[dreamguider] a goal times 1000 gives the same samples', () => {
  for (const scale of ['noise', 'dog'])
    for (const seed of [1, 2, 3]) {
      const [one, thousand] = [1, 1000].map((factor) => sample(world(seed, true), { scale }, seed, factor).answer.x)
      for (let i = 0; i < D; i++) expect(Math.abs(one[i] - thousand[i])).toBeLessThan(1e-9)
    }
})

test('dreamguider: distance over gradients, sample keys of augmentations, restarts, bad names', () => {
  const of = world(2, false)
  const mean = (config: object) =>
    Array.from({ length: 10 }, (_, k) => sample(of, config, k).metrics.goalLoss).reduce((sum, v) => sum + v / 10, 0)
  expect(mean({ scale: 'dog' })).toBeLessThan(0.1 * mean({ c: 0 }))
  expect(mean({ eta: 0 })).toBeLessThan(0.1 * mean({ c: 0, eta: 0 }))

  const keys = new Set<string>()
  const session = new Turns(method, space, { config: { steps: 5, augmentations: 4 } })
  while (session.query) {
    if (session.query.purpose === 'goal') keys.add(session.query.sampleKey!)
    session.tell(client(of))
    session.restart()
  }
  expect(keys.size).toBe(20)
  expect(session.answer.t[0]).toBe(0)

  expect(() => new Turns(method, space, { config: { time: 'x' } })).toThrow('config.time')
  expect(() => new Turns(method, players({ t: [0] }))).toThrow('space.tensors')
})
