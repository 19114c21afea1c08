import { describe, expect, test } from 'vitest'
import { method, nikaidoIsoda } from '../../../src/optimizers/saddle/mean-field-gda.js'
import { Game, type Operator, players } from './game.js'

const N = 400
const mean = (x: ArrayLike<number>, f: (v: number) => number) => {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += f(x[i])
  return sum / x.length
}
const cloud = (at: number) => players({ x: Array(N).fill(at), y: Array(N).fill(at) })

/** K = cos(x - y) + cos x - 0.5 sin y, averaged over the other cloud; the max player's own loss is -K. */
const waves: Operator = ({ x, y }) => {
  const [cx, sx, cy, sy] = [mean(x, Math.cos), mean(x, Math.sin), mean(y, Math.cos), mean(y, Math.sin)]
  return {
    x: x.map((v) => -(Math.sin(v) * cy - Math.cos(v) * sy) - Math.sin(v)),
    y: y.map((v) => -(sx * Math.cos(v) - cx * Math.sin(v) - 0.5 * Math.cos(v))),
  }
}
const EXACT = [-0.5055, 0.3098, -0.6197, -0.2331]

/** Means of cos x, sin x, cos y, sin y over the last 2,000 of 4,000 steps. */
function moments(config: object): number[] {
  const game = new Game(method, cloud(0), { torus: true, ...config })
  const sums = [0, 0, 0, 0]
  for (let t = 1; t <= 4000; t++) {
    game.tell(waves)
    if (t <= 2000) continue
    const { x, y } = game.asked
    ;[mean(x, Math.cos), mean(x, Math.sin), mean(y, Math.cos), mean(y, Math.sin)].forEach((m, i) => {
      sums[i] += m / 2000
    })
  }
  return sums
}

describe('[mean-field-gda] the mixed equilibrium on the circle', () => {
  test.each([
    [0.2, 0.05],
    [5, 0.02],
  ])('eta %f, h %f', (eta, learningRate) => {
    moments({ tau: 0.3, eta, learningRate }).forEach((m, i) => {
      expect(Math.abs(m - EXACT[i])).toBeLessThan(0.05)
    })
  })
  test('plain descent-ascent misses it', () => {
    const off = moments({ tau: 0, eta: 5, learningRate: 0.02 }).map((m, i) => Math.abs(m - EXACT[i]))
    expect(Math.max(...off)).toBeGreaterThan(0.15)
  })
})

test('[mean-field-gda] sin x sin y: noise settles the clouds, without it they go round', () => {
  const product: Operator = ({ x, y }) => {
    const [sx, sy] = [mean(x, Math.sin), mean(y, Math.sin)]
    return { x: x.map((v) => Math.cos(v) * sy), y: y.map((v) => -Math.cos(v) * sx) }
  }
  const rms = (tau: number) => {
    const game = new Game(method, cloud(0.3), { tau, eta: 5, learningRate: 0.02, torus: true })
    let sum = 0
    for (let t = 1; t <= 3000; t++) {
      game.tell(product)
      if (t > 2000) sum += mean(game.asked.x, Math.sin) ** 2 / 1000
    }
    return Math.sqrt(sum)
  }
  expect(rms(0.2)).toBeLessThan(0.1)
  expect(rms(0)).toBeGreaterThan(0.3)
})

test('[mean-field-gda] one particle each, no noise and eta 1: simultaneous descent-ascent', () => {
  const game = new Game(method, players({ x: [1], y: [0.5] }), { tau: 0, eta: 1, learningRate: 0.1 })
  let [x, y] = [1, 0.5]
  for (let t = 0; t < 50; t++) {
    ;[x, y] = [x - 0.1 * (y + x), y + 0.1 * (x - y)]
    game.tell((z) => ({ x: [z.y[0] + z.x[0]], y: [-(z.x[0] - z.y[0])] }))
    expect(Math.abs(game.x[0] - x)).toBeLessThan(1e-12)
    expect(Math.abs(game.x[1] - y)).toBeLessThan(1e-12)
  }
})

test('mean-field-gda: annealing, the gap, a restart, names', () => {
  const game = new Game(method, players({ x: [0], y: [0] }), { anneal: 'log', tau: 2, learningRate: 0.5 })
  game.tell(waves).tell(waves)
  expect(game.metrics.temperature).toBeCloseTo(2 / Math.log(Math.E + 1), 12)

  // Matching pennies: the gap of pure play is 2, of even play 0.
  const pennies = [
    [1, -1],
    [-1, 1],
  ]
  expect(nikaidoIsoda([pennies[0]], [[1], [-1]])).toBe(2)
  expect(nikaidoIsoda(pennies, pennies)).toBe(0)

  const [plain, restarted] = [0, 1].map(() => new Game(method, players({ x: [0, 1], y: [2] })))
  for (let t = 0; t < 10; t++) {
    plain.tell(waves)
    restarted.tell(waves)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
  expect(() => new Game(method, players({ x: [0] }))).toThrow('"y" is not a tensor')
})
