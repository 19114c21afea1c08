/** You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR 2020, algorithm 2. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2 } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps: real('Added to the root of the second moment.', { default: 1e-6, min: 0, source: 'section 4' }),
  weightDecay: real('Times x, added to the direction.', { default: 0.01, min: 0, mutable: true, source: 'section 4' }),
  clip: field(z.number().positive().optional(), 'Largest norm of a tensor that its steps grow with.', {
    source: 'section 4: phi',
  }),
}

export const lamb = {
  id: 'lamb',
  title: 'LAMB',
  summary: 'Adam whose step of a tensor is scaled to the norm of the tensor: for large batches.',
  references: [
    {
      authors:
        'Y. You, J. Li, S. Reddi, J. Hseu, S. Kumar, S. Bhojanapalli, X. Song, J. Demmel, K. Keutzer, C.-J. Hsieh',
      title: 'Large Batch Optimization for Deep Learning: Training BERT in 76 minutes',
      year: 2020,
      url: 'https://arxiv.org/abs/1904.00962',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, weightDecay, clip }: PresetConfig<typeof fields>) => ({
    text: [
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      `u = ${ratio('(m/(1 - beta1^t))', 'sqrt(v/(1 - beta2^t))', eps)} + weightDecay*x`,
      `length = ${clip === undefined ? 'norm(x)' : 'min(norm(x), largest)'}`,
      'direction = norm(u)',
      'x = x - lr*(length > 0 and direction > 0 ? length/direction : 1)*u',
    ].join('\n'),
    slots: { m: { kind: 'tensor' as const }, v: { kind: 'tensor' as const } },
    scalars: () => ({ beta1, beta2, eps, weightDecay, ...(clip === undefined ? {} : { largest: clip }) }),
  }),
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, weightDecay: 0, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(lamb)
