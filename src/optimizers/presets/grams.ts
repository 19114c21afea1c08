/** Cao, Li, Song, "Grams: Gradient Descent with Adaptive Momentum Scaling", 2024, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2 } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps: real('Added to the root of the second moment.', { default: 1e-6, min: 0, source: 'Gunale0926/Grams' }),
  biasCorrection: field(z.boolean().default(true), 'Corrects both moments for their start.', { source: 'algorithm 1' }),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'Gunale0926/Grams',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'grams',
  title: 'Grams',
  summary:
    'Moves against the sign of the gradient, as far as Adam would move. The transform `grams` does it for any rule.',
  references: [
    {
      authors: 'Y. Cao, X. Li, Z. Song',
      title: 'Grams: Gradient Descent with Adaptive Momentum Scaling',
      year: 2024,
      url: 'https://arxiv.org/abs/2412.17107',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, biasCorrection, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      `step = lr${biasCorrection ? '*sqrt(1 - beta2^t)/(1 - beta1^t)' : ''}`,
      `x = x - step*sign(g)*${ratio('abs(m)', 'sqrt(v)', eps)}`,
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
