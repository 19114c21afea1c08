/**
 * Zhang, Zhou, Zou, "Convergence Guarantees for RMSProp and Adam in Generalized-smooth Non-convex Optimization with Affine
 * Noise Variance", 2024: learning rate and beta2 follow from the number of steps.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const fields = {
  rule: field(z.enum(['adam', 'rmsprop']).default('adam'), 'With momentum or without.', { source: 'ours' }),
  horizon: field(z.int().min(1).default(1000), 'Steps that will be taken, T.', { source: 'ours' }),
  learningRate: real('Step size times the root of the horizon: a step has learningRate/sqrt(T).', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'order of the theory; the factor is ours',
  }),
  forgetting: real('1 - beta2 times the root of the horizon.', {
    default: 1,
    above: 0,
    source: 'order of the theory; the factor is ours',
  }),
  beta1: adamFields.beta1,
  eps: real('Added to the second moment, under the root: zeta.', { default: 1e-8, above: 0, source: 'ours' }),
  initial: field(
    z.union([z.literal('first'), z.number().min(0)]).default('first'),
    'Second moment at the start: a number, or the square of the first gradient.',
    { source: 'ours' },
  ),
}
type Config = PresetConfig<typeof fields>

export const method = gradientMethod<typeof fields>({
  id: 'adam-gensmooth',
  title: 'Adam for a horizon',
  summary:
    'Adam or RMSProp whose step size and second moment are set for a number of steps T: both of order 1/sqrt(T), which ' +
    'takes the mean gradient norm to order T^(-1/4) without bounded gradients or smoothness.',
  references: [
    {
      authors: 'Q. Zhang, Y. Zhou, S. Zou',
      title:
        'Convergence Guarantees for RMSProp and Adam in Generalized-smooth Non-convex Optimization with Affine Noise Variance',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.01436',
    },
  ],
  fields,
  rule: ({ rule, horizon, forgetting, beta1, eps, initial }: Config) => ({
    text: [
      ...(initial === 'first' ? ['v = select(t == 1, g^2, v)'] : []),
      'v = beta2*v + (1 - beta2)*g^2',
      ...(rule === 'adam' ? ['m = beta1*m + (1 - beta1)*g'] : []),
      `x = x - lr/sqrt(horizon)*${rule === 'adam' ? 'm' : 'g'}/sqrt(v + eps)`,
    ].join('\n'),
    slots: {
      ...(rule === 'adam' ? { m: { kind: 'tensor' as const } } : {}),
      v: { kind: 'tensor', initial: initial === 'first' ? 0 : initial },
    },
    scalars: () => ({ horizon, beta1, beta2: 1 - forgetting / Math.sqrt(horizon), eps }),
  }),
  check: ({ forgetting, horizon }) =>
    forgetting > Math.sqrt(horizon)
      ? [{ path: 'config.forgetting', message: `expected at most the root of the horizon, ${Math.sqrt(horizon)}` }]
      : [],
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { horizon: 500, schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-4,
    },
  ],
})
