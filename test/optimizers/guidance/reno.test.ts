import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method, shell } from '../../../src/optimizers/guidance/reno.js'
import { players } from '../saddle/game.js'
import { type Client, Turns } from '../turns.js'

const D = 64
const length = (e: ArrayLike<number>) => Math.hypot(...Array.from(e))
const nothing: Client = ([{ e }]) => ({ values: [[0]], gradients: [{ e: e.map(() => 0) }] })
const far = players({ e: new Array(D).fill(2) })

test('[reno] without rewards the noise goes to its shell; without regularization it stays', () => {
  const session = new Turns(method, far, { config: { weights: [0], iterations: 201 } })
  session.tell(nothing)
  const moved = session.asked.e.map((x) => 2 - x)
  expect(Math.abs(length(moved) - 0.95)).toBeLessThan(1e-4)
  for (let t = 1; t < 200; t++) session.tell(nothing)
  expect(Math.abs(length(session.asked.e) - Math.sqrt(63))).toBeLessThan(1e-3)

  const still = new Turns(method, far, { config: { weights: [0], regularization: 0 } })
  for (let t = 0; t < 49; t++) still.tell(nothing)
  expect(Array.from(still.asked.e)).toEqual(new Array(D).fill(2))
})

test('[reno] the regularizer: flat on the shell, inward above it, outward below', () => {
  const at = (r: number) => shell(new Float64Array(D).fill(r / 8))
  expect(Math.abs(at(Math.sqrt(63)).factor)).toBeLessThan(1e-12)
  expect(at(9).factor).toBeGreaterThan(0)
  expect(at(7).factor).toBeLessThan(0)
  expect(0.01 * at(7.93725).value).toBeCloseTo(-0.990087, 5)
  // The factor is the slope over the norm.
  expect((at(9 + 1e-5).value - at(9 - 1e-5).value) / 2e-5 / 9).toBeCloseTo(at(9).factor, 6)
})

const N = 32
/** Two rewards -0.02*|A_j e - c_j|^2. */
function rewards(seed: number): Client {
  const rng = new Rng(rngStream(seed, 'rewards'))
  const terms = [0, 1].map(() => ({
    A: Array.from({ length: 8 }, () => Array.from({ length: N }, () => rng.normal() / Math.sqrt(N))),
    c: Array.from({ length: 8 }, () => rng.normal()),
  }))
  return ([{ e }], { wants: [want] }) => {
    const told = terms.map(({ A, c }) => {
      const r = A.map((row, k) => row.reduce((sum, a, i) => sum + a * e[i], 0) - c[k])
      return {
        reward: -0.02 * r.reduce((sum, v) => sum + v * v, 0),
        gradient: Array.from(e, (_, i) => -0.04 * A.reduce((sum, row, k) => sum + row[i] * r[k], 0)),
      }
    })
    const gradients = want.kind === 'quantities' && want.quantities.length > 1
    return {
      quantities: [
        {
          rewards: Float64Array.from(told, ({ reward }) => reward),
          ...(gradients && { gradients: Float64Array.from(told.flatMap(({ gradient }) => gradient)) }),
        },
      ],
    }
  }
}
const free = players({ e: new Array(N).fill(0) })

test.each([0, 1, 2])('[reno] two rewards: the gap that the best of 50 draws leaves is closed (seed %i)', (seed) => {
  const run = (optimizer: string, more: object = {}) =>
    new Turns(method, free, { config: { weights: [1, 1], optimizer, ...more }, seed }).finish(rewards(seed))
  const [drawn, found] = [run('selection'), run('nesterov')]
  for (const session of [drawn, found]) {
    expect(session.counts.reward).toBe(50)
    expect(session.done).toContain('50 evaluations')
  }
  expect(found.metrics.bestReward).toBeGreaterThanOrEqual(0.2 * drawn.metrics.bestReward)
  const r = length(found.answer.e) / Math.sqrt(N)
  expect(r).toBeGreaterThanOrEqual(0.8)
  expect(r).toBeLessThanOrEqual(1.2)
  for (const [optimizer, learningRate] of [
    ['adam', 0.1],
    ['lbfgs', 1],
  ] as const)
    expect(run(optimizer, { learningRate }).metrics.bestReward, optimizer).toBeGreaterThan(drawn.metrics.bestReward)
})

test('reno: the seed gives the noise; the best is kept; a refused point is drawn anew; one reward is the objective', () => {
  const start = (seed: number) => new Turns(method, free, { seed }).asked.e
  expect(start(1)).toEqual(start(1))
  expect(start(1)).not.toEqual(start(2))

  const up = new Turns(method, players({ e: [1, 0] }), {
    config: { iterations: 3, regularization: 0 },
    direction: 'maximize',
  })
  const told = [2, 5, 3]
  const asked = told.map((value) => {
    const { e } = up.asked
    up.tell(() => ({ values: [[value]], gradients: [{ e: Float64Array.of(0.01, 0) }] }))
    return e
  })
  // The gradient is climbed.
  expect(asked[1][0]).toBeCloseTo(1 + 5 * 1.9 * 0.01, 12)
  expect(up.answer.e).toEqual(asked[1])
  expect(up.metrics).toMatchObject({ bestReward: 5, reward1: 3 })
  expect(() => new Turns(method, { ...free, low: 0 }, {})).toThrow('space.low')
})
