/**
 * Which terms of a sum to keep: Liu, Wang, Zhong, Xu, Zha, Tang, Jiang, Zhou, Chaudhary, Xu, Hu, "Winner-Take-All Column Row
 * Sampling for Memory Efficient Adaptation of Language Model", NeurIPS 2023, section 3.
 *
 * Each tensor of the space holds the weights of a list of items: tokens, examples, columns. Their scores are asked under its
 * name, such as norms of inputs times norms of output gradients; the answer is a weight per item, 0 for those to be dropped,
 * with which the weighted sum over the rest is an unbiased estimate of the sum over all.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { spaceOf } from '../flat.js'
import { turnsMethod } from '../turns.js'

const config = z.strictObject({
  keep: field(
    z.number().positive().default(0.3),
    'Items to keep of each tensor: a share below 1, else their number k.',
    {
      source: 'paper, section 5: 0.1 to 0.5',
      mutable: true,
    },
  ),
  estimator: field(
    z.enum(['wta-crs', 'crs', 'topk']).default('wta-crs'),
    'The largest are kept and the rest is sampled; all are sampled; or the largest alone are kept, which is biased.',
    { source: 'paper, section 3.1' },
  ),
  deterministicShare: field(
    z.number().min(0).lt(1).optional(),
    'Share of the kept that are kept as the largest; without it, the one of least variance.',
    { source: 'zirui-ray-liu/WTACRS: deter_ratio', mutable: true },
  ),
})
type Config = z.infer<typeof config>

export type Selection = {
  /** One per item; drawn items that came up twice count twice. */
  weights: Float64Array
  /** How many of the largest are kept for certain. */
  winners: number
  /** Of the estimate, for terms at right angles whose lengths are the scores: its expected squared error. */
  variance: number
}

/** The largest p, in order, and 1 less the sums of the c largest for c from 0. */
function ranked(p: Float64Array, k: number) {
  const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a] || a - b)
  const rest = [1]
  for (let c = 0; c < k; c++) rest.push(Math.max(0, rest[c] - p[order[c]]))
  return { order, rest }
}

/** The number c below k with the least (1 - P_c)/(k - c); the smaller of equals. */
function fewest(rest: readonly number[], k: number): number {
  let best = 0
  for (let c = 1; c < k; c++) if (rest[c] / (k - c) < rest[best] / (k - best)) best = c
  return best
}

/** Chooses k of the items with these scores, from 0. */
export function select(
  scores: ArrayLike<number>,
  k: number,
  rng: Rng,
  { estimator, deterministicShare }: Pick<Config, 'estimator' | 'deterministicShare'>,
): Selection {
  const s = Float64Array.from(scores, (score) => Math.max(0, score))
  const total = s.reduce((sum, score) => sum + score, 0)
  const weights = new Float64Array(s.length)
  if (k >= s.length) return { weights: weights.fill(1), winners: s.length, variance: 0 }
  const p = s.map((score) => (total > 0 ? score / total : 1 / s.length))
  const { order, rest } = ranked(p, k)
  const keep = (count: number) => {
    for (const item of order.slice(0, count)) weights[item] = 1
  }
  if (estimator === 'topk') {
    keep(k)
    return { weights, winners: k, variance: 0 }
  }
  const certain = deterministicShare === undefined ? fewest(rest, k) : Math.floor(deterministicShare * k)
  const winners = estimator === 'crs' ? 0 : certain
  keep(winners)
  const draws = k - winners
  const others = order.slice(winners)
  const left = others.reduce((sum, item) => sum + p[item], 0)
  // E|estimate - sum|^2 of `draws` independent terms, each of the length total*left.
  const squares = others.reduce((sum, item) => sum + s[item] ** 2, 0)
  const variance = ((total * left) ** 2 - squares) / draws
  for (let d = 0; d < draws && left > 0; d++) {
    const item = draw(p, others, left * rng.uniform())
    weights[item] += left / (draws * p[item])
  }
  return { weights, winners, variance }
}

/** The item in whose stretch a number lies, when items lie one after another by their p. */
function draw(p: Float64Array, items: readonly number[], at: number): number {
  let sum = 0
  let last = items[0]
  for (const item of items) {
    if (p[item] === 0) break
    last = item
    sum += p[item]
    if (at < sum) break
  }
  return last
}

type State = { weights: Float64Array; rng: RngState; rounds: number; winners: number; variance: number }

export const method = turnsMethod<Config, State>({
  id: 'wta-crs',
  family: 'sampling',
  title: 'Winner-take-all column-row sampling',
  summary:
    'Told scores of the terms of a sum, keeps the largest and a weighted sample of the rest: unbiased, with little variance.',
  references: [
    {
      authors: 'Z. Liu, G. Wang, S. Zhong, Z. Xu, D. Zha, R. Tang, Z. Jiang, K. Zhou, V. Chaudhary, S. Xu, X. Hu',
      title: 'Winner-Take-All Column Row Sampling for Memory Efficient Adaptation of Language Model',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.15265',
    },
  ],
  config,
  recipes: [{ problem: 'scores', config: { keep: 4 }, maxEvaluations: 5, target: 1e-9 }],
  equations: () => [
    String.raw`p_i = s_i / \sum_j s_j,\quad c^* = \arg\min_{c < k} \frac{1 - P_c}{k - c}`,
    String.raw`w_i = 1\ (i \in C),\quad w_j = \frac{1 - P_C}{(k - c^*)\, p_j}\ (j \text{ drawn})`,
  ],
  needs: () => ['quantities'],
  init: (_, flat, seed) => ({
    weights: new Float64Array(flat.dimension).fill(1),
    rng: rngStream(seed, 'wta-crs'),
    ...{ rounds: 0, winners: 0, variance: 0 },
  }),
  ask: ({ problem }, _, { weights }) => ({
    points: [weights],
    wants: [
      {
        kind: 'quantities',
        quantities: spaceOf(problem).tensors.map(({ name, shape }) => ({
          name,
          shape,
          description: 'score of each item, from 0: how much it adds to the sum',
        })),
      },
    ],
    purpose: 'scores',
  }),
  learn({ config, problem }, flat, state, { quantities }) {
    const [told] = quantities!
    state.weights = new Float64Array(flat.dimension)
    state.winners = state.variance = 0
    for (const { name } of spaceOf(problem).tensors) {
      const count = told[name].length
      const k = config.keep < 1 ? Math.max(1, Math.round(config.keep * count)) : Math.floor(config.keep)
      const { weights, winners, variance } = select(told[name], k, new Rng(state.rng), config)
      state.weights.set(weights, flat.range(name)![0])
      state.winners += winners
      state.variance += variance
    }
    state.rounds++
  },
  estimate(_, { weights, rounds, winners, variance }) {
    const kept = weights.reduce((count, weight) => count + Number(weight !== 0), 0)
    return { x: weights, kind: 'iterate', step: rounds, metrics: { kept, winners, variance } }
  },
})
