/** What all bandits over arms have in common. */
import { describe, expect, it } from 'vitest'
import { method as epsilonGreedy } from '../../../src/blackbox/bandits/epsilon-greedy.js'
import { method as exp3 } from '../../../src/blackbox/bandits/exp3.js'
import { method as linUcb } from '../../../src/blackbox/bandits/lin-ucb.js'
import { gamma, method as thompson } from '../../../src/blackbox/bandits/thompson.js'
import { method as ucb1 } from '../../../src/blackbox/bandits/ucb1.js'
import type { AnyMethod } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Direction, Problem } from '../../../src/core/space.js'
import { Driver, searchProblem } from '../drive.js'

const MEANS = [0.2, 0.5, 0.8, 0.4]
const arms = (direction: Direction = 'maximize'): Problem => ({
  space: {
    kind: 'items',
    items: MEANS.map((_, i) => ({ id: `arm${i}`, features: [Math.cos(i), Math.sin(i)] })),
  },
  objectives: [{ name: 'reward', direction }],
})
const armOf = ({ points: [point] }: Query): number => (point.kind === 'item' ? Number(point.item.slice(3)) : Number.NaN)

const BANDITS: readonly [string, AnyMethod, object][] = [
  ['epsilon-greedy', epsilonGreedy, {}],
  ['epsilon-greedy with decay', epsilonGreedy, { decay: 5 }],
  ['ucb1', ucb1, {}],
  ['thompson', thompson, { rewards: 'bernoulli' }],
  ['thompson of normal rewards', thompson, {}],
  ['exp3', exp3, {}],
]

describe.each(BANDITS)('%s', (_, method, config) => {
  /** Coins of the arms' means; counts the plays of each arm in the last half. */
  function plays(direction: Direction, width = 1): number[] {
    const coins = new Rng(rngStream(4, 'coins'))
    const driver = new Driver(method, arms(direction), config, 1)
    const counts = MEANS.map(() => 0)
    for (let t = 0; t < 1200; t += width)
      for (const query of [...driver.ask(width)].reverse()) {
        const arm = armOf(query)
        if (t >= 600) counts[arm]++
        const mean = direction === 'maximize' ? MEANS[arm] : 1 - MEANS[arm]
        driver.tell(query, coins.uniform() < mean ? 1 : 0)
      }
    const [best] = driver.estimate().points
    expect(best.point).toEqual({ kind: 'item', item: 'arm2' })
    return counts
  }

  it('plays the best arm most, whether values are to be maximized or minimized, and in parallel', () => {
    for (const [direction, width] of [
      ['maximize', 1],
      ['minimize', 1],
      ['maximize', 8],
    ] as const) {
      const counts = plays(direction, width)
      expect(counts[2]).toBeGreaterThan(600 * 0.6)
    }
  })

  it('never plays an infeasible arm again, and says when none is left', () => {
    const driver = new Driver(method, arms(), config)
    const refused = new Set<number>()
    for (let t = 0; t < 40; t++) {
      const [query] = driver.ask()
      if (!query) break
      expect(refused.has(armOf(query))).toBe(false)
      if (t % 3 === 2) refused.add(armOf(query))
      driver.tell(query, t % 3 === 2 ? 'infeasible' : t % 3 === 1 ? 'failed' : 0.5)
    }
    expect(refused.size).toBe(4)
    expect(driver.ask()).toHaveLength(0)
    expect(driver.outcome?.short?.until).toBe('never')
  })

  it('takes the points of a finite search space for arms', () => {
    const driver = new Driver(
      method,
      searchProblem([{ name: 'size', type: 'int', low: 0, high: 3 }], 'maximize'),
      config,
    )
    driver.play(600, ({ points: [point] }) => (point.kind === 'params' ? MEANS[point.params.size as number] : 0))
    expect(driver.estimate().points[0].point).toEqual({ kind: 'params', params: { size: 2 } })
  })
})

describe('bandits over arms', () => {
  it('EXP3 follows its equations', () => {
    const driver = new Driver(exp3, arms(), { gamma: 0.2 })
    const [query] = driver.ask()
    driver.tell(query, 1)
    const state = driver.state as unknown as { own: { logWeights: Float64Array } }
    // All probabilities are 1/4 at first: 0.2 1 / (1/4 4).
    expect(state.own.logWeights[armOf(query)]).toBeCloseTo(0.2, 14)
  })

  it('UCB1 plays every arm once, then by its bound', () => {
    const driver = new Driver(ucb1, arms(), {})
    const first = driver.play(4, (query) => MEANS[armOf(query)]).map(armOf)
    expect([...first].sort()).toEqual([0, 1, 2, 3])
    expect(armOf(driver.ask()[0])).toBe(2)
    expect(driver.estimate().metrics?.['bound arm1']).toBeCloseTo(0.5 + Math.sqrt(2 * Math.log(5)), 12)
  })

  it('LinUCB has the ridge estimate and its width', () => {
    const driver = new Driver(linUcb, arms(), { alpha: 2 })
    driver.play(2, (query) => MEANS[armOf(query)])
    driver.ask()
    // Whatever was played, (I + sum x x') theta = sum r x for theta from the means that are shown.
    const { inverse, moment } = (driver.state as unknown as { own: { inverse: Float64Array; moment: Float64Array } })
      .own
    const theta = [0, 1].map((i) => inverse[2 * i] * moment[0] + inverse[2 * i + 1] * moment[1])
    const { metrics } = driver.estimate()
    MEANS.forEach((_, i) => {
      const x = [Math.cos(i), Math.sin(i)]
      const square = x.reduce((sum, a, k) => sum + x.reduce((s, b, l) => s + a * b * inverse[2 * k + l], 0), 0)
      const mean = theta[0] * x[0] + theta[1] * x[1]
      expect(metrics?.[`mean arm${i}`]).toBeCloseTo(mean, 12)
      expect(metrics?.[`bound arm${i}`]).toBeCloseTo(mean + 2 * Math.sqrt(square), 12)
    })
  })

  it('gamma variates have their mean and variance', () => {
    const rng = new Rng(rngStream(3, 'gamma'))
    for (const shape of [0.5, 1, 7]) {
      const draws = Array.from({ length: 20000 }, () => gamma(shape, rng))
      const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length
      const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length
      expect(Math.abs(mean / shape - 1)).toBeLessThan(0.05)
      expect(Math.abs(variance / shape - 1)).toBeLessThan(0.1)
    }
  })

  it('are refused where there are no features', () => {
    const bare: Problem = { ...arms(), space: { kind: 'items', items: [{ id: 'a' }, { id: 'b' }] } }
    const { config } = new Driver(linUcb, arms()).run
    expect(linUcb.check?.(config as never, bare)).toMatchObject([{ path: 'space.items[0].features' }])
    expect(linUcb.check?.({ ...(config as object), features: 'told' } as never, bare)).toEqual([])
  })

  it('take a space-filling set of an infinite space for arms', () => {
    const driver = new Driver(ucb1, searchProblem([{ name: 'x', type: 'float', low: 0, high: 1 }]), {})
    const asked = driver.play(64, ({ points: [point] }) => (point.kind === 'params' ? (point.params.x as number) : 0))
    expect(new Set(asked.map(({ points: [point] }) => JSON.stringify(point))).size).toBe(64)
    expect(driver.best()).toBeLessThan(1 / 64)
  })
})
