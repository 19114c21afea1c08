/**
 * The finite game behind learned query policies: a policy asks T queries of an unknown instance and guesses its hypothesis.
 * J. Zhang, L. Jain, K. Jamieson, "Learning to Actively Learn: A Robust Approach", 2020,
 * arXiv 2010.15382.
 *
 * Answers are yes (1) or no (0), independent given the instance. What has been seen is summed up by the likelihood of each
 * instance: histories of the same likelihoods are one node, so that of noiseless answers a node is the set of instances
 * that are left. The guess is the hypothesis of the largest total likelihood, at random among equals.
 */
import type { Rng } from '../../core/rng.js'

export type Game = {
  /** answers[instance][query]: the probability of a yes. */
  answers: readonly (readonly number[])[]
  /** hypothesis[instance]: its number, from 0. */
  hypothesis: readonly number[]
  /** Queries that are asked before the guess. */
  budget: number
}

/** Histories by what is left to know; node 0 is the empty one. */
export type Nodes = {
  count: number
  /** Likelihood of each instance, node by node. */
  likelihood: readonly Float64Array[]
  /** children[node][2 query + answer]: the node after, -1 where that answer cannot be. Only of nodes reached before T. */
  children: readonly (Int32Array | null)[]
  /** Nodes that can be reached after t queries, t = 0..T. */
  levels: readonly (readonly number[])[]
  /** error[node][instance]: the probability that the guess is wrong. */
  error: readonly Float64Array[]
}

/** More nodes than these are refused. */
export const MAX_NODES = 20000
/** Deviation of the first logits. */
const SPREAD = 0.01
/** Likelihoods that differ by less, relative to the largest, are the same. */
const DIGITS = 10

/** The guess at a node: the hypotheses of the largest total likelihood. */
export function guesses({ hypothesis }: Game, likelihood: Float64Array): number[] {
  const totals: number[] = []
  likelihood.forEach((l, i) => {
    totals[hypothesis[i]] = (totals[hypothesis[i]] ?? 0) + l
  })
  const top = totals.reduce((most, t) => Math.max(most, t), 0)
  return [...totals.keys()].filter((h) => totals[h] >= top * (1 - 1e-9))
}

/** All nodes of a game, or undefined where there are more than MAX_NODES. */
export function unfold(game: Game): Nodes | undefined {
  const { answers, budget, hypothesis } = game
  const queries = answers[0].length
  const likelihood: Float64Array[] = []
  const ids = new Map<string, number>()
  const idOf = (likelihoods: Float64Array): number => {
    const top = likelihoods.reduce((most, l) => Math.max(most, l), 0)
    const key = likelihoods.reduce((text, l) => `${text} ${(l / top).toFixed(DIGITS)}`, '')
    const known = ids.get(key)
    if (known !== undefined) return known
    ids.set(key, likelihood.length)
    likelihood.push(likelihoods.map((l) => l / top))
    return likelihood.length - 1
  }
  idOf(new Float64Array(answers.length).fill(1))
  const children: (Int32Array | null)[] = []
  const levels: number[][] = [[0]]
  for (let t = 0; t < budget; t++) {
    const next = new Set<number>()
    for (const node of levels[t]) {
      children[node] ??= Int32Array.from({ length: 2 * queries }, (_, e) => {
        const [query, yes] = [e >> 1, e & 1]
        const after = likelihood[node].map((l, i) => l * (yes ? answers[i][query] : 1 - answers[i][query]))
        return after.some((l) => l > 0) ? idOf(after) : -1
      })
      for (const child of children[node]) if (child >= 0) next.add(child)
      if (likelihood.length > MAX_NODES) return undefined
    }
    levels.push([...next])
  }
  const error = likelihood.map((l) => {
    const best = guesses(game, l)
    return Float64Array.from(hypothesis, (h) => (best.includes(h) ? 1 - 1 / best.length : 1))
  })
  for (let node = 0; node < likelihood.length; node++) children[node] ??= null
  return { count: likelihood.length, likelihood, children, levels, error }
}

/** A policy: logits of the queries, at each node or (one for all histories) at each step. */
export type Policy = { adaptive: boolean; logits: Float64Array }

/** Logits around 0, a little apart so that the training is not held by a symmetry of the game. */
export function startPolicy(game: Game, nodes: Nodes, adaptive: boolean, rng: Rng): Policy {
  const size = game.answers[0].length * (adaptive ? nodes.count : game.budget)
  return { adaptive, logits: Float64Array.from({ length: size }, () => SPREAD * rng.normal()) }
}

/** Probabilities of the queries at a node after t queries. */
export function policyAt({ logits, adaptive }: Policy, queries: number, node: number, t: number): Float64Array {
  const at = (adaptive ? node : t) * queries
  const own = logits.subarray(at, at + queries)
  const top = own.reduce((most, v) => Math.max(most, v), Number.NEGATIVE_INFINITY)
  const p = Float64Array.from(own, (v) => Math.exp(v - top))
  const total = p.reduce((sum, v) => sum + v, 0)
  return p.map((v) => v / total)
}

/**
 * The loss of a policy on every instance (the probability of a wrong guess), exactly, by dynamic programming over nodes.
 * With weights, the gradient of their sum with the losses in the logits is added to `gradient`.
 */
export function losses(
  game: Game,
  nodes: Nodes,
  policy: Policy,
  weights?: readonly number[],
  gradient?: Float64Array,
): number[] {
  const { answers, budget } = game
  const queries = answers[0].length
  const chances = nodes.levels
    .slice(0, budget)
    .map((level, t) => level.map((node) => policyAt(policy, queries, node, t)))
  return answers.map((answer, instance) => {
    const values: Float64Array[] = []
    values[budget] = new Float64Array(nodes.count)
    for (const node of nodes.levels[budget]) values[budget][node] = nodes.error[node][instance]
    const worth = (t: number, node: number, query: number) => {
      const child = nodes.children[node] as Int32Array
      const [no, yes] = [child[2 * query], child[2 * query + 1]]
      const p = answer[query]
      return (p < 1 && no >= 0 ? (1 - p) * values[t + 1][no] : 0) + (p > 0 && yes >= 0 ? p * values[t + 1][yes] : 0)
    }
    for (let t = budget - 1; t >= 0; t--) {
      values[t] = new Float64Array(nodes.count)
      nodes.levels[t].forEach((node, k) => {
        let sum = 0
        for (let query = 0; query < queries; query++) sum += chances[t][k][query] * worth(t, node, query)
        values[t][node] = sum
      })
    }
    const weight = weights?.[instance] ?? 0
    if (gradient && weight > 0) {
      let reach = new Float64Array(nodes.count)
      reach[0] = 1
      for (let t = 0; t < budget; t++) {
        const next = new Float64Array(nodes.count)
        nodes.levels[t].forEach((node, k) => {
          if (reach[node] === 0) return
          const child = nodes.children[node] as Int32Array
          for (let query = 0; query < queries; query++) {
            const share = reach[node] * chances[t][k][query]
            const at = (policy.adaptive ? node : t) * queries + query
            gradient[at] += weight * share * (worth(t, node, query) - values[t][node])
            for (const yes of [0, 1]) {
              const p = yes ? answer[query] : 1 - answer[query]
              if (p > 0) next[child[2 * query + yes]] += share * p
            }
          }
        })
        reach = next
      }
    }
    return values[0][0]
  })
}

/** One episode: the queries asked and the nodes where, and whether the guess was wrong. */
export function episode(game: Game, nodes: Nodes, policy: Policy, instance: number, rng: Rng) {
  const queries = game.answers[0].length
  const path: { node: number; query: number }[] = []
  let node = 0
  for (let t = 0; t < game.budget; t++) {
    const p = policyAt(policy, queries, node, t)
    let u = rng.uniform()
    const query = Math.max(
      0,
      p.findIndex((v) => (u -= v) < 0),
    )
    path.push({ node, query })
    const yes = rng.uniform() < game.answers[instance][query] ? 1 : 0
    node = (nodes.children[node] as Int32Array)[2 * query + yes]
  }
  return { path, loss: nodes.error[node][instance] }
}

export type Training = {
  learningRate: number
  adversaryRate: number
  rounds: number
  /** exact: gradients by dynamic programming. sampled: REINFORCE over so many episodes per round. */
  episodes: number
  rng: Rng
}

/**
 * Solves min over policies, max over instances, of loss - offset: the policy follows its gradient, the adversary weighs
 * the instances exponentially. Leaves in `policy` the best iterate, and returns its worst loss - offset.
 */
export function trainPolicy(
  game: Game,
  nodes: Nodes,
  policy: Policy,
  instances: readonly number[],
  offset: (instance: number) => number,
  { learningRate, adversaryRate, rounds, episodes, rng }: Training,
): number {
  const logWeights = new Float64Array(instances.length)
  const best = { value: Number.POSITIVE_INFINITY, logits: policy.logits.slice() }
  const judge = (found: readonly number[]) => {
    const value = instances.reduce((most, i) => Math.max(most, found[i] - offset(i)), Number.NEGATIVE_INFINITY)
    if (value < best.value) {
      best.value = value
      best.logits.set(policy.logits)
    }
  }
  for (let round = 0; round < rounds; round++) {
    const top = logWeights.reduce((most, w) => Math.max(most, w), Number.NEGATIVE_INFINITY)
    const q = logWeights.map((w) => Math.exp(w - top))
    const total = q.reduce((sum, w) => sum + w, 0)
    const weights = new Array<number>(game.answers.length).fill(0)
    instances.forEach((instance, j) => {
      weights[instance] = q[j] / total
    })
    const gradient = new Float64Array(policy.logits.length)
    const found =
      episodes === 0
        ? losses(game, nodes, policy, weights, gradient)
        : sampledLosses(game, nodes, policy, instances, weights, gradient, episodes, rng)
    if (episodes === 0) judge(found)
    for (let k = 0; k < gradient.length; k++) policy.logits[k] -= learningRate * gradient[k]
    instances.forEach((instance, j) => {
      logWeights[j] += adversaryRate * (found[instance] - offset(instance))
    })
  }
  // Losses of samples do not tell which iterate was best: then it is the last.
  judge(losses(game, nodes, policy))
  policy.logits.set(best.logits)
  return best.value
}

/** REINFORCE with the mean loss as the baseline: losses of the instances over some episodes, and their gradient. */
function sampledLosses(
  game: Game,
  nodes: Nodes,
  policy: Policy,
  instances: readonly number[],
  weights: readonly number[],
  gradient: Float64Array,
  episodes: number,
  rng: Rng,
): number[] {
  const queries = game.answers[0].length
  const found = new Array<number>(game.answers.length).fill(0)
  for (const instance of instances) {
    const played = Array.from({ length: episodes }, () => episode(game, nodes, policy, instance, rng))
    const mean = played.reduce((sum, { loss }) => sum + loss, 0) / episodes
    found[instance] = mean
    for (const { path, loss } of played)
      path.forEach(({ node, query }, t) => {
        const p = policyAt(policy, queries, node, t)
        const at = (policy.adaptive ? node : t) * queries
        const scale = (weights[instance] * (loss - mean)) / episodes
        for (let k = 0; k < queries; k++) gradient[at + k] += scale * ((k === query ? 1 : 0) - p[k])
      })
  }
  return found
}
