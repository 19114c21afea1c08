import { describe, expect, test } from 'vitest'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { method } from '../../../src/optimizers/saddle/optda-plus.js'
import { of, Session, vectors } from '../session.js'
import { bilinear, Game, players } from './game.js'

const start = (config: object) => new Game(method, players({ x: [1], y: [1] }), config)
const near = (x: ArrayLike<number>, expected: readonly number[]) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(x[i] - e)).toBeLessThan(1e-12)
}

describe('[optda-plus] constant steps on x*y', () => {
  test.each(['optda-plus', 'og-plus'])('%s', (variant) => {
    const game = start({ variant, steps: 'constant', extrapolation: 0.3, learningRate: 0.03 })
    near([game.asked.x[0], game.asked.y[0]], [1, 1])
    game.tell(bilinear)
    near(game.x, [0.97, 1.03])
    near([game.asked.x[0], game.asked.y[0]], [0.67, 1.33])
    game.tell(bilinear)
    near(game.x, [0.9301, 1.0501])
  })
})

test('[optda-plus] adaptive steps: arrive without constants, 1 at first, never growing', () => {
  const game = start({})
  const steps: [number, number][] = [[game.metrics.extrapolation, game.metrics.learningRate]]
  let early = 0
  for (let t = 1; t <= 3000; t++) {
    game.tell(bilinear)
    steps.push([game.metrics.extrapolation, game.metrics.learningRate])
    if (t === 100) early = Math.hypot(...game.x)
  }
  expect(Math.hypot(...game.x)).toBeLessThanOrEqual(0.1)
  expect(Math.hypot(...game.x)).toBeLessThan(early)
  expect(steps.slice(0, 2)).toEqual([
    [1, 1],
    [1, 1],
  ])
  for (let t = 1; t < steps.length; t++) {
    expect(steps[t][0]).toBeLessThanOrEqual(steps[t - 1][0])
    expect(steps[t][1]).toBeLessThanOrEqual(steps[t - 1][1])
  }
})

test('[optda-plus] og-plus with equal steps and g_0 = V(X_1) is the single-call og', () => {
  const game = start({ variant: 'og-plus', steps: 'constant', extrapolation: 0.3, learningRate: 0.3, start: 'call' })
  const driver = { id: 'extragradient', variant: 'og' }
  const og = new Session(sgd, vectors([1, 1]), { config: { learningRate: 0.3, driver } })
  game.tell(bilinear)
  og.tell([1, -1])
  for (let t = 0; t < 40; t++) {
    // Unconstrained, og's next leading point and the base points agree.
    near([game.asked.x[0], game.asked.y[0]], [...og.asked.x])
    game.tell(bilinear)
    og.steps(
      1,
      of((z) => [z[1], -z[0]]),
    )
    near(game.x, og.x)
  }
})

test('optda-plus: adaptive sums lag by two steps, player by player', () => {
  const game = start({})
  const g = { x: [2], y: [1] }
  let sum = [0, 0]
  const gradients: number[][] = []
  const X: number[][] = [game.x]
  for (let t = 1; t <= 6; t++) {
    game.tell(() => g)
    gradients.push([2, 1])
    sum = [sum[0] + 2, sum[1] + 1]
    // eta_{t+1} from s <= t - 1.
    const next = [0, 1].map((player) => {
      let all = 1
      for (let s = 0; s < t - 1; s++) all += gradients[s][player] ** 2 + (X[s][player] - X[s + 1][player]) ** 2
      return 1 - sum[player] / Math.sqrt(all)
    })
    near(game.x, next)
    X.push(game.x)
  }
})

test('optda-plus: a box keeps play and base within it; a restart changes nothing', () => {
  const space = players({ x: [0.5], y: [0.5] }, { low: -1, high: 1 })
  const [plain, restarted] = [0, 1].map(
    () => new Game(method, space, { steps: 'additive', extrapolation: 3, learningRate: 3 }),
  )
  for (let t = 0; t < 30; t++) {
    plain.tell(bilinear)
    restarted.tell(bilinear)
    restarted.restart()
    for (const value of [...plain.x, plain.asked.x[0], plain.asked.y[0]]) expect(Math.abs(value)).toBeLessThanOrEqual(1)
  }
  expect(restarted.state).toEqual(plain.state)
})
