import { describe, expect, test } from 'vitest'
import * as cartPole from '../../../examples/workloads/cart-pole.js'
import {
  ACTIONS,
  divergences,
  type Evaluation,
  fisherTimes,
  meanDivergence,
  RandomMdp,
  STATES,
  softmax,
  surrogate,
  surrogateGradient,
} from '../../../examples/workloads/random-mdp.js'
import type { Run } from '../../../src/core/method.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import type { Tree } from '../../../src/core/tree.js'
import { method as trpo } from '../../../src/optimizers/second-order/trpo.js'
import { tensorsOf } from '../saddle/game.js'
import { multiply, Newton, type Smooth, type Vector } from './smooth.js'

const maximize = { direction: 'maximize' as const }
const policySize = STATES * ACTIONS

/** Answers about a decision process, all from the policy at the first point of a query. */
function client(mdp: RandomMdp): Smooth {
  let at: { theta: Vector; evaluation: Evaluation } | undefined
  const old = ({ points }: Query): Evaluation => {
    const theta = tensorsOf(points[0]).x
    if (at?.theta !== theta) at = { theta, evaluation: mdp.evaluate(softmax(theta)) }
    return at.evaluation
  }
  return {
    value: (theta, query) => surrogate(old(query), softmax(theta)),
    gradient: (_, query) => surrogateGradient(old(query)),
    hessian: () => [],
    product: (_, v, query) => fisherTimes(old(query), v),
    quantities: { kl: (theta, query) => [meanDivergence(old(query), softmax(theta))] },
  }
}

const policyGradient = (mdp: RandomMdp, step: number, iterations: number): number => {
  let theta = new Float64Array(policySize)
  for (let k = 0; k < iterations; k++) {
    // The gradient of the return is that of the surrogate, times the discounted number of visits.
    const g = surrogateGradient(mdp.evaluate(softmax(theta))).map((value) => value / (1 - mdp.discount))
    theta = theta.map((value, i) => value + step * g[i])
  }
  return mdp.evaluate(softmax(theta)).value
}

describe('[trpo]', () => {
  test.each([1, 2, 3, 4])('a decision process with exact answers, seed %d', (seed) => {
    const mdp = new RandomMdp(seed)
    const best = mdp.optimum()
    const start = new Float64Array(policySize)
    const session = new Newton(trpo, start, { maxKl: 0.01, damping: 1e-8 }, client(mdp), maximize)
    const returns = [mdp.evaluate(softmax(start)).value]
    for (let k = 0; k < 100; k++) {
      const before = mdp.evaluate(softmax(session.x))
      session.steps(1)
      if (session.metrics.accepted > 0) {
        expect(meanDivergence(before, softmax(session.x))).toBeLessThanOrEqual(0.01)
        expect(session.metrics.actual).toBeCloseTo(surrogate(before, softmax(session.x)), 12)
      }
      returns.push(mdp.evaluate(softmax(session.x)).value)
      expect(returns[k + 1]).toBeGreaterThanOrEqual(returns[k] - 1e-13)
    }
    const gap = best - returns[0]
    expect(best - returns[100]).toBeLessThanOrEqual(1e-6 * gap)
    expect(best - policyGradient(mdp, 0.1, 100)).toBeGreaterThanOrEqual(0.15 * gap)
    expect(best - policyGradient(mdp, 1, 100)).toBeGreaterThanOrEqual(0.01 * gap)
  })

  test('the bound of theorem 1 holds for 500 pairs of policies', () => {
    const rng = new Rng(rngStream(9, 'pairs'))
    for (let pair = 0; pair < 500; pair++) {
      const mdp = new RandomMdp(pair % 20)
      const theta = Float64Array.from({ length: policySize }, () => 2 * rng.normal())
      const width = 10 ** (2 * rng.uniform() - 2)
      const policy = softmax(theta.map((value) => value + width * rng.normal()))
      const old = mdp.evaluate(softmax(theta))
      const eps = Math.max(...old.advantage.map(Math.abs))
      const C = (4 * eps * mdp.discount) / (1 - mdp.discount) ** 2
      const promised =
        old.value + surrogate(old, policy) / (1 - mdp.discount) - C * Math.max(...divergences(old.policy, policy))
      expect(mdp.evaluate(policy).value).toBeGreaterThanOrEqual(promised - 1e-12)
    }
  })

  /** Two arms of advantages 1 and -1, with the logits T*theta. */
  const bandit = (T: readonly number[] = [1, 0, 0, 1]): Smooth & { policy(theta: Vector): number[] } => {
    const policy = (theta: Vector) => {
      const [z, w] = multiply(T, theta)
      return [1 / (1 + Math.exp(w - z)), 1 / (1 + Math.exp(z - w))]
    }
    const back = (v: Vector) => [T[0] * v[0] + T[2] * v[1], T[1] * v[0] + T[3] * v[1]]
    const reward = ([p, q]: number[]) => p - q
    const old = ({ points }: Query) => policy(tensorsOf(points[0]).x)
    return {
      policy,
      value: (theta) => reward(policy(theta)),
      gradient: (theta) => back([2 * policy(theta)[0] * policy(theta)[1], -2 * policy(theta)[0] * policy(theta)[1]]),
      hessian: () => [],
      product(theta, v) {
        const [p, q] = policy(theta)
        const [a, b] = multiply(T, v)
        return Float64Array.from(back([p * q * (a - b), -p * q * (a - b)]))
      },
      quantities: {
        kl: (theta, query) => [old(query).reduce((sum, p, i) => sum + p * Math.log(p / policy(theta)[i]), 0)],
      },
    }
  }

  test('two arms: the natural direction, as long as the region is wide', () => {
    // A region so wide that the first trial is only asked, and refused.
    const session = new Newton(trpo, [0, 0], { damping: 0, maxKl: 0.01 }, bandit(), maximize)
    while (session.query!.purpose !== 'line-search') session.tell()
    const step = tensorsOf(session.query!.points[1]).x
    // F = [[1, -1], [-1, 1]]/4 and g = (1, -1)/2: the solution within the range of F is (1, -1).
    expect(step[0]).toBeGreaterThan(0)
    expect(step[0] + step[1]).toBeCloseTo(0, 12)
    expect(((step[0] - step[1]) ** 2 / 4) * 0.5).toBeCloseTo(0.01, 9)
  })

  test('a linear map of the parameters changes no distribution; of the plain gradient it does', () => {
    const maps = [
      [1, 0, 0, 1],
      [3, 1, -0.5, 2],
    ]
    const after = maps.map((T) => {
      const problem = bandit(T)
      return problem.policy(new Newton(trpo, [0, 0], { damping: 0 }, problem, maximize).steps(3).x)
    })
    expect(Math.abs(after[0][0] - after[1][0])).toBeLessThan(1e-8)
    expect(after[0][0]).toBeGreaterThan(0.55)
    const plain = maps.map((T) => {
      const problem = bandit(T)
      return problem.policy(Float64Array.from(problem.gradient([0, 0], null!), (g) => 0.1 * g))
    })
    expect(Math.abs(plain[0][0] - plain[1][0])).toBeGreaterThan(1e-2)
  })

  test('where no trial is good the policy stays, and what was promised is told', () => {
    const problem = bandit()
    const worse: Smooth = { ...problem, quantities: { kl: () => [1] } }
    const session = new Newton(trpo, [0.5, 0], { backtrack: 3 }, worse, maximize).steps(1)
    expect(session.x).toEqual([0.5, 0])
    expect(session.metrics.accepted).toBe(0)
    // The old point and a trial, four times.
    expect(session.told.value).toBe(8)
    const good = new Newton(trpo, [0.5, 0], { damping: 1e-6 }, problem, maximize).steps(1)
    expect(good.metrics.accepted).toBeGreaterThan(0)
    expect(good.metrics.predicted).toBeGreaterThan(0)
    expect(Math.abs(good.metrics.actual / good.metrics.predicted - 1)).toBeLessThan(0.3)
  })

  test('cart and pole: a network learns to balance by sampled episodes', () => {
    const units = 32
    const problem: Problem = {
      space: { kind: 'tensors', tensors: cartPole.policyTensors(units), initial: cartPole.initialPolicy(units, 1) },
      objectives: [{ name: 'return', direction: 'maximize' }],
    }
    const run: Run<unknown> = { config: parseConfig(trpo.config, {}), problem, engine: 'interpreter', memo: new Map() }
    let state: Tree = trpo.init(run as never, 1)
    const returns: number[] = []
    let batch: { key?: string; trajectories: cartPole.Trajectories } | undefined
    const told = (query: Query): Observation => {
      const [old, ...rest] = query.points.map(tensorsOf)
      // One batch per sample key, made by the policy at the first point.
      if (batch?.key !== query.sampleKey) {
        batch = { key: query.sampleKey, trajectories: cartPole.play(old, returns.length, 1200) }
        returns.push(batch.trajectories.meanReturn)
      }
      const { trajectories } = batch!
      const answer = { queryId: query.id, status: 'ok' as const }
      if (query.purpose === 'step') return { ...answer, gradients: [cartPole.surrogateGradient(old, trajectories)] }
      if (query.purpose === 'curvature')
        return { ...answer, products: [cartPole.fisherTimes(old, rest[0], trajectories)] }
      const compared = [old, ...rest].map((policy) => cartPole.compare(old, policy, trajectories))
      return {
        ...answer,
        values: compared.map(({ surrogate }) => [surrogate]),
        quantities: compared.map(({ kl }) => ({ kl: Float64Array.of(kl) })),
      }
    }
    let outcome = trpo.step(run as never, state as never, [{ type: 'capacity', count: 1 }])
    while (returns.length < 14) {
      const [query] = outcome.queries
      state = outcome.state as Tree
      outcome = trpo.step(run as never, state as never, [{ type: 'observation', query, observation: told(query) }])
    }
    expect(returns[0]).toBeLessThan(40)
    expect(Math.max(...returns.slice(-3))).toBeGreaterThan(150)
  })
})
