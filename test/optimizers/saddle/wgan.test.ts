import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { method } from '../../../src/optimizers/saddle/wgan.js'
import { Game, type Operator, players } from './game.js'

const BATCH = 64

/** Parallel lines: real points (0, U), generated ones (th, U). A linear critic f = w.x; expectations are exact. */
const linear: Operator = ({ th, w }, { purpose }) =>
  purpose === 'critic'
    ? { gradient: { th: [0], w: [th[0], 0] }, value: w[0] * th[0] }
    : { gradient: { th: [-w[0]], w: [0, 0] } }

test('[wgan] a linear critic on parallel lines: exact weights, distance and generator gradient at any distance', () => {
  for (const th of [1, 5]) {
    const config = { critic: ['w'], clip: 0.1, learningRate: 1e-3, criticSteps: 200 }
    const game = new Game(method, players({ th: [th], w: [0.05, 0.02] }), config)
    let gradient = 0
    while (game.estimate.step < 1)
      game.tell((x, query) => {
        const told = linear(x, query)
        if (query.purpose === 'generator') {
          expect(x.w[0]).toBe(-0.1)
          gradient = (told as { gradient: { th: number[] } }).gradient.th[0]
        }
        return told
      })
    expect(gradient).toBe(0.1)
    expect(game.metrics.wasserstein).toBeCloseTo(0.1 * th, 12)
  }
})

const HIDDEN = 16
/** A critic 2-16-1 with ReLU on batches of parallel lines. */
function lines(seed: number): Operator {
  const rng = new Rng(rngStream(seed, 'batches'))
  const critic = (
    { W, b, v }: Tensors,
    x: readonly number[],
    scale: number,
    into?: { [name: string]: Float64Array },
  ) => {
    let f = 0
    const dx = [0, 0]
    for (let h = 0; h < HIDDEN; h++) {
      const a = W[2 * h] * x[0] + W[2 * h + 1] * x[1] + b[h]
      if (a <= 0) continue
      f += v[h] * a
      for (const k of [0, 1]) {
        dx[k] += v[h] * W[2 * h + k]
        if (into) into.W[2 * h + k] += scale * v[h] * x[k]
      }
      if (into) {
        into.b[h] += scale * v[h]
        into.v[h] += scale * a
      }
    }
    return { f, dx }
  }
  return (x, { purpose }) => {
    const gradient = Object.fromEntries(
      Object.entries(x).map(([name, array]) => [name, new Float64Array(array.length)]),
    )
    let value = 0
    for (let i = 0; i < BATCH; i++) {
      const fake = [x.th[0], rng.uniform()]
      if (purpose === 'generator') gradient.th[0] -= critic(x, fake, 0).dx[0] / BATCH
      else {
        value += critic(x, fake, 1 / BATCH, gradient).f / BATCH
        value -= critic(x, [0, rng.uniform()], -1 / BATCH, gradient).f / BATCH
      }
    }
    return { gradient, value: purpose === 'critic' ? value : undefined }
  }
}
const start = (seed: number) => {
  const rng = new Rng(rngStream(seed, 'start'))
  const weights = (n: number) => Array.from({ length: n }, () => 0.1 * (2 * rng.uniform() - 1))
  return players({ th: [1], W: weights(2 * HIDDEN), b: weights(HIDDEN), v: weights(HIDDEN) })
}
const ranks = (values: readonly number[]) => {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b])
  const rank = new Array(values.length)
  order.forEach((i, r) => {
    rank[i] = r
  })
  return rank as number[]
}
function correlation(a: readonly number[], b: readonly number[]): number {
  const centred = (x: readonly number[]) => x.map((v) => v - x.reduce((s, u) => s + u, 0) / x.length)
  const [p, q] = [centred(a), centred(b)]
  return p.reduce((s, v, i) => s + v * q[i], 0) / Math.hypot(...p) / Math.hypot(...q)
}

test.each([1, 2, 3])('[wgan] a ReLU critic on parallel lines brings the generator home (seed %i)', (seed) => {
  const config = { critic: ['W', 'b', 'v'], clip: 0.1, learningRate: 5e-3, criticSteps: 5 }
  const game = new Game(method, start(seed), config)
  const oracle = lines(seed)
  const th: number[] = []
  const W: number[] = []
  const sizes: number[] = []
  let critics = 0
  while (game.estimate.step < 400) {
    const step = game.estimate.step
    game.tell((x, query) => {
      const told = oracle(x, query) as { gradient: { th: Float64Array } }
      if (query.purpose === 'generator') {
        // Exactly n_critic critic steps come ahead of each generator step.
        expect(critics).toBe(5)
        critics = 0
        sizes.push(Math.abs(told.gradient.th[0]))
        th.push(Math.abs(x.th[0]))
        W.push(game.metrics.wasserstein)
      } else critics++
      return told
    })
    if (game.estimate.step === step)
      for (const name of ['W', 'b', 'v']) for (const w of game.asked[name]) expect(Math.abs(w)).toBeLessThanOrEqual(0.1)
  }
  expect(th.slice(-50).reduce((sum, v) => sum + v, 0) / 50).toBeLessThan(0.02)
  const early = sizes.slice(5, 80)
  expect(Math.max(...early) / Math.min(...early)).toBeLessThan(1.5)
  expect(correlation(ranks(th.slice(5, 80)), ranks(W.slice(5, 80)))).toBeGreaterThan(0.9)
})

test('wgan: warm-up, the plain gan, and the names of the critic', () => {
  const purposes = (config: object, asks: number) => {
    const game = new Game(method, players({ th: [1], w: [0, 0] }), { critic: ['w'], ...config })
    return Array.from({ length: asks }, () => {
      const { purpose } = game.query
      game.tell(linear)
      return purpose
    })
  }
  expect(purposes({ warmUp: true }, 202).flatMap((p, i) => (p === 'generator' ? [i] : []))).toEqual([100, 201])
  expect(purposes({ variant: 'gan' }, 4)).toEqual(['critic', 'generator', 'critic', 'generator'])
  expect(() => new Game(method, players({ th: [1] }), { critic: ['w'] })).toThrow('"w" is not a tensor')
})
