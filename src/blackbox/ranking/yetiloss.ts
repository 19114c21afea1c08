/**
 * Learning to rank, for whatever model a client has: told its scores of documents and their labels, answers the gradient and
 * the diagonal of the Hessian of a ranking loss by the scores.
 * I. Lyzhin, A. Ustimenko, A. Gulin, L. Prokhorenkova, "Which Tricks are Important for Learning to Rank?", ICML 2023
 * (arXiv:2204.01500); YetiRank: Gulin, Kuralenok, Pavlov 2011; LambdaRank: Burges 2010; StochasticRank: Ustimenko,
 * Prokhorenkova 2020.
 *
 * The tensor `gradient` of the space has an element per document, and so has `hessian` where the space has it. A query's
 * point is the answer to the scores told before it, zeros at first: the client moves its scores by it (backpropagates it,
 * fits a tree to it) and tells the new ones.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Quantity } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { elements } from '../../core/tensor.js'
import { flatOf, spaceOf } from '../../optimizers/flat.js'
import { metricOfMode, orderOf, RANKING_LOSSES, rankingLoss, YETI_MODES } from '../../optimizers/ranking/losses.js'
import { metricOf } from '../../optimizers/ranking/metrics.js'
import { turnsMethod } from '../../optimizers/turns.js'

const config = z.strictObject({
  loss: field(
    z.enum(RANKING_LOSSES).default('yetiloss'),
    'yetiloss: neighbours in noisy orders. lambdarank: all pairs, by their change of NDCG. stochasticrank: the metric itself ' +
      'under noise; its Hessian is 0.',
    { source: 'paper' },
  ),
  mode: field(
    z.enum(YETI_MODES).default('ndcg'),
    'The metric that is optimized and reported; classic weighs neighbours as YetiRank did, and reports NDCG. lambdarank is ' +
      'always of NDCG.',
    { source: 'ours; catboost: YetiRank:mode=Classic' },
  ),
  permutations: field(z.int().min(1).default(10), 'Noisy orders, or draws of noise, that are averaged over.', {
    source: 'catboost: permutations',
    mutable: true,
  }),
  noisePower: field(z.number().min(0).default(1), 'yetiloss: factor of the Gumbel noise.', {
    source: 'ours; catboost: noise_power',
    mutable: true,
  }),
  decay: field(z.number().positive().max(1).default(0.85), 'classic: decay of the weight of a position.', {
    source: 'catboost: decay',
    mutable: true,
  }),
  deviation: field(z.number().positive().default(1), 'stochasticrank: deviation of the noise of the scores.', {
    source: 'ours; catboost: StochasticRank:sigma',
    mutable: true,
    log: true,
  }),
  top: field(z.int().min(1).default(10), 'Positions that the reported metric is of.', {
    source: 'ours',
    mutable: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  gradient: Float64Array
  hessian: Float64Array
  rng: RngState
  rounds: number
  loss: number
  metric: number
  queries: number
}

const documentsOf = (problem: Problem): readonly number[] =>
  spaceOf(problem).tensors.find(({ name }) => name === 'gradient')!.shape

/** The answer as a point of the space. */
function pointOf(problem: Problem, { gradient, hessian }: State): Float64Array {
  const flat = flatOf(problem)
  const x = new Float64Array(flat.dimension)
  for (const [name, values] of Object.entries({ gradient, hessian })) {
    const range = flat.range(name)
    if (range) x.set(values, range[0])
  }
  return x
}

/** Documents by the query that they belong to; those of a negative number belong to none. */
function byQuery(numbers: ArrayLike<number>): number[][] {
  const groups = new Map<number, number[]>()
  for (let i = 0; i < numbers.length; i++) {
    if (numbers[i] < 0) continue
    const group = groups.get(numbers[i])
    if (group) group.push(i)
    else groups.set(numbers[i], [i])
  }
  return [...groups.values()]
}

export const method = turnsMethod<Config, State>({
  id: 'yetiloss',
  family: 'ranking',
  title: 'YetiLoss, LambdaRank and StochasticRank',
  summary:
    'Gradients for learning to rank, for any model of a client: told scores and labels of documents by query, answers the ' +
    'gradient of a ranking loss by each score, and its second derivative where the space has a tensor `hessian` too.',
  references: [
    {
      authors: 'I. Lyzhin, A. Ustimenko, A. Gulin, L. Prokhorenkova',
      title: 'Which Tricks are Important for Learning to Rank?',
      year: 2022,
      url: 'https://arxiv.org/abs/2204.01500',
    },
  ],
  config,
  heavy: true,
  recipes: [
    { problem: 'documents', maxEvaluations: 20, target: 0 },
    { problem: 'documents', config: { loss: 'stochasticrank', mode: 'err' }, maxEvaluations: 20, target: 0 },
  ],
  equations: ({ loss }) =>
    loss === 'stochasticrank'
      ? [String.raw`L = -\mathbb{E}_{\varepsilon \sim N(0, I)}\, M(z + \sigma \varepsilon)`]
      : [
          String.raw`L = \sum_{(p, q)} |\Delta M_{pq}| \log(1 + e^{-(z_p - z_q)}),\quad l_p > l_q`,
          loss === 'yetiloss'
            ? String.raw`(p, q)\ \text{neighbours in the order of}\ z_i + \nu\, \mathrm{Gumbel}(0, 1)`
            : String.raw`(p, q)\ \text{all pairs},\ M = \mathrm{NDCG}`,
        ],
  needs: () => ['quantities'],
  check(_, problem) {
    const issues: Issue[] = []
    const { tensors } = spaceOf(problem)
    const gradient = tensors.find(({ name }) => name === 'gradient')
    if (!gradient)
      issues.push({ path: 'space.tensors', message: 'expected a tensor "gradient", an element per document' })
    tensors.forEach(({ name, shape }, i) => {
      if (name !== 'gradient' && name !== 'hessian')
        issues.push({ path: `space.tensors[${i}].name`, message: 'expected "gradient" or "hessian"' })
      else if (gradient && elements(shape) !== elements(gradient.shape))
        issues.push({ path: `space.tensors[${i}].shape`, message: `expected that of "gradient", [${gradient.shape}]` })
    })
    if (problem.objectives[0]?.direction === 'maximize')
      issues.push({
        path: 'objectives[0].direction',
        message: 'yetiloss answers the gradient of a loss to be minimized',
      })
    return issues
  },
  init({ problem }, _, seed) {
    const zeros = () => new Float64Array(elements(documentsOf(problem)))
    const rng = rngStream(seed, 'noise')
    return { gradient: zeros(), hessian: zeros(), rng, rounds: 0, loss: 0, metric: 0, queries: 0 }
  },
  ask({ problem }, _, state) {
    const shape = documentsOf(problem)
    const quantities: Quantity[] = [
      { name: 'scores', shape, description: 'score of each document' },
      { name: 'labels', shape, description: 'relevance of each document, a grade from 0' },
      {
        name: 'queries',
        shape,
        description: 'number of the query that it belongs to; negative where there is no document',
      },
    ]
    return { points: [pointOf(problem, state)], wants: [{ kind: 'quantities', quantities }], purpose: 'scores' }
  },
  learn({ config }, _, state, { quantities }) {
    const [{ scores, labels, queries }] = quantities!
    const rng = new Rng(state.rng)
    const groups = byQuery(queries)
    const totals = { loss: 0, metric: 0 }
    state.gradient.fill(0)
    state.hessian.fill(0)
    for (const documents of groups) {
      const z = documents.map((i) => scores[i])
      const l = documents.map((i) => labels[i])
      const { loss, gradient, hessian } = rankingLoss(z, l, config, rng)
      documents.forEach((i, k) => {
        state.gradient[i] = gradient[k]
        state.hessian[i] = hessian[k]
      })
      const ordered = orderOf(z).map((k) => l[k])
      totals.loss += loss / groups.length
      totals.metric += metricOf(metricOfMode(config.mode), ordered, config.top) / groups.length
    }
    Object.assign(state, totals)
    state.queries = groups.length
    state.rounds++
  },
  estimate({ problem }, state) {
    const { rounds, loss, metric, queries } = state
    return { x: pointOf(problem, state), kind: 'iterate', step: rounds, metrics: { loss, metric, queries } }
  },
})
