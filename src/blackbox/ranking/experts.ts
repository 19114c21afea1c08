/**
 * Makes a method of a tournament of experts, the items of the space. They are compared two by two on tasks: a query is for
 * the mean scores of both, its points, on the tasks of its note, and says how many evaluations a mean is of.
 */
import { z } from 'zod'
import type { Estimate, Recipe } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { itemPoint, itemsOf, playMethod } from '../online/play.js'
import { signOf } from '../space/progress.js'
import {
  type Comparison,
  type ComparisonOptions,
  learn,
  requestOf,
  startComparison,
  type Verdict,
} from './comparison.js'

const config = z.strictObject({
  tasks: field(z.int().min(1), 'Number of tasks; they are named by their numbers, from 0.'),
  delta: field(z.number().gt(0).lt(1).default(0.05), 'Probability that the answer may be wrong.', { source: 'paper' }),
  noise: field(z.number().positive().default(1), 'Sub-Gaussian sigma of one score.', { source: 'paper', log: true }),
  sampling: field(
    z.enum(['halving', 'uniform']).default('halving'),
    'How tasks are chosen: by sequential halving, or at random, which is dear where few tasks tell experts apart.',
    { source: 'ours' },
  ),
  maxPerComparison: field(
    z.int().min(4).default(1_000_000),
    'Scores that one comparison may take; two experts that are not told apart by then count as equal.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

/** Where a tournament stands: experts in order, best first, and the number of the newcomer. */
export type Standing = { order: number[]; newcomer: number; low: number; high: number }

type State = {
  standing: Standing
  comparison: Comparison | null
  rng: RngState
  rounds: number
  comparisons: number
  undecided: number
  scores: number
}

export type Tournament = {
  id: string
  title: string
  summary: string
  recipes: readonly Recipe<Config>[]
  equations: readonly string[]
  /** Share of delta of one comparison among n experts. */
  share(n: number): number
  /** Place in the order of the expert that the newcomer meets. */
  rival(standing: Standing): number
  /** Takes the verdict: 1 where the newcomer is better. Once it has its place, `newcomer` is the next. */
  settle(standing: Standing, verdict: Verdict): void
  points(standing: Standing): readonly number[]
}

export function expertsMethod(tournament: Tournament) {
  const { id, title, summary, recipes, equations, share, rival, settle, points } = tournament
  const optionsOf = (config: Config, n: number): ComparisonOptions => ({
    ...config,
    delta: config.delta * share(n),
    limit: config.maxPerComparison,
  })

  return playMethod<Config, State>({
    id,
    family: 'ranking',
    title,
    summary,
    references: [
      {
        authors: 'E. M. Saad, N. Verzelen, A. Carpentier',
        title: 'Active Ranking of Experts Based on their Performances in Many Tasks',
        year: 2023,
        url: 'https://arxiv.org/abs/2306.02628',
      },
    ],
    config,
    spaces: ['items'],
    recipes,
    equations: () => [
      String.raw`|\hat\mu| > \sigma\sqrt{2}\, \sqrt{2 \ln(2/\delta_k) / T},\quad T = 2^k`,
      String.raw`\delta_k = \delta' / (2 k^2 (\lceil \log_2 d \rceil + 1) \cdot 1.65)`,
      ...equations,
    ],
    needs: () => ['quantities'],
    init({ config, problem }, seed) {
      const rng = rngStream(seed, 'tasks')
      const n = itemsOf(problem).length
      const comparison = n > 1 ? startComparison(optionsOf(config, n), new Rng(rng)) : null
      const standing = { order: [0], newcomer: 1, low: 0, high: 1 }
      return { standing, comparison, rng, rounds: 0, comparisons: 0, undecided: 0, scores: 0 }
    },
    ask({ config, problem }, { standing, comparison, rounds }) {
      const { tasks, repeats } = requestOf(comparison!, optionsOf(config, itemsOf(problem).length))!
      const note = { tasks: JSON.stringify(tasks), repeats: String(repeats) }
      const description =
        'of this expert on each of the `tasks` of the note, in their order: the mean of as many evaluations as `repeats` says'
      return {
        points: [
          itemPoint(problem, standing.newcomer),
          itemPoint(problem, standing.order[rival(standing)]),
          { kind: 'text', text: note },
        ],
        wants: [{ kind: 'quantities', quantities: [{ name: 'scores', shape: [tasks.length], description }] }],
        purpose: 'compare',
        round: rounds,
      }
    },
    learn({ config, problem }, state, { quantities }) {
      const n = itemsOf(problem).length
      const options = optionsOf(config, n)
      const rng = new Rng(state.rng)
      const { standing, comparison } = state
      const before = comparison!.spent
      // Signs are those of values that are to be minimized.
      const [mine, other] = quantities!.map(({ scores }) => scores)
      const differences = Float64Array.from(mine, (score, i) => signOf(problem) * (other[i] - score))
      const verdict = learn(comparison!, options, differences, rng)
      state.rounds++
      state.scores += comparison!.spent - before
      if (verdict === undefined) return
      state.comparisons++
      if (verdict === 0) state.undecided++
      settle(standing, verdict)
      state.comparison = standing.newcomer < n ? startComparison(options, rng) : null
    },
    finished({ comparison, comparisons, undecided }) {
      if (comparison) return undefined
      return `${comparisons} comparisons are made${undecided > 0 ? `, ${undecided} of them undecided` : ''}`
    },
    estimate({ problem }, { standing, comparisons, undecided, scores }): Estimate {
      return {
        kind: 'best',
        points: points(standing).map((item) => ({ point: itemPoint(problem, item) })),
        step: comparisons,
        metrics: { scores, undecided, placed: standing.newcomer },
      }
    },
  })
}
