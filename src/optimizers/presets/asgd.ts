/** Polyak, Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in the form of Bottou's SGD 2.0 and torch.optim.ASGD. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('First step size.', {
    default: 0.01,
    min: 0,
    mutable: true,
    log: true,
    source: 'torch.optim.ASGD',
  }),
  lambda: real('Decay: of x with every step, and of the step size.', {
    default: 1e-4,
    min: 0,
    source: 'torch.optim.ASGD',
  }),
  alpha: real('Power of the decay of the step size.', { default: 0.75, min: 0, source: 'torch.optim.ASGD' }),
  averageFrom: field(z.int().min(0).default(0), 'Steps ahead of the average, which is the iterate until then.', {
    source: 'ours; 1,000,000 in torch',
  }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.ASGD',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'asgd',
  title: 'Averaged SGD',
  summary: 'SGD with a slowly falling step size that serves the mean of its iterates.',
  references: [
    {
      authors: 'B. T. Polyak, A. B. Juditsky',
      title: 'Acceleration of Stochastic Approximation by Averaging',
      year: 1992,
      url: 'https://doi.org/10.1137/0330046',
    },
  ],
  fields,
  rule: ({ lambda, alpha, averageFrom, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'x = x*(1 - lambda*eta) - eta*g',
      'answer = weight == 1 ? x : answer + weight*(x - answer)',
    ].join('\n'),
    slots: { answer: { kind: 'tensor' } },
    scalars: ({ t, learningRate }: At) => ({
      lambda,
      weightDecay,
      eta: learningRate / (1 + lambda * learningRate * (t - 1)) ** alpha,
      weight: 1 / Math.max(1, t - 1 - averageFrom),
    }),
    answer: 'answer',
  }),
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.15 }, maxEvaluations: 2000, target: 1e-3 }],
})
