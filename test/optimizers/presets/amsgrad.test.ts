import { beforeAll, expect, test } from 'vitest'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as amsgrad } from '../../../src/optimizers/presets/amsgrad.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const box = { low: -1, high: 1 }
const schedule = { id: 'inverse-sqrt' }

/** Plays linear losses slope(t)*x; gives the last x and the average regret against the best fixed x. */
function play(session: Session, rounds: number, slope: (t: number) => number) {
  let loss = 0
  let total = 0
  for (let t = 1; t <= rounds; t++) {
    const c = slope(t)
    loss += c * session.state.x.x[0]
    total += c
    session.tell([c])
  }
  return { x: session.x[0], regret: (loss + Math.abs(total)) / rounds }
}

test('[amsgrad] the counter-example: Adam ends at the worst point, AMSGrad and AdamNc near the best', () => {
  const slope = (t: number) => (t % 3 === 1 ? 3 : -1)
  const config = { learningRate: 0.5, beta1: 0, beta2: 0.1, eps: 0, schedule }
  const worst = play(new Session(adam, vectors([1], box), { config }), 3000, slope)
  expect(worst.x).toBe(1)
  expect(worst.regret).toBeGreaterThan(0.6)
  expect(worst.regret).toBeCloseTo(0.6748, 3)
  const best = play(new Session(amsgrad, vectors([1], box), { config }), 3000, slope)
  expect(Math.abs(best.x + 0.9936265)).toBeLessThan(1e-6)
  expect(Math.abs(best.regret - 0.02735)).toBeLessThan(1e-4)
  const nc = play(new Session(amsgrad, vectors([1], box), { config: { ...config, variant: 'adamnc' } }), 3000, slope)
  expect(Math.abs(nc.x + 0.9904652)).toBeLessThan(1e-6)
})

test('[amsgrad] the stream of period 101', () => {
  const slope = (t: number) => (t % 101 === 1 ? 1010 : -10)
  const config = { learningRate: 0.5, beta1: 0.9, beta2: 0.99, schedule, reportNorm: false }
  const last = (method: typeof adam) =>
    play(new Session(method, vectors([0], box), { config, engine: 'wasm' }), 300_000, slope).x
  expect(last(adam)).toBeGreaterThan(0.99)
  expect(last(amsgrad as unknown as typeof adam)).toBeLessThan(-0.99)
})

test('[amsgrad] the second moment never shrinks', () => {
  const config = { learningRate: 1, beta1: 0, beta2: 0.5, eps: 0 }
  const session = new Session(amsgrad, vectors([0]), { config }).tell([1])
  expect(session.x[0]).toBeCloseTo(-1 / Math.sqrt(0.5), 12)
  const before = session.x[0]
  expect(before - session.tell([0.1]).x[0]).toBeCloseTo(0.1 / Math.sqrt(0.5), 12)
  // Adam without bias correction steps 0.1/sqrt(0.255): AMSGrad's second step without the maximum.
  expect(0.1 / Math.sqrt(session.state.slots.v.x[0])).toBeCloseTo(0.1980295, 7)
})

test('[amsgrad] a ball in the scaled norm: the nearest point in the metric of the second moments', () => {
  const config = { learningRate: 1, beta1: 0, beta2: 0, eps: 0, ball: 1 }
  const session = new Session(amsgrad, vectors([0.5, 0.5, 0.1]), { config }).tell([-3, 1, 1e-3])
  // beta2 = 0 makes the metric |g| and every step 1: y = (1.5, -0.5, -0.9).
  const [w, y] = [
    [3, 1, 1e-3],
    [1.5, -0.5, -0.9],
  ]
  const cost = (z: readonly number[]) => z.reduce((sum, zi, i) => sum + w[i] * (zi - y[i]) ** 2, 0)
  const x = session.x
  expect(Math.hypot(...x)).toBeCloseTo(1, 9)
  // Stationary on the sphere: w*(y - x) is a multiple of x.
  const lambda = x.map((xi, i) => (w[i] * (y[i] - xi)) / xi)
  expect(lambda[1]).toBeCloseTo(lambda[0], 6)
  expect(lambda[2]).toBeCloseTo(lambda[0], 6)
  const scaled = y.map((yi) => yi / Math.hypot(...y))
  expect(cost(x)).toBeLessThan(cost(scaled))
})
