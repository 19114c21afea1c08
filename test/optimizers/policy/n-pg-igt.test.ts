import { expect, test } from 'vitest'
import { gaussianBandit } from '../../../examples/workloads/gaussian-bandit.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { plus } from '../../../src/optimizers/flat.js'
import { method } from '../../../src/optimizers/policy/n-pg-igt.js'
import { players } from '../saddle/game.js'
import { type Client, Turns } from '../turns.js'

const ascent = (variant: string, gamma0: number, start: readonly number[], seed = 1) =>
  new Turns(method, players({ x: start }), { config: { variant, gamma0 }, seed, direction: 'maximize' })

test('[n-pg-igt] the first queries and steps, exactly', () => {
  const one: Client = () => ({ gradients: [{ x: Float64Array.of(1) }] })
  const s = ascent('n-pg-igt', 1, [0])
  expect(s.asked.x[0]).toBe(0)
  expect(s.metrics.share).toBe(1)
  s.tell(one)
  expect(s.answer.x[0]).toBe(1)
  // The catalogue has e = 0.722962, but (2/3)^(4/5) = 0.722981: its fifth power is 16/81. With it, y_1 = 1 + 0.383162.
  expect(s.metrics.share ** 5).toBeCloseTo(16 / 81, 12)
  expect(s.metrics.step).toBeCloseTo(2 / 3, 12)
  expect(s.asked.x[0]).toBeCloseTo(1 + (1 - 0.722981) / 0.722981, 5)
  expect(s.asked.x[0]).toBeCloseTo(1.383162, 6)
})

/** The noiseless quadratic -(x - 1)'H(x - 1)/2 with H = diag(1, 2). */
const exact: Client = ([{ x }, direction], { wants: [want] }) =>
  want.kind === 'gradient'
    ? { gradients: [{ x: x.map((v, i) => -(i + 1) * (v - 1)) }] }
    : { products: [{ x: direction.x.map((v, i) => -(i + 1) * v) }] }

test.each(['n-pg-igt', 'harpg', 'n-harpg'])('[n-pg-igt] %s keeps d the exact gradient of a quadratic', (variant) => {
  const s = ascent(variant, 0.1, [-1, 2])
  for (let t = 0; t < 100; t++) {
    const { x } = s.answer
    s.steps(1, exact)
    // d is that of a loss to minimize.
    const d = (s.state as { own: { d: Float64Array } }).own.d
    for (const i of [0, 1]) expect(Math.abs(d[i] - (i + 1) * (x[i] - 1))).toBeLessThan(1e-9)
  }
  s.restart()
  s.steps(1, exact)
})

test('[n-pg-igt] plain momentum with the same shares is not exact', () => {
  const gradient = (x: readonly number[]) => x.map((v, i) => -(i + 1) * (v - 1))
  let x = [-1, 2]
  let d = gradient(x)
  let worst = 0
  for (let t = 0; t < 100; t++) {
    const e = (2 / (t + 2)) ** 0.8
    d = d.map((v, i) => (1 - e) * v + e * gradient(x)[i])
    worst = Math.max(worst, ...d.map((v, i) => Math.abs(v - gradient(x)[i])))
    const length = Math.hypot(...d)
    x = x.map((v, i) => v + (0.1 * 2 * d[i]) / length / (t + 2))
  }
  expect(worst).toBeGreaterThan(1e-3)
})

const bandit = gaussianBandit([1, 1.5, 2, 2.5, 3], [1, 1, 1, 1, 1], 0.5)
/** Plays one action per query. */
function player(seed: number): Client {
  const rng = new Rng(rngStream(seed, 'bandit'))
  return ([{ x }, direction], { wants: [want] }) =>
    want.kind === 'gradient'
      ? { gradients: [{ x: bandit.gradient(x, rng) }] }
      : { products: [{ x: bandit.product(x, direction.x, rng) }] }
}
const SEEDS = [1, 2, 3, 4, 5]
const STEPS = 20_000
const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length

const run = (variant: string, gamma0: number) =>
  mean(
    SEEDS.map((seed) => bandit.gap(ascent(variant, gamma0, [0, 0, 0, 0, 0], seed).steps(STEPS, player(seed)).answer.x)),
  )

test.each([1, 3])('[n-pg-igt] a bandit: transport against normalized momentum without it, gamma0 %d', (gamma0) => {
  const momentum = (seed: number) => {
    const rng = new Rng(rngStream(seed, 'bandit'))
    let x = new Float64Array(5)
    let d: Float64Array | undefined
    for (let t = 0; t < STEPS; t++) {
      const g = bandit.gradient(x, rng)
      const e = (2 / (t + 2)) ** 0.8
      d = (d ?? g).map((v, i) => (1 - e) * v + e * g[i])
      const length = Math.hypot(...d)
      x = x.map((v, i) => v + (gamma0 * 2 * d![i]) / length / (t + 2))
    }
    return bandit.gap(x)
  }
  expect(run('n-pg-igt', gamma0)).toBeLessThanOrEqual(0.6 * mean(SEEDS.map(momentum)))
})

test('[n-pg-igt] a bandit: harpg against plain policy gradient', () => {
  const plain = (learningRate: number) =>
    mean(
      SEEDS.map((seed) => {
        const rng = new Rng(rngStream(seed, 'bandit'))
        let x: Float64Array = new Float64Array(5)
        for (let t = 0; t < STEPS; t++) x = plus(x, learningRate, bandit.gradient(x, rng))
        return bandit.gap(x)
      }),
    )
  const harpg = run('harpg', 0.01)
  expect(harpg).toBeLessThanOrEqual(0.003)
  expect(harpg).toBeLessThan(Math.min(...[0.0003, 0.001, 0.003].map(plain)))
})
