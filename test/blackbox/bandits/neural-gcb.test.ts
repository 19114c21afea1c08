import { describe, expect, it } from 'vitest'
import { method as linUcb } from '../../../src/blackbox/bandits/lin-ucb.js'
import { drawWeights, evaluate, gradientOf, scaleOf, train } from '../../../src/blackbox/bandits/network.js'
import { betaOf, method as neuralGcb } from '../../../src/blackbox/bandits/neural-gcb.js'
import { observe, startInverse, width } from '../../../src/blackbox/bandits/ridge.js'
import type { AnyMethod } from '../../../src/core/method.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

const [K, D, T] = [4, 8, 600]
const actions: Problem = {
  space: { kind: 'items', items: Array.from({ length: K }, (_, i) => ({ id: `a${i}` })) },
  objectives: [{ name: 'reward', direction: 'maximize' }],
}
const unit = (rng: Rng): Float64Array => {
  const v = Float64Array.from({ length: D }, () => rng.normal())
  const norm = Math.hypot(...v)
  return v.map((x) => x / norm)
}

/** Plays rounds of the quadratic reward 4 (a'x)^2 with noise of deviation 0.1. */
function regretOf(method: AnyMethod, config: object, seed: number, rounds = T) {
  const rng = new Rng(rngStream(seed, 'environment'))
  const a = unit(rng)
  const driver = new Driver(method, actions, { features: 'told', bestReward: true, ...config }, seed)
  const regrets: number[] = []
  const purposes = new Set<string | undefined>()
  for (let t = 0; t < rounds; t++) {
    const [context] = driver.ask()
    const x = context.points.map(() => unit(rng))
    const rewards = x.map((v) => 4 * v.reduce((sum, xi, i) => sum + xi * a[i], 0) ** 2)
    const told = { queryId: context.id, status: 'ok', quantities: x.map((features) => ({ features })) } as const
    driver.step({ type: 'observation', query: context, observation: told })
    const [query] = driver.ask()
    const [point] = query.points
    const arm = point.kind === 'item' ? Number(point.item.slice(1)) : Number.NaN
    purposes.add(query.purpose)
    const best = Math.max(...rewards)
    regrets.push(best - rewards[arm])
    const values = [[rewards[arm] + 0.1 * rng.normal()]]
    const observation = {
      queryId: query.id,
      status: 'ok',
      values,
      quantities: [{ best: Float64Array.of(best) }],
    } as const
    driver.step({ type: 'observation', query, observation })
  }
  const total = regrets.reduce((sum, r) => sum + r, 0)
  const last = regrets.slice((3 * rounds) / 4).reduce((sum, r) => sum + r, 0)
  return { total, last, purposes, told: driver.estimate().metrics?.regret }
}

describe('[neural-gcb]', () => {
  const config = { horizon: T, lambda0: 2, normBound: 1, noise: 0.1 }
  const seeds = [0, 1, 2]

  const runs = new Map<number, ReturnType<typeof regretOf>>()
  const play = (seed: number) => {
    const known = runs.get(seed) ?? regretOf(neuralGcb, config, seed)
    runs.set(seed, known)
    return known
  }

  it('has at most 0.6 times the regret of a linear model, a quarter of it at most in the last quarter', () => {
    for (const seed of seeds) {
      const { total, last, told, purposes } = play(seed)
      expect(total).toBeLessThanOrEqual(0.6 * regretOf(linUcb, {}, seed).total)
      expect(last).toBeLessThanOrEqual(0.25 * total)
      // The noise of 600 rewards sums to less than 10.
      expect(Math.abs((told as number) - total)).toBeLessThan(10)
      expect(purposes).toEqual(new Set(['explore', 'greedy']))
    }
  })

  it('without greedy play inside of a stage the regret is 1.5 times as large', () => {
    const explore = { ...config, algorithm: 'sup-nn-ucb', lambda0: 1 }
    for (const seed of [0, 1])
      expect(regretOf(neuralGcb, explore, seed).total).toBeGreaterThanOrEqual(1.5 * play(seed).total)
  })
})

describe('parts of neural-gcb', () => {
  const shape = { inputs: 3, hidden: 5, power: 2 }
  const rng = new Rng(rngStream(1, 'network'))
  const weights = drawWeights(shape, rng)
  const x = Float64Array.of(0.3, -0.5, 0.8)

  it('gradients of the network are those of finite differences', () => {
    gradientOf(shape, weights, x).forEach((g, k) => {
      const at = (step: number) => evaluate(shape, weights.with(k, weights[k] + step), x)
      expect(g).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 7)
    })
    expect(scaleOf(2)).toBeCloseTo(Math.sqrt(2 / 3), 14)
    expect(scaleOf(3)).toBeCloseTo(Math.sqrt(2 / 15), 14)
  })

  it('training lowers the squared error', () => {
    const xs = Array.from({ length: 20 }, () => Float64Array.from({ length: 3 }, () => rng.normal()))
    const ys = xs.map((v) => v[0] ** 2)
    const error = (w: Float64Array) => xs.reduce((sum, v, i) => sum + (evaluate(shape, w, v) - ys[i]) ** 2, 0)
    expect(error(train(shape, weights, xs, ys, 300, 0.02))).toBeLessThan(0.5 * error(weights))
  })

  it('widths follow the inverse of the moment matrix', () => {
    const inverse = startInverse(2, 0.5)
    expect(observe(inverse, Float64Array.of(1, 2))).toBeCloseTo(1 + 5 / 0.5, 12)
    // Z = [[1.5, 2], [2, 4.5]], of determinant 2.75.
    expect(width(inverse, Float64Array.of(1, 0)) ** 2).toBeCloseTo(4.5 / 2.75, 12)
    expect(width(inverse, Float64Array.of(0, 1)) ** 2).toBeCloseTo(1.5 / 2.75, 12)
  })

  it('beta is that of the paper', () => {
    const c = parseConfig(neuralGcb.config, {}) as Parameters<typeof betaOf>[0]
    expect(betaOf(c)).toBeCloseTo(2 + 0.1 * Math.sqrt(40 * Math.log(10)), 12)
  })

  it('the adaptive schedule and the baseline of one stage learn as well', () => {
    const linear = regretOf(linUcb, {}, 0, 300).total
    expect(regretOf(neuralGcb, { horizon: 300, retrain: 'adaptive' }, 0, 300).total).toBeLessThan(0.7 * linear)
    expect(regretOf(neuralGcb, { horizon: 300, algorithm: 'neural-ucb' }, 0, 300).total).toBeLessThan(0.7 * linear)
  })
})
