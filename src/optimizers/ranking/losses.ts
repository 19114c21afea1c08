/**
 * Losses of the scores of one query's documents, by which a model learns to rank: I. Lyzhin, A. Ustimenko, A. Gulin,
 * L. Prokhorenkova, "Which Tricks are Important for Learning to Rank?", ICML 2023 (arXiv:2204.01500).
 *
 * yetiloss: neighbours in orders of noisy scores, lambdarank: all pairs in the order of the scores; each pair of winner p and
 * loser q costs |change of the metric when they swap|*log(1 + e^-(z_p - z_q)). stochasticrank: minus the metric itself,
 * smoothed by normal noise of the scores.
 */
import type { Rng } from '../../core/rng.js'
import { discount, gain, idealDcg, METRICS, type Metric, walks } from './metrics.js'

export const RANKING_LOSSES = ['yetiloss', 'lambdarank', 'stochasticrank'] as const
export const YETI_MODES = [...METRICS, 'classic'] as const
export type RankingOptions = {
  loss: (typeof RANKING_LOSSES)[number]
  /** classic: not a metric but the difference of the labels, decaying with the position. */
  mode: (typeof YETI_MODES)[number]
  /** Orders, or draws of noise, that are averaged over. */
  permutations: number
  /** Of the Gumbel noise of yetiloss. */
  noisePower: number
  /** Of the positions, for classic. */
  decay: number
  /** Deviation of the normal noise of stochasticrank. */
  deviation: number
}
/** Of one query, by document. stochasticrank has no curvature: its Hessian is 0. */
export type RankingAnswer = { loss: number; gradient: Float64Array; hessian: Float64Array }

const sigmoid = (t: number): number => 1 / (1 + Math.exp(-t))
const softplus = (t: number): number => Math.max(0, t) + Math.log1p(Math.exp(-Math.abs(t)))
const gumbel = (rng: Rng): number => -Math.log(-Math.log(Math.max(rng.uniform(), 2 ** -54)))

/** Documents from the largest score, the earlier of equals first. */
export const orderOf = (scores: ArrayLike<number>): number[] =>
  Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b)

/** What a classic or a stochasticrank of no metric goes by. */
export const metricOfMode = (mode: RankingOptions['mode']): Metric => (mode === 'classic' ? 'ndcg' : mode)

export function rankingLoss(
  z: ArrayLike<number>,
  labels: ArrayLike<number>,
  options: RankingOptions,
  rng: Rng,
): RankingAnswer {
  const answer: RankingAnswer = {
    loss: 0,
    gradient: new Float64Array(z.length),
    hessian: new Float64Array(z.length),
  }
  if (options.loss === 'lambdarank') lambdaRank(answer, z, labels)
  else if (options.loss === 'yetiloss') yetiLoss(answer, z, labels, options, rng)
  else stochasticRank(answer, z, labels, options, rng)
  return answer
}

/** Adds the logistic loss of a pair of different labels, in whichever order it is given. */
function addPair(answer: RankingAnswer, z: ArrayLike<number>, labels: ArrayLike<number>, pair: Pair) {
  const { i, j, weight } = pair
  const [p, q] = labels[i] > labels[j] ? [i, j] : [j, i]
  const margin = z[p] - z[q]
  const s = sigmoid(-margin)
  const pull = weight * s
  const curvature = pull * (1 - s)
  answer.loss += weight * softplus(-margin)
  answer.gradient[p] -= pull
  answer.gradient[q] += pull
  answer.hessian[p] += curvature
  answer.hessian[q] += curvature
}
type Pair = { i: number; j: number; weight: number }

function yetiLoss(
  answer: RankingAnswer,
  z: ArrayLike<number>,
  labels: ArrayLike<number>,
  { mode, permutations, noisePower, decay }: RankingOptions,
  rng: Rng,
) {
  const begin = walks(metricOfMode(mode), labels)
  for (let r = 0; r < permutations; r++) {
    const order = orderOf(noisePower > 0 ? Float64Array.from(z, (score) => score + noisePower * gumbel(rng)) : z)
    const walk = begin()
    for (let k = 0; k + 1 < order.length; k++) {
      const [i, j] = [order[k], order[k + 1]]
      if (labels[i] !== labels[j]) {
        const change = mode === 'classic' ? (labels[i] - labels[j]) * decay ** k : walk.swap(labels[i], labels[j])
        addPair(answer, z, labels, { i, j, weight: Math.abs(change) / permutations })
      }
      walk.pass(labels[i])
    }
  }
}

function lambdaRank(answer: RankingAnswer, z: ArrayLike<number>, labels: ArrayLike<number>) {
  const order = orderOf(z)
  const ideal = idealDcg(labels) || Infinity
  for (let a = 0; a < order.length; a++)
    for (let b = a + 1; b < order.length; b++) {
      const [i, j] = [order[a], order[b]]
      if (labels[i] === labels[j]) continue
      const weight = (Math.abs(gain(labels[i]) - gain(labels[j])) * (discount(a) - discount(b))) / ideal
      addPair(answer, z, labels, { i, j, weight })
    }
}

/** Given the noisy scores of the others, the metric of document i is a step function of its own, of known steps. */
function stochasticRank(
  answer: RankingAnswer,
  z: ArrayLike<number>,
  labels: ArrayLike<number>,
  { mode, permutations, deviation }: RankingOptions,
  rng: Rng,
) {
  const begin = walks(metricOfMode(mode), labels)
  const density = (t: number) => Math.exp(-(t ** 2) / 2) / Math.sqrt(2 * Math.PI)
  const { gradient } = answer
  for (let r = 0; r < permutations; r++) {
    const noisy = Float64Array.from(z, (score) => score + deviation * rng.normal())
    const order = orderOf(noisy)
    const whole = begin()
    for (const i of order) answer.loss -= whole.pass(labels[i]) / permutations
    for (let i = 0; i < z.length; i++) {
      const walk = begin()
      for (const j of order) {
        if (j === i) continue
        const chance = density((noisy[j] - z[i]) / deviation) / deviation
        gradient[i] -= (chance * walk.swap(labels[i], labels[j])) / permutations
        walk.pass(labels[j])
      }
    }
  }
  // The metric does not see a shift of all scores: what is left of one is noise of the draws.
  const mean = gradient.reduce((sum, g) => sum + g, 0) / gradient.length
  for (let i = 0; i < gradient.length; i++) gradient[i] -= mean
}
