/**
 * MOEA/D: Q. Zhang, H. Li, "MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition", IEEE Transactions on
 * Evolutionary Computation 11, 2007, with the limits on mating and replacement of H. Li, Q. Zhang, 2009.
 *
 * Each member belongs to a direction of weights, and is the best so far of the largest weighted distance from the ideal point.
 * A child of two neighbours replaces those around it that it is better for.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { checkDirections, countDirections, directions, partitionsOf } from './directions.js'
import { geneticFields, geneticMethod } from './genetic.js'

const config = z.strictObject({
  partitions: field(
    z.int().min(3).max(1000).optional(),
    'Parts that each objective is divided into: a direction, and a member, for each way of sharing them out. When absent, as many as make a hundred members at most: 99 for two objectives, 12 for three, 6 for four.',
    { source: 'Zhang, Li 2007' },
  ),
  neighbors: field(z.int().min(2).default(20), 'Directions that are near to one, itself among them: T.', {
    source: 'Li, Zhang 2009',
  }),
  local: field(
    z.number().min(0).max(1).default(0.9),
    'Probability that mates are neighbours, rather than any: delta.',
    {
      source: 'Li, Zhang 2009',
    },
  ),
  replaced: field(z.int().min(1).default(2), 'Members that a child replaces at most.', { source: 'Li, Zhang 2009' }),
  ...geneticFields,
})
type Config = z.infer<typeof config>

/** Of each direction the nearest ones, itself first. */
function neighborhoods(weights: readonly number[][], count: number): number[][] {
  const apart = (a: readonly number[], b: readonly number[]) => Math.hypot(...a.map((x, k) => x - b[k]))
  return weights.map((w) =>
    Array.from(weights.keys())
      .sort((a, b) => apart(w, weights[a]) - apart(w, weights[b]) || a - b)
      .slice(0, count),
  )
}

const pick = (rng: Rng, from: readonly number[]) => from[rng.integer(from.length)]

type Table = { weights: number[][]; near: number[][] }

/** The weights of all members, and of each its neighbours. */
function tableFor({ config, problem, memo }: Run<Config>): Table {
  let table = memo.get('directions') as Table | undefined
  if (!table) {
    const weights = directions(problem.objectives.length, partitionsOf(config, problem))
    table = { weights, near: neighborhoods(weights, config.neighbors) }
    memo.set('directions', table)
  }
  return table
}

export const method = geneticMethod<Config>({
  id: 'moead',
  version: 2,
  title: 'MOEA/D',
  summary: 'Solves many weighted single-objective problems side by side, each with the help of its neighbours.',
  references: [
    {
      authors: 'Q. Zhang, H. Li',
      title: 'MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition',
      year: 2007,
      url: 'https://doi.org/10.1109/TEVC.2007.892759',
    },
  ],
  config,
  recipes: [
    { problem: 'two-objectives', config: { partitions: 29, neighbors: 8 }, maxEvaluations: 2000, target: 0.08 },
  ],
  equations: () => [
    String.raw`g(x \mid \lambda, z^*) = \max_k \lambda_k \frac{f_k(x) - z_k^*}{z_k^{\max} - z_k^*}`,
    String.raw`x_j \leftarrow y \;\text{ if }\; g(y \mid \lambda_j) \le g(x_j \mid \lambda_j), \quad j \in B(i)`,
  ],
  check(parsed, problem) {
    const { objectives } = problem
    const issues = checkDirections(objectives.length, partitionsOf(parsed, problem))
    if (objectives.length < 2) issues.push({ path: 'objectives', message: 'moead takes two objectives or more' })
    return issues
  },
  size: (parsed, problem) => countDirections(problem.objectives.length, partitionsOf(parsed, problem)),
  mates(run, _, i, rng) {
    const { near } = tableFor(run)
    const from = rng.uniform() < run.config.local ? near[i] : Array.from(near.keys())
    return [i, pick(rng, from)]
  },
  survive(run, { values, violations }, size, rng) {
    const { local, replaced } = run.config
    const { weights, near } = tableFor(run)
    const chosen = Array.from({ length: size }, (_, j) => j)
    const known = values.filter((v) => v.every(Number.isFinite))
    const extreme = (f: (...x: number[]) => number) => values[0].map((_, k) => f(...known.map((v) => v[k])))
    const [ideal, worst] = known.length > 0 ? [extreme(Math.min), extreme(Math.max)] : [[], []]
    const cost = (i: number, j: number) =>
      Math.max(
        ...values[i].map((x, k) => (Math.max(weights[j][k], 1e-6) * (x - ideal[k])) / (worst[k] - ideal[k] || 1)),
      )
    const better = (child: number, j: number) => {
      const [a, b] = [violations[child], violations[chosen[j]]]
      return a === b ? cost(child, j) <= cost(chosen[j], j) : a < b
    }
    // Of the first generation there are no children yet.
    for (let child = size; child < values.length && known.length > 0; child++) {
      const around = rng.uniform() < local ? near[child - size] : Array.from(near.keys())
      let left = replaced
      for (const j of rng.shuffle(around)) {
        if (left === 0) break
        if (chosen[j] === child || !better(child, j)) continue
        chosen[j] = child
        left--
      }
    }
    const zeros = chosen.map(() => 0)
    return { chosen, ranks: zeros, distances: zeros }
  },
})
