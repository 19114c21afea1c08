/**
 * Zhang, Cutkosky, "Random Scaling and Momentum for Non-smooth Non-convex Optimization", ICML 2024, algorithm 1 with
 * regularized online gradient descent, written as momentum: beta/(1 + eta*mu) is `momentum`, momentum*eta/(1 - momentum)
 * is the learning rate.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.1, min: 0, mutable: true, log: true, source: 'section 5' }),
  momentum: real('Weight of the past direction.', { default: 0.99, min: 0, below: 1, source: 'section 5' }),
  radius: field(z.number().positive().optional(), 'Longest step, before it is scaled; all tensors as one vector.', {
    source: 'section 3.2',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'rs-sgdm',
  title: 'Randomly scaled SGD with momentum',
  summary:
    'SGD with momentum whose every step is multiplied by an exponential random number: optimal without smoothness or ' +
    'convexity. The transform `random-scaling` does it for any rule.',
  references: [
    {
      authors: 'Q. Zhang, A. Cutkosky',
      title: 'Random Scaling and Momentum for Non-smooth Non-convex Optimization',
      year: 2024,
      url: 'https://arxiv.org/abs/2405.09742',
    },
  ],
  fields,
  defaults: { transforms: [{ id: 'random-scaling' }], averaging: { id: 'ema', decay: 0.99 } },
  rule: ({ momentum, radius }: PresetConfig<typeof fields>) => ({
    text: [
      'm = momentum*m + (1 - momentum)*g',
      ...(radius === undefined ? [] : ['m = m*min(1, radius/max(lr*norm(m, all), radius))']),
      'x = x - lr*m',
    ].join('\n'),
    slots: { m: { kind: 'tensor' } },
    scalars: () => ({ momentum, ...(radius === undefined ? {} : { radius }) }),
  }),
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, momentum: 0.9, averaging: { id: 'none' } },
      maxEvaluations: 1000,
      target: 1e-6,
    },
  ],
})
