/** Ding, Ren, Luo, Sun, "An Adaptive and Momental Bound Method for Stochastic Learning", 2019, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, beta1, beta2, eps } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  beta3: real('Decay of the mean of learning rates.', { default: 0.999, min: 0, below: 1, source: 'algorithm 1' }),
  epsOn: field(
    z.enum(['root', 'corrected-root']).default('root'),
    'Whether eps is added to the root of the second moment, as in the authors’ code, or of the corrected one, as in the paper.',
    { source: 'lancopku/AdaMod' },
  ),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'lancopku/AdaMod',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'adamod',
  title: 'AdaMod',
  summary: 'Adam whose learning rates, element by element, are capped by their own running mean: a warm-up by itself.',
  references: [
    {
      authors: 'J. Ding, X. Ren, R. Luo, X. Sun',
      title: 'An Adaptive and Momental Bound Method for Stochastic Learning',
      year: 2019,
      url: 'https://arxiv.org/abs/1910.12249',
    },
  ],
  fields,
  rule: ({ beta1, beta2, beta3, eps, epsOn, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      epsOn === 'root'
        ? 'a = lr*sqrt(1 - beta2^t)/(1 - beta1^t)/(sqrt(v) + eps)'
        : 'a = lr/(1 - beta1^t)/(sqrt(v/(1 - beta2^t)) + eps)',
      's = beta3*s + (1 - beta3)*a',
      'x = x - min(a, s)*m',
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' }, s: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, beta3, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1, beta3: 0.9 }, maxEvaluations: 300, target: 1e-6 }],
})
