/**
 * A random Markov decision process with exact answers: six states, three actions, transitions from a Dirichlet distribution,
 * rewards uniform on [0, 1], and a tabular softmax policy with a logit per state and action. What `trpo` asks of it is
 * computed without sampling; states are weighted by their normalized discounted visits.
 */
import { Rng, rngStream } from '../../src/core/rng.js'

export const STATES = 6
export const ACTIONS = 3

type Table = ArrayLike<number>
export type Evaluation = {
  /** Probability of each action in each state, [STATES, ACTIONS]. */
  policy: Float64Array
  /** Discounted return from the start distribution, which is uniform. */
  value: number
  /** A(s, a), [STATES, ACTIONS]. */
  advantage: Float64Array
  /** Share of each state in the discounted visits. */
  visits: Float64Array
}

/** Solves A*x = b by elimination with row exchanges; both are changed. */
function solve(A: number[][], b: number[]): number[] {
  const n = b.length
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(A[i][k]) > Math.abs(A[pivot][k])) pivot = i
    ;[A[k], A[pivot]] = [A[pivot], A[k]]
    ;[b[k], b[pivot]] = [b[pivot], b[k]]
    for (let i = k + 1; i < n; i++) {
      const factor = A[i][k] / A[k][k]
      for (let j = k; j < n; j++) A[i][j] -= factor * A[k][j]
      b[i] -= factor * b[k]
    }
  }
  for (let k = n - 1; k >= 0; k--) {
    for (let j = k + 1; j < n; j++) b[k] -= A[k][j] * b[j]
    b[k] /= A[k][k]
  }
  return b
}

/** A gamma variate with a shape below 1: the power of a uniform times one of shape + 1 (Marsaglia, Tsang 2000). */
function gamma(rng: Rng, shape: number): number {
  const d = shape + 1 - 1 / 3
  for (;;) {
    const x = rng.normal()
    const v = (1 + x / Math.sqrt(9 * d)) ** 3
    if (v > 0 && Math.log(rng.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v))
      return d * v * rng.uniform() ** (1 / shape)
  }
}

export function softmax(theta: Table): Float64Array {
  const policy = new Float64Array(theta.length)
  for (let from = 0; from < theta.length; from += ACTIONS) {
    const logits = Array.from({ length: ACTIONS }, (_, a) => theta[from + a])
    const top = Math.max(...logits)
    const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0)
    logits.forEach((z, a) => {
      policy[from + a] = Math.exp(z - top) / total
    })
  }
  return policy
}

export class RandomMdp {
  /** Probability of the next state by state, action and next state. */
  private readonly next: Float64Array
  private readonly rewards: Float64Array

  constructor(
    seed: number,
    readonly discount = 0.9,
    concentration = 0.3,
  ) {
    const rng = new Rng(rngStream(seed, 'mdp'))
    this.next = new Float64Array(STATES * ACTIONS * STATES)
    for (let from = 0; from < this.next.length; from += STATES) {
      const draws = Array.from({ length: STATES }, () => gamma(rng, concentration))
      const total = draws.reduce((sum, draw) => sum + draw, 0)
      this.next.set(
        draws.map((draw) => draw / total),
        from,
      )
    }
    this.rewards = Float64Array.from({ length: STATES * ACTIONS }, () => rng.uniform())
  }

  private probability(s: number, a: number, to: number): number {
    return this.next[(s * ACTIONS + a) * STATES + to]
  }
  /** Of the policy: the chance of a next state, or with `reward` the mean reward. */
  private transition(policy: Table, s: number, to: number): number {
    let sum = 0
    for (let a = 0; a < ACTIONS; a++) sum += policy[s * ACTIONS + a] * this.probability(s, a, to)
    return sum
  }

  /** Everything about a policy that is given by its probabilities. */
  evaluate(policy: Float64Array): Evaluation {
    const states = Array.from({ length: STATES }, (_, s) => s)
    const actions = Array.from({ length: ACTIONS }, (_, a) => a)
    const flow = (s: number, to: number) => Number(s === to) - this.discount * this.transition(policy, s, to)
    const values = solve(
      states.map((s) => states.map((to) => flow(s, to))),
      states.map((s) => actions.reduce((sum, a) => sum + policy[s * ACTIONS + a] * this.rewards[s * ACTIONS + a], 0)),
    )
    const counts = solve(
      states.map((s) => states.map((from) => flow(from, s))),
      states.map(() => 1 / STATES),
    )
    const advantage = policy.map((_, at) => {
      const [s, a] = [Math.floor(at / ACTIONS), at % ACTIONS]
      const later = states.reduce((sum, to) => sum + this.probability(s, a, to) * values[to], 0)
      return this.rewards[at] + this.discount * later - values[s]
    })
    const visits = Float64Array.from(counts, (count) => count * (1 - this.discount))
    return { policy, value: values.reduce((sum, v) => sum + v / STATES, 0), advantage, visits }
  }

  /** The best return of any policy, by policy iteration. */
  optimum(): number {
    let policy = new Float64Array(STATES * ACTIONS).fill(1 / ACTIONS)
    for (;;) {
      const { advantage, value } = this.evaluate(policy)
      const better = policy.map((_, at) => {
        const row = advantage.subarray(at - (at % ACTIONS), at - (at % ACTIONS) + ACTIONS)
        return Number(row.indexOf(Math.max(...row)) === at % ACTIONS)
      })
      if (this.evaluate(better).value <= value + 1e-14) return value
      policy = better
    }
  }
}

/** Mean over the visits of an old policy of sum pi(a|s)*A_old(s, a). */
export const surrogate = ({ advantage, visits }: Evaluation, policy: Table): number =>
  advantage.reduce((sum, A, at) => sum + visits[Math.floor(at / ACTIONS)] * policy[at] * A, 0)

/** Its gradient by the logits, at the old policy. */
export const surrogateGradient = ({ policy, advantage, visits }: Evaluation): Float64Array =>
  // The mean of an advantage under its own policy is zero.
  advantage.map((A, at) => visits[Math.floor(at / ACTIONS)] * policy[at] * A)

/** KL(old || new) in each state. */
export const divergences = (old: Table, policy: Table): Float64Array =>
  Float64Array.from({ length: STATES }, (_, s) => {
    let sum = 0
    for (let a = s * ACTIONS; a < (s + 1) * ACTIONS; a++) if (old[a] > 0) sum += old[a] * Math.log(old[a] / policy[a])
    return sum
  })

export const meanDivergence = ({ policy, visits }: Evaluation, to: Table): number =>
  divergences(policy, to).reduce((sum, kl, s) => sum + visits[s] * kl, 0)

/** The Fisher matrix of the mean divergence times v: per state visits*(diag(p) - pp')*v. */
export function fisherTimes({ policy, visits }: Evaluation, v: Table): Float64Array {
  return policy.map((p, at) => {
    const from = at - (at % ACTIONS)
    let mean = 0
    for (let a = from; a < from + ACTIONS; a++) mean += policy[a] * v[a]
    return visits[Math.floor(at / ACTIONS)] * p * (v[at] - mean)
  })
}
