import { describe, expect, it } from 'vitest'
import {
  type Game,
  losses,
  type Nodes,
  policyAt,
  startPolicy,
  trainPolicy,
  unfold,
} from '../../../src/blackbox/bandits/game.js'
import { method } from '../../../src/blackbox/bandits/learned-policy.js'
import { classesOf, learnPolicy } from '../../../src/blackbox/bandits/policy-training.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

type Config = Parameters<typeof learnPolicy>[0]

/** Hypotheses 0 to 7; query q, from 1 to 7, answers whether h >= q. */
const TOY: Game = {
  answers: Array.from({ length: 8 }, (_, h) => Array.from({ length: 7 }, (_, i) => (h >= i + 1 ? 1 : 0))),
  hypothesis: [0, 1, 2, 3, 4, 5, 6, 7],
  budget: 3,
}
const ALL = TOY.hypothesis
const nodesOf = (game: Game): Nodes => unfold(game) as Nodes
const worst = (found: readonly number[]) => Math.max(...found)
const training = (seed: number) => ({
  learningRate: 8,
  adversaryRate: 0.2,
  rounds: 600,
  episodes: 0,
  rng: new Rng(rngStream(seed, 'training')),
})
const started = (nodes: Nodes, adaptive: boolean, seed: number) =>
  startPolicy(TOY, nodes, adaptive, new Rng(rngStream(seed, 'start')))
const items = (n: number): Problem => ({
  space: { kind: 'items', items: Array.from({ length: n }, (_, i) => ({ id: `q${i + 1}` })) },
  objectives: [{ name: 'answer', direction: 'maximize' }],
})
const toyConfig = (more: object = {}) => ({
  instances: TOY.answers.map((answers, h) => ({ answers, hypothesis: `${h}`, complexity: 1 })),
  budget: 3,
  ...more,
})

describe('[learned-active-policy]', () => {
  it('finds binary search: worst error at most 0.01, the first query in the middle', () => {
    const nodes = nodesOf(TOY)
    // The nodes of noiseless answers are the intervals that are left: 36 of 8 hypotheses, all of which three queries reach.
    expect(nodes.count).toBe(36)
    for (let seed = 0; seed < 4; seed++) {
      const policy = started(nodes, true, seed)
      trainPolicy(TOY, nodes, policy, ALL, () => 0, training(seed))
      expect(worst(losses(TOY, nodes, policy))).toBeLessThanOrEqual(0.01)
      expect(policyAt(policy, 7, 0, 0)[3]).toBeGreaterThan(0.99)
    }
    const uniform = started(nodes, true, 0)
    uniform.logits.fill(0)
    expect(Math.abs(worst(losses(TOY, nodes, uniform)) - 0.6246)).toBeLessThan(1e-4)
  })

  it('policies that do not adapt stay at an error of one half', () => {
    const nodes = nodesOf(TOY)
    for (let seed = 0; seed < 4; seed++) {
      const policy = started(nodes, false, seed)
      trainPolicy(TOY, nodes, policy, ALL, () => 0, training(seed))
      expect(worst(losses(TOY, nodes, policy))).toBeGreaterThanOrEqual(0.5)
    }
  })

  it('the robust policy is near the best of every class at once', () => {
    const arms = (best: number, low: number, high: number) => [0, 1, 2].map((a) => (a === best ? high : low))
    const c = parseConfig(method.config, {
      instances: [
        ...[0, 1, 2].map((best) => ({ answers: arms(best, 0.3, 0.7), hypothesis: `arm${best}` })),
        ...[0, 1, 2].map((best) => ({ answers: arms(best, 0.4, 0.6), hypothesis: `arm${best}` })),
      ],
      budget: 6,
      rounds: 400,
    }) as Config
    const classes = classesOf(c)
    expect(classes).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3, 4, 5],
    ])
    const game = { answers: c.instances.map(({ answers }) => answers), hypothesis: [0, 1, 2, 0, 1, 2], budget: 6 }
    const nodes = nodesOf(game)
    const { policy, policies, values } = learnPolicy(c, game, nodes, new Rng(rngStream(1, 'robust')))
    const excess = (p: typeof policy) => {
      const found = losses(game, nodes, p)
      return Math.max(...classes.map((instances, k) => worst(instances.map((i) => found[i])) - values[k]))
    }
    for (const single of policies) expect(excess(policy)).toBeLessThanOrEqual(excess(single) + 0.005)
    expect(values[1]).toBeGreaterThanOrEqual(values[0])
  })
})

describe('learned-policy', () => {
  it('gradients of the losses are those of finite differences', () => {
    const nodes = nodesOf(TOY)
    for (const adaptive of [true, false]) {
      const policy = started(nodes, adaptive, 1)
      const weights = ALL.map((h) => (h + 1) / 36)
      const gradient = new Float64Array(policy.logits.length)
      losses(TOY, nodes, policy, weights, gradient)
      const mean = () => losses(TOY, nodes, policy).reduce((sum, l, i) => sum + weights[i] * l, 0)
      for (let k = 0; k < policy.logits.length; k += 5) {
        const at = (by: number) => {
          policy.logits[k] += by
          const value = mean()
          policy.logits[k] -= by
          return value
        }
        expect(gradient[k]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 7)
      }
    }
  })

  it('sampled training gets there too', () => {
    const nodes = nodesOf(TOY)
    const policy = started(nodes, true, 1)
    trainPolicy(TOY, nodes, policy, ALL, () => 0, { ...training(1), rounds: 250, episodes: 40, learningRate: 4 })
    expect(worst(losses(TOY, nodes, policy))).toBeLessThan(0.15)
  })

  it('is served: three queries, and the number is known', () => {
    for (const secret of [0, 3, 4, 7]) {
      const driver = new Driver(method, items(7), toyConfig(), 1)
      const asked: string[] = []
      for (let t = 0; t < 3; t++) {
        const [query] = driver.ask()
        const [point] = query.points
        if (point.kind !== 'item') throw new Error('expected an item')
        asked.push(point.item)
        expect(driver.ask()).toHaveLength(0)
        driver.restart()
        driver.tell(query, secret >= Number(point.item.slice(1)) ? 1 : 0)
      }
      expect(asked[0]).toBe('q4')
      expect(driver.outcome?.status).toEqual({ phase: 'done', reason: `recommends ${secret}` })
      expect(driver.estimate().metrics).toMatchObject({ recommendation: secret, [`probability ${secret}`]: 1 })
      expect(driver.estimate().metrics?.['worst loss of class 0']).toBeLessThanOrEqual(0.01)
    }
  })

  it('asks again what failed, leaves out what cannot be asked, and says when nothing is left', () => {
    const driver = new Driver(method, items(7), toyConfig({ rounds: 20 }), 1)
    const [first] = driver.ask()
    driver.tell(first, 'failed')
    const [again] = driver.ask()
    expect(again.points).toEqual(first.points)
    driver.tell(again, 'infeasible')
    const refused = new Set([JSON.stringify(again.points)])
    for (let i = 0; i < 6; i++) {
      const [query] = driver.ask()
      expect(refused.has(JSON.stringify(query.points))).toBe(false)
      refused.add(JSON.stringify(query.points))
      driver.tell(query, 'infeasible')
    }
    expect(driver.ask()).toHaveLength(0)
    expect(driver.outcome?.short?.until).toBe('never')
  })

  it('refuses answers that do not fit the items, and games that a table cannot hold', () => {
    const c = parseConfig(method.config, toyConfig()) as Config
    expect(method.check?.(c, items(5))?.[0]).toMatchObject({ path: 'config.instances[0].answers' })
    const coins = Array.from({ length: 8 }, (_, i) => ({
      answers: Array.from({ length: 7 }, (_, j) => 0.2 + 0.05 * ((i * j) % 7) + 0.01 * i),
      hypothesis: `${i}`,
    }))
    const large = parseConfig(method.config, { instances: coins, budget: 20 }) as Config
    expect(method.check?.(large, items(7))).toMatchObject([{ path: 'config.budget' }])
  })
})
