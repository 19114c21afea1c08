/**
 * A loss that makes a new model more confident in the truth than the one that is deployed: Zhu, Liu, Wang, Zhao, Lin, Shao,
 * "Confidence Ranking for CTR Prediction", WWW 2023 (arXiv:2307.01206). With labels y in {0, 1}, s = 2y - 1, new logits u, old
 * logits o, and a surrogate phi, it is the cross-entropy and lambda times
 *   accuracy: mean over examples of phi(s_i*(u_i - o_i))
 *   auc: mean over pairs of a positive i and a negative j of phi((u_i - u_j) - (o_i - o_j))
 */
import type { FloatArray } from '../../core/tensor.js'

export const SURROGATES = ['logistic', 'hinge', 'exponential'] as const
export const CONFIDENCE_METRICS = ['accuracy', 'auc'] as const
export type ConfidenceOptions = {
  metric: (typeof CONFIDENCE_METRICS)[number]
  surrogate: (typeof SURROGATES)[number]
  /** Weight of the ranking loss. */
  lambda: number
}
export type Confidence = {
  crossEntropy: number
  /** Not yet weighed; 0 where there is no pair, and where lambda is 0. */
  ranking: number
  /** Of crossEntropy + lambda*ranking, by the new logits. */
  gradient: Float64Array
  /** Share of examples on which the new logit lies nearer to the truth than the old. */
  outranks: number
}

/** log(1 + e^-t), and minus its derivative. */
const softplus = (t: number): number => Math.max(0, -t) + Math.log1p(Math.exp(-Math.abs(t)))
const sigmoid = (t: number): number => 1 / (1 + Math.exp(-t))
/** e^709 is the largest that is a number. */
const LARGEST = 700

const PHI: Record<ConfidenceOptions['surrogate'], { value(t: number): number; slope(t: number): number }> = {
  logistic: { value: softplus, slope: (t) => -sigmoid(-t) },
  hinge: { value: (t) => Math.max(0, 1 - t), slope: (t) => (t < 1 ? -1 : 0) },
  exponential: { value: (t) => Math.exp(Math.min(-t, LARGEST)), slope: (t) => -Math.exp(Math.min(-t, LARGEST)) },
}

/** The loss of a batch. `old` is null where no model is deployed: then it is the cross-entropy alone. */
export function confidenceLoss(
  logits: FloatArray,
  labels: FloatArray,
  old: FloatArray | null,
  { metric, surrogate, lambda }: ConfidenceOptions,
): Confidence {
  const n = logits.length
  const signs = Float64Array.from(labels, (y) => 2 * y - 1)
  const gradient = Float64Array.from(logits, (u, i) => (sigmoid(u) - labels[i]) / n)
  const crossEntropy = signs.reduce((sum, s, i) => sum + softplus(s * logits[i]), 0) / n
  if (!old) return { crossEntropy, ranking: 0, gradient, outranks: 0 }
  const gained = Float64Array.from(logits, (u, i) => u - old[i])
  const outranks = signs.filter((s, i) => s * gained[i] > 0).length / n
  const { value, slope } = PHI[surrogate]
  let ranking = 0
  if (lambda > 0 && metric === 'accuracy')
    signs.forEach((s, i) => {
      ranking += value(s * gained[i]) / n
      gradient[i] += (lambda * s * slope(s * gained[i])) / n
    })
  else if (lambda > 0) {
    const positives = [...signs.keys()].filter((i) => signs[i] > 0)
    const negatives = [...signs.keys()].filter((i) => signs[i] <= 0)
    const pairs = positives.length * negatives.length
    for (const i of positives)
      for (const j of negatives) {
        const t = gained[i] - gained[j]
        const pull = (lambda * slope(t)) / pairs
        ranking += value(t) / pairs
        gradient[i] += pull
        gradient[j] -= pull
      }
  }
  return { crossEntropy, ranking, gradient, outranks }
}
