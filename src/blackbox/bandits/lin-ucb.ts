/**
 * LinUCB: a linear model of the reward, and the action whose upper confidence bound is largest.
 * L. Li, W. Chu, J. Langford, R. E. Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation",
 * WWW 2010, arXiv 1003.0146, algorithm 1, with one model for all actions.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { dot } from '../linalg/dense.js'
import { banditMethod, bestField, featuresField } from './anatomy.js'
import { largest } from './arms.js'
import { observe, startInverse, width } from './ridge.js'

const config = z.strictObject({
  alpha: field(z.number().min(0).default(1), 'Widths above the mean of the bound.', { source: 'paper', mutable: true }),
  lambda: field(z.number().positive().default(1), 'Ridge regularization.', { source: 'paper' }),
  features: featuresField,
  bestReward: bestField,
})
type Config = z.infer<typeof config>
/** (lambda I + sum x x')^-1 and sum reward x; empty until features are known. */
type State = { inverse: Float64Array; moment: Float64Array }

const theta = ({ inverse, moment }: State): Float64Array =>
  moment.map((_, i) => dot(inverse.subarray(i * moment.length, (i + 1) * moment.length), moment))

function sized(own: State, lambda: number, d: number): State {
  if (own.moment.length === d) return own
  own.inverse = startInverse(d, lambda)
  own.moment = new Float64Array(d)
  return own
}

export const method = banditMethod<Config, State>({
  id: 'lin-ucb',
  title: 'LinUCB',
  summary: 'Contextual bandit with a linear model of the reward: plays the largest upper confidence bound.',
  references: [
    {
      authors: 'L. Li, W. Chu, J. Langford, R. E. Schapire',
      title: 'A Contextual-Bandit Approach to Personalized News Article Recommendation',
      year: 2010,
      url: 'https://arxiv.org/abs/1003.0146',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', maxEvaluations: 60, target: -0.99 }],
  equations: () => [
    String.raw`A = \lambda I + \sum x x^\top, \quad \theta = A^{-1} \sum r x`,
    String.raw`a_t = \arg\max_a\; \theta^\top x_a + \alpha \sqrt{x_a^\top A^{-1} x_a}`,
  ],
  features: ({ features }) => features,
  best: ({ bestReward }) => bestReward,
  init: () => ({ inverse: new Float64Array(0), moment: new Float64Array(0) }),
  choose({ config }, own, { arms, x, rng }) {
    const model = sized(own, config.lambda, x[arms[0]].length)
    const weights = theta(model)
    const means = x.map((features) => dot(weights, features))
    const bounds = x.map((features, arm) => means[arm] + config.alpha * width(model.inverse, features))
    return { arm: largest(arms, (arm) => bounds[arm], rng), purpose: 'optimism', means, bounds }
  },
  learn({ config }, own, { x, reward }) {
    const { inverse, moment } = sized(own, config.lambda, x.length)
    observe(inverse, x)
    for (let i = 0; i < moment.length; i++) moment[i] += reward * x[i]
  },
})
