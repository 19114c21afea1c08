/** Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal Rate", NeurIPS 2024, algorithm 2. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, beta1 } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2: real('Decay of the mean of squared gradients.', {
    default: 0.9999,
    min: 0,
    below: 1,
    source: 'algorithm 2',
  }),
  eps: real('Least root of the second moment.', { default: 1e-6, above: 0, source: 'algorithm 2' }),
  clip: field(z.boolean().default(true), 'Clips normalized gradients to t^(1/4), t from 0.', {
    source: 'section 4.2',
  }),
  weightDecay: real('Strength of the weight decay.', { default: 0, min: 0, mutable: true, source: 'iShohei220/adopt' }),
  decay: field(
    z.enum(['coupled', 'decoupled']).default('coupled'),
    'coupled: times x, added to the gradient. decoupled: times lr and x, subtracted from x.',
    { source: 'iShohei220/adopt' },
  ),
}

export const method = gradientMethod<typeof fields>({
  id: 'adopt',
  title: 'ADOPT',
  summary:
    'Adam that divides each gradient by the second moment of those before it, and takes momentum after: it converges ' +
    'for any beta2. The first gradient sets the scale and moves nothing.',
  references: [
    {
      authors:
        'S. Taniguchi, K. Harada, G. Minegishi, Y. Oshima, S. C. Jeong, G. Nagahara, T. Iiyama, M. Suzuki, Y. Iwasawa, Y. Matsuo',
      title: 'ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal Rate',
      year: 2024,
      url: 'https://arxiv.org/abs/2411.02853',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, clip, weightDecay, decay }: PresetConfig<typeof fields>) => {
    const n = 'g/max(sqrt(v), eps)'
    return {
      text: [
        ...(weightDecay > 0 ? [decay === 'coupled' ? 'g = g + decay*x' : 'x = x - lr*decay*x'] : []),
        `m = t > 1 ? beta1*m + (1 - beta1)*${clip ? `clip(${n}, -limit, limit)` : n} : m`,
        'x = x - lr*m',
        'v = t > 1 ? beta2*v + (1 - beta2)*g^2 : g^2',
      ].join('\n'),
      slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' } },
      scalars: ({ t }: At) => ({
        beta1,
        beta2,
        eps,
        decay: decay === 'decoupled' && t === 1 ? 0 : weightDecay,
        ...(clip ? { limit: (t - 1) ** 0.25 } : {}),
      }),
    }
  },
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, beta2: 0.99, schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-4,
    },
  ],
})
