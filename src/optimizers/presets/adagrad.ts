/** Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 2011. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', { default: 0.01, min: 0, mutable: true, log: true, source: 'torch.optim.Adagrad' }),
  initial: real('Sum of squared gradients at the start.', { default: 0, min: 0, source: 'torch.optim.Adagrad' }),
  rateDecay: real('The rate is divided by 1 + rateDecay*(t - 1).', {
    default: 0,
    min: 0,
    source: 'torch.optim.Adagrad',
  }),
  eps: real('Added to the sum or to its root.', { default: 1e-10, min: 0, source: 'torch.optim.Adagrad' }),
  epsOn: field(
    z.enum(['root', 'square']).default('root'),
    'Whether eps is added to the root of the sum, as in torch, or under it, as in the literature.',
    { source: 'torch.optim.Adagrad' },
  ),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.Adagrad',
  }),
}

export const adagrad = {
  id: 'adagrad',
  title: 'AdaGrad',
  summary: 'SGD divided, element by element, by the root of the sum of squared gradients.',
  references: [
    {
      authors: 'J. Duchi, E. Hazan, Y. Singer',
      title: 'Adaptive Subgradient Methods for Online Learning and Stochastic Optimization',
      year: 2011,
      url: 'https://jmlr.org/papers/v12/duchi11a.html',
    },
  ],
  fields,
  rule: ({ initial, rateDecay, eps, epsOn, weightDecay, ball }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'G = G + g^2',
      `x = x - lr/(1 + rateDecay*(t - 1))*${epsOn === 'root' ? ratio('g', 'sqrt(G)', eps) : ratio('g', 'sqrt(G + eps)', 0)}`,
      ...(ball === undefined ? [] : ['metric = sqrt(G)']),
    ].join('\n'),
    slots: { G: { kind: 'tensor' as const, initial } },
    scalars: () => ({ rateDecay, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 1 }, maxEvaluations: 500, target: 1e-6 }],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(adagrad)
