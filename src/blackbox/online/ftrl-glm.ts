/**
 * Follow the regularized leader for generalized linear regression: H. Zhao, D. Zhou, J. He, Q. Gu, "Optimal Online Generalized
 * Linear Regression with Stochastic Noise and Its Application to Heteroscedastic Bandits", ICML 2023 (arXiv:2202.13603).
 *
 * A round is two queries: `features` asks for the round's x, and `label` for its y, once the prediction mu(<w, x>) is out: it
 * is the metric `prediction`, and the query's point is the w behind it. With `together` one query asks for both.
 */
import { z } from 'zod'
import type { Quantity, Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, flatOf, norm, spaceOf } from '../../optimizers/flat.js'
import { addLabel, confidenceRadius, type Fit, LINKS, lossOf, meanOf, startFit } from './glm.js'
import { playMethod } from './play.js'

const config = z.strictObject({
  link: field(z.enum(LINKS).default('identity'), 'Of the labels: real numbers, 0 and 1, or counts.', {
    source: 'arXiv:2202.13603',
  }),
  lambda: field(z.number().positive().default(1), 'Weight of the regularizer lambda/2 |w|^2.', {
    source: 'arXiv:2202.13603',
    log: true,
  }),
  together: field(z.boolean().default(false), 'Ask for features and label at once, which halves the messages.', {
    source: 'ours',
  }),
  comparator: field(z.array(z.number()).optional(), 'A fixed w to measure the regret against, beside the hindsight.', {
    source: 'ours',
  }),
  noise: field(z.number().positive().default(1), 'Sub-Gaussian sigma of the labels, for the confidence radius.', {
    source: 'ours',
  }),
  normBound: field(z.number().positive().default(1), 'Bound on the norm of the true w, for the confidence radius.', {
    source: 'ours',
  }),
  failure: field(z.number().positive().lt(1).default(0.05), 'Probability that the confidence radius may be wrong.', {
    source: 'ours',
  }),
})
type Config = z.infer<typeof config>

type State = {
  fit: Fit
  /** Features of the round whose label is awaited. */
  x: Float64Array | null
  prediction: number
  /** Sum of the losses paid, and of those of the comparator. */
  loss: number
  compared: number
  /** Of linear models: sum of x x' and of y x, which give the loss of any w. */
  gram: Float64Array
  moment: Float64Array
  /** Largest norm of the features. */
  width: number
}

/** Sum of the losses of a w over all rounds. */
function lossOfAll({ link }: Config, { fit, gram, moment }: State, w: Float64Array): number {
  const d = w.length
  let sum = 0
  if (link === 'identity') {
    for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) sum += 0.5 * w[i] * gram[i * d + j] * w[j]
    return sum - dot(w, moment)
  }
  for (let k = 0, at = 0; k < fit.count; k++, at += d + 2)
    sum += lossOf(link, dot(w, fit.rows.subarray(at, at + d)), fit.rows[at + d])
  return sum
}

const features = (d: number): Quantity => ({ name: 'x', shape: [d], description: 'Features of the round.' })
const LABEL: Quantity = { name: 'y', shape: [], description: 'Label of the round.' }

export const method = playMethod<Config, State>({
  id: 'ftrl-glm',
  title: 'FTRL for generalized linear regression',
  summary: 'Predicts each label before it is told; reports its confidence and its regret against the best model.',
  references: [
    {
      authors: 'H. Zhao, D. Zhou, J. He, Q. Gu',
      title:
        'Optimal Online Generalized Linear Regression with Stochastic Noise and Its Application to Heteroscedastic Bandits',
      year: 2023,
      url: 'https://arxiv.org/abs/2202.13603',
    },
  ],
  config,
  spaces: ['tensors'],
  recipes: [
    { problem: 'linear-rounds', maxEvaluations: 400, target: 0.1 },
    { problem: 'linear-rounds', config: { together: true, lambda: 0.1 }, maxEvaluations: 200, target: 0.1 },
  ],
  equations: ({ link }) => [
    String.raw`w_t = \arg\min_w \frac{\lambda}{2} \|w\|^2 + \sum_{s<t} \left(m(\langle w, x_s \rangle) - y_s \langle w, x_s \rangle\right)`,
    { identity: 'm(z) = z^2/2', logistic: String.raw`m(z) = \log(1 + e^z)`, poisson: 'm(z) = e^z' }[link],
  ],
  needs: () => ['quantities'],
  check({ comparator }, problem) {
    const { tensors, low, high, initial } = spaceOf(problem)
    const d = flatOf(problem).dimension
    return [
      ...(tensors.length === 1 && tensors[0].shape.length === 1
        ? []
        : [{ path: 'space.tensors', message: 'expected one tensor of shape [features], the model' }]),
      ...(low === undefined && high === undefined
        ? []
        : [{ path: low === undefined ? 'space.high' : 'space.low', message: 'ftrl-glm keeps to no bounds' }]),
      ...(initial ? [{ path: 'space.initial', message: 'ftrl-glm begins at 0, which it regularizes to' }] : []),
      ...(comparator && comparator.length !== d
        ? [{ path: 'config.comparator', message: `expected ${d} numbers, got ${comparator.length}` }]
        : []),
    ]
  },
  init({ config, problem }) {
    const d = flatOf(problem).dimension
    return {
      fit: startFit(d, config.lambda),
      x: null,
      prediction: 0,
      loss: 0,
      compared: 0,
      gram: new Float64Array(config.link === 'identity' ? d * d : 0),
      moment: new Float64Array(d),
      width: 0,
    }
  },
  ask({ config, problem }, { fit, x }) {
    const flat = flatOf(problem)
    const quantities = config.together ? [features(flat.dimension), LABEL] : x ? [LABEL] : [features(flat.dimension)]
    const wants: Want[] = [{ kind: 'quantities', quantities }]
    const purpose = config.together ? 'round' : x ? 'label' : 'features'
    return { points: [{ kind: 'tensors', tensors: flat.tensors(fit.w) }], wants, purpose, round: fit.count + 1 }
  },
  learn({ config }, state, { quantities }) {
    const [told] = quantities!
    const { link, lambda, comparator, together } = config
    if (!state.x) {
      state.x = Float64Array.from(told.x)
      state.prediction = meanOf(link, dot(state.fit.w, state.x))
      if (!together) return
    }
    const { x, fit, gram, moment } = state
    const d = x.length
    const [y] = told.y
    state.loss += lossOf(link, dot(fit.w, x), y)
    if (comparator) state.compared += lossOf(link, dot(comparator, x), y)
    for (let i = 0; i < d; i++) {
      moment[i] += y * x[i]
      if (link === 'identity') for (let j = 0; j < d; j++) gram[i * d + j] += x[i] * x[j]
    }
    state.width = Math.max(state.width, norm(x))
    addLabel(fit, link, lambda, x, y)
    state.x = null
  },
  estimate({ config, problem }, state) {
    const { fit, prediction, loss, compared, width } = state
    const { lambda, noise, normBound, failure, comparator } = config
    const { count, w } = fit
    return {
      kind: 'iterate',
      points: [{ point: { kind: 'tensors', tensors: flatOf(problem).tensors(w) } }],
      step: count,
      metrics: {
        prediction,
        loss,
        // The regularized leader is the best model of the rounds so far, but for the regularizer.
        hindsightRegret: loss - lossOfAll(config, state, w),
        confidenceRadius: confidenceRadius(count, w.length, lambda, width, noise, normBound, failure),
        // 0.5 sigma^2 d log(1 + T X^2/(lambda d)), the leading term of the regret of linear models.
        regretScale: 0.5 * noise ** 2 * w.length * Math.log(1 + (count * width ** 2) / (lambda * w.length)),
        ...(comparator ? { comparatorRegret: loss - compared } : {}),
      },
    }
  },
})
