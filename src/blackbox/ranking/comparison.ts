/**
 * Which of two experts is the better, when one of them is on all tasks: for growing budgets T and numbers 2^h of tasks drawn
 * at random, sequential halving keeps the tasks on which the two differ most, and the last one is tested.
 * E. M. Saad, N. Verzelen, A. Carpentier, "Active Ranking of Experts Based on their Performances in Many Tasks", ICML 2023
 * (arXiv:2306.02628). The schedule of budgets and the constants are ours; the guarantee is that of the paper: wrong with
 * probability at most delta, and at a cost of about (d/s)/gap^2 where s of d tasks carry the gap.
 */
import type { Rng } from '../../core/rng.js'

export type ComparisonOptions = {
  /** Number of tasks, d. */
  tasks: number
  /** Sub-Gaussian sigma of one score. */
  noise: number
  /** Probability that the verdict may be wrong. */
  delta: number
  /** Scores of both experts together that it may take; there is no verdict after that. */
  limit: number
  /** halving; or uniform: tasks drawn at random are averaged over, to compare with. */
  sampling: 'halving' | 'uniform'
}

/** Plain tree. Budgets are T = 2^k; `tasks` are those to be scored next. */
export type Comparison = { k: number; h: number; tasks: number[]; spent: number }

/** The mean of `repeats` scores of both experts is wanted on each task. */
export type Request = { tasks: readonly number[]; repeats: number }
/** 1: the first is better. -1: the second. 0: undecided at the limit. */
export type Verdict = 1 | -1 | 0

/** sum over k of 1/k^2 is below 1.65. */
const BASEL = 1.65

const levels = (tasks: number): number => Math.ceil(Math.log2(tasks))

export const startComparison = (options: ComparisonOptions, rng: Rng): Comparison =>
  enter({ k: 1, h: 0, tasks: [], spent: 0 }, options, rng)

/** Draws the tasks of a stage, with replacement. */
function enter(at: Comparison, { tasks, sampling }: ComparisonOptions, rng: Rng): Comparison {
  const count = sampling === 'uniform' ? 2 ** at.k : 2 ** at.h
  at.tasks = Array.from({ length: count }, () => rng.integer(tasks))
  return at
}

/** Whether this is the test of a stage, and no halving before it. */
const testing = ({ tasks }: Comparison, { sampling }: ComparisonOptions) => sampling === 'uniform' || tasks.length === 1

/** What is wanted next; undefined where it would pass the limit. */
export function requestOf(at: Comparison, options: ComparisonOptions): Request | undefined {
  const { k, h, tasks, spent } = at
  const budget = 2 ** k
  const rounds = testing(at, options) ? 1 : h
  const repeats = Math.max(1, Math.floor(budget / (rounds * tasks.length)))
  return spent + 2 * repeats * tasks.length > options.limit ? undefined : { tasks, repeats }
}

/** |mu| above this is a verdict of a test with T scores of each expert. */
export function threshold({ tasks, noise, delta }: ComparisonOptions, k: number): number {
  const share = delta / (2 * k ** 2 * (levels(tasks) + 1) * BASEL)
  return noise * Math.SQRT2 * Math.sqrt((2 * Math.log(2 / share)) / 2 ** k)
}

/** Takes the differences of the mean scores on the tasks asked. Returns the verdict where there is one. */
export function learn(
  at: Comparison,
  options: ComparisonOptions,
  differences: ArrayLike<number>,
  rng: Rng,
): Verdict | undefined {
  const { repeats } = requestOf(at, options)!
  at.spent += 2 * repeats * at.tasks.length
  if (testing(at, options)) {
    const mu = Array.from(differences).reduce((sum, x) => sum + x, 0) / differences.length
    if (Math.abs(mu) > threshold(options, at.k)) return mu > 0 ? 1 : -1
    proceed(at, options, rng)
  } else {
    const order = [...at.tasks.keys()].sort((a, b) => Math.abs(differences[b]) - Math.abs(differences[a]) || a - b)
    at.tasks = order.slice(0, at.tasks.length / 2).map((i) => at.tasks[i])
  }
  return requestOf(at, options) ? undefined : 0
}

/** The next stage: twice as many tasks where the budget scores each of them in every round, else twice the budget. */
function proceed(at: Comparison, options: ComparisonOptions, rng: Rng) {
  const more = options.sampling === 'halving' && at.h < levels(options.tasks)
  if (more && 2 ** at.k >= 2 ** (at.h + 1) * (at.h + 1)) at.h++
  else {
    at.k++
    at.h = 0
  }
  enter(at, options, rng)
}
