import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { method } from '../../../src/optimizers/policy/n-pg-igt.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { players } from '../saddle/game.js'
import { Session, vectors } from '../session.js'
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

const S2 = 0.25
const H = [1, 1.5, 2, 2.5, 3]
/** A Gaussian bandit: actions a ~ N(x, s^2), reward -sum h_i (a_i - 1)^2/2. */
function bandit(seed: number): Client {
  const rng = new Rng(rngStream(seed, 'bandit'))
  return ([{ x }, direction], { wants: [want] }) => {
    const v = Float64Array.from(x, () => rng.normal() / Math.sqrt(S2))
    const reward = v.reduce((sum, z, i) => sum - 0.5 * H[i] * (x[i] + S2 * z - 1) ** 2, 0)
    if (want.kind === 'gradient') return { gradients: [{ x: v.map((z) => reward * z) }] }
    const u = direction.x
    const along = v.reduce((sum, z, i) => sum + z * u[i], 0)
    return { products: [{ x: v.map((z, i) => reward * (z * along - u[i] / S2)) }] }
  }
}
const gap = ({ x }: Tensors) => H.reduce((sum, h, i) => sum + 0.5 * h * (x[i] - 1) ** 2, 0)
const SEEDS = [1, 2, 3, 4, 5]
const STEPS = 20_000
const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length

const run = (variant: string, gamma0: number) =>
  mean(SEEDS.map((seed) => gap(ascent(variant, gamma0, [0, 0, 0, 0, 0], seed).steps(STEPS, bandit(seed)).answer)))

test.each([1, 3])('[n-pg-igt] a bandit: transport against normalized momentum without it, gamma0 %d', (gamma0) => {
  const momentum = (seed: number) => {
    const client = bandit(seed)
    let x = new Float64Array(5)
    let d: Float64Array | undefined
    for (let t = 0; t < STEPS; t++) {
      const { gradients } = client([{ x }], { id: '', points: [], wants: [{ kind: 'gradient' }] })
      const g = gradients![0].x
      const e = (2 / (t + 2)) ** 0.8
      d = (d ?? Float64Array.from(g)).map((v, i) => (1 - e) * v + e * g[i])
      const length = Math.hypot(...d)
      x = x.map((v, i) => v + (gamma0 * 2 * d![i]) / length / (t + 2))
    }
    return gap({ x })
  }
  expect(run('n-pg-igt', gamma0)).toBeLessThanOrEqual(0.6 * mean(SEEDS.map(momentum)))
})

test('[n-pg-igt] a bandit: harpg against plain policy gradient', () => {
  const plain = (learningRate: number) =>
    mean(
      SEEDS.map((seed) => {
        const client = bandit(seed)
        const session = new Session(sgd, vectors([0, 0, 0, 0, 0]), { config: { learningRate }, direction: 'maximize' })
        const g = (x: Tensors) => client([x], session.query).gradients![0]
        return gap({ x: Float64Array.from(session.steps(STEPS, g).x) })
      }),
    )
  const harpg = run('harpg', 0.01)
  expect(harpg).toBeLessThanOrEqual(0.003)
  expect(harpg).toBeLessThan(Math.min(...[0.0003, 0.001, 0.003].map(plain)))
})
