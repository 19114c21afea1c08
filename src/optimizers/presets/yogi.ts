/** Zaheer, Reddi, Sachan, Kale, Kumar, "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018, algorithm 2. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { beta1, beta2, weightDecay } = adamFields
const fields = {
  learningRate: real('Step size.', { default: 0.01, min: 0, mutable: true, log: true, source: 'section 5' }),
  beta1,
  beta2,
  eps: real('Added to the root of the second moment.', { default: 1e-3, above: 0, source: 'section 5' }),
  initial: real('Start of both moments of every element.', { default: 1e-6, min: 0, source: 'optax.yogi' }),
  weightDecay,
}

export const method = gradientMethod<typeof fields>({
  id: 'yogi',
  title: 'Yogi',
  summary: 'Adam whose second moment moves towards the squared gradient by no more than a share of it, whichever way.',
  references: [
    {
      authors: 'M. Zaheer, S. Reddi, D. Sachan, S. Kale, S. Kumar',
      title: 'Adaptive Methods for Nonconvex Optimization',
      year: 2018,
      url: 'https://papers.nips.cc/paper/8186-adaptive-methods-for-nonconvex-optimization',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, initial, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = v - (1 - beta2)*sign(v - g^2)*g^2',
      'x = x - lr*(m/(1 - beta1^t))/(sqrt(v/(1 - beta2^t)) + eps)',
    ].join('\n'),
    slots: { m: { kind: 'tensor', initial }, v: { kind: 'tensor', initial } },
    scalars: () => ({ beta1, beta2, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.2, schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-4,
    },
  ],
})
