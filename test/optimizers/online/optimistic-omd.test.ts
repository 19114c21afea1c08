import { describe, expect, test } from 'vitest'
import { symmetricEigen } from '../../../src/core/eigen.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { flatOf } from '../../../src/optimizers/flat.js'
import { domainOf } from '../../../src/optimizers/online/domain.js'
import { method } from '../../../src/optimizers/online/optimistic-omd.js'
import { Game, players } from '../saddle/game.js'

const center = [0.4, -0.3, 0.2, 0.1, -0.2]
const zeros = (n: number): TensorsSpace => ({ kind: 'tensors', tensors: [{ name: 'x', shape: [n], dtype: 'f64' }] })

test('[optimistic-omd] exact plays in one dimension', () => {
  const game = new Game(method, { ...zeros(1), low: -1, high: 1 }, { gradientBound: 1 })
  const plays = [-0.2, -0.2, 0.1].map((g) => {
    const [x] = game.asked.x
    game.tell(() => ({ x: [g] }))
    return x
  })
  expect([...plays, game.asked.x[0]]).toEqual(
    [0, 0.3570595997, 0.5352337607, 0.1796703617].map((x) => expect.closeTo(x, 9)),
  )
  expect(game.query.sampleKey).toBe('round-4')
})

/** Regret after so many rounds of .5 |x - c|^2, whose gradients are told with noise. */
function regret(config: object, noise: number, rounds: readonly number[], seed: number): number[] {
  const rng = new Rng(rngStream(seed, 'noise'))
  const game = new Game(method, zeros(5), { ball: 1, gradientBound: 4, ...config })
  const out: number[] = []
  let sum = 0
  for (let t = 1; t <= rounds[rounds.length - 1]; t++) {
    const gradient = center.map((c, i) => game.asked.x[i] - c)
    sum += gradient.reduce((s, g) => s + 0.5 * g * g, 0)
    game.tell(() => ({ x: noise === 0 ? gradient : gradient.map((g) => g + noise * rng.normal()) }))
    if (rounds.includes(t)) out.push(sum)
  }
  return out
}
const mean = (config: object, noise: number) => {
  const runs = [0, 1, 2].map((seed) => regret(config, noise, [2000, 20_000], seed))
  return [0, 1].map((i) => runs.reduce((sum, run) => sum + run[i] / 3, 0))
}

describe('[optimistic-omd] regret follows the noise', () => {
  test('convex: like s sqrt(T)', () => {
    const [loud, quiet] = [mean({}, 1), mean({}, 0.1)]
    expect(loud[1] / quiet[1]).toBeGreaterThan(8)
    expect(loud[1] / quiet[1]).toBeLessThan(12)
    expect(loud[1] / loud[0]).toBeGreaterThan(2.5)
    expect(loud[1] / loud[0]).toBeLessThan(4)
  })
  test('strongly convex: like log T', () => {
    const [early, late] = mean({ losses: 'strongly-convex' }, 1)
    expect(late / early).toBeLessThan(1.7)
  })
  test.each(['convex', 'strongly-convex'])('%s: none without noise', (losses) => {
    const [early, late] = regret({ losses }, 0, [2000, 20_000], 0)
    expect(late - early).toBeLessThan(1e-9)
  })
})

test('[optimistic-omd] exp-concave: regret grows with log T', () => {
  const truth = [0.3, -0.5, 0.2]
  const increments = (seed: number) => {
    const rng = new Rng(rngStream(seed, 'exp-concave'))
    const game = new Game(method, zeros(3), { losses: 'exp-concave', ball: 1, gradientBound: 2, beta: 0.5 })
    const at: number[] = []
    let sum = 0
    for (let t = 1; t <= 50_000; t++) {
      const a = [rng.normal(), rng.normal(), rng.normal()]
      const unit = a.map((x) => x / Math.hypot(...a))
      const dot = (x: ArrayLike<number>) => unit.reduce((s, u, i) => s + u * x[i], 0)
      const b = dot(truth) + 0.5 * rng.normal()
      const residual = dot(game.asked.x) - b
      sum += 0.5 * residual ** 2 - 0.5 * (dot(truth) - b) ** 2
      game.tell(() => ({ x: unit.map((u) => residual * u) }))
      if (t === 500 || t === 5000 || t === 50_000) at.push(sum)
    }
    return [at[1] - at[0], at[2] - at[1]]
  }
  const runs = [0, 1, 2].map(increments)
  const [first, second] = [0, 1].map((i) => runs.reduce((total, run) => total + run[i], 0))
  expect(first / second).toBeGreaterThan(0.6)
  expect(first / second).toBeLessThan(1 / 0.6)
})

test('optimistic-omd: dynamic follows a comparator that jumps, where the fixed step is slow', () => {
  const paid = (losses: string) => {
    const game = new Game(method, zeros(1), { losses, ball: 1, gradientBound: 2, horizon: 2000 })
    let sum = 0
    for (let t = 0; t < 2000; t++) {
      const c = Math.floor(t / 100) % 2 === 0 ? 0.9 : -0.9
      const [x] = game.asked.x
      sum += Math.abs(x - c)
      game.tell(() => ({ x: [Math.sign(x - c)] }))
    }
    return sum
  }
  const dynamic = paid('dynamic')
  expect(dynamic).toBeLessThan(0.6 * paid('convex'))
})

test('optimistic-omd: the bound on the regret is that of the linear losses', () => {
  for (const space of [{ ...zeros(2), low: -1, high: 2 }, zeros(2)]) {
    const game = new Game(method, space, space.low === undefined ? { ball: 1.5 } : {})
    const rng = new Rng(rngStream(2, 'linear'))
    let paid = 0
    const sum = [0, 0]
    for (let t = 0; t < 50; t++) {
      const g = [rng.normal(), rng.normal()]
      paid += g[0] * game.asked.x[0] + g[1] * game.asked.x[1]
      for (const [i, x] of g.entries()) sum[i] += x
      game.tell(() => ({ x: g }))
    }
    const least = space.low === undefined ? -1.5 * Math.hypot(...sum) : sum.reduce((s, g) => s + Math.min(-g, 2 * g), 0)
    expect(game.metrics.regretBound).toBeCloseTo(paid - least, 10)
  }
})

test('optimistic-omd: projections in a metric are nearest in it', () => {
  const H = Float64Array.of(4, 1, 0.5, 1, 3, -0.7, 0.5, -0.7, 1)
  const vectors = H.slice()
  const metric = { H, values: symmetricEigen(vectors, 3), vectors }
  const x = Float64Array.of(2, -1.5, 3)
  const distance = (z: ArrayLike<number>) => {
    const d = [0, 1, 2].map((i) => z[i] - x[i])
    return d.reduce((s, di, i) => s + d.reduce((r, dj, j) => r + H[i * 3 + j] * di * dj, 0), 0)
  }
  const rng = new Rng(rngStream(7, 'near'))
  for (const ball of [1, undefined]) {
    const space = ball ? zeros(3) : { ...zeros(3), low: -1, high: 1 }
    const problem = { space, objectives: [{ name: 'loss', direction: 'minimize' as const }] }
    const domain = domainOf(ball, problem, flatOf(problem))
    const z = domain.projectIn(metric, x)
    for (let k = 0; k < 500; k++) {
      const other = domain.project(z.map((v) => v + 0.1 * rng.normal()))
      expect(distance(z)).toBeLessThanOrEqual(distance(other) + 1e-9)
    }
    const inside = Float64Array.of(0.1, 0.2, -0.3)
    expect(domain.projectIn(metric, inside)).toEqual(inside)
  }
})

test('optimistic-omd: needs a bounded set, one of them', () => {
  expect(() => new Game(method, zeros(1))).toThrow('config.ball: optimistic-omd plays in a bounded set')
  expect(() => new Game(method, { ...zeros(1), low: -1, high: 1 }, { ball: 1 })).toThrow('not both')
  expect(() => new Game(method, players({ x: new Array(501).fill(0) }), { ball: 1, losses: 'exp-concave' })).toThrow(
    'config.losses: exp-concave takes up to 500',
  )
})
