/** Defazio et al., "The Road Less Scheduled", NeurIPS 2024, algorithm 1 (AdamW) and equations 3 to 5 (SGD). */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', { default: 0.0025, min: 0, mutable: true, log: true, source: 'section 4.1' }),
  base: field(z.enum(['adamw', 'sgd']).default('adamw'), 'What divides the gradient.', { source: 'section 4' }),
  beta1: real('Weight of the average in the point that is asked.', {
    default: 0.9,
    above: 0,
    below: 1,
    source: 'algorithm 1',
  }),
  beta2: real('Decay of the mean of squared gradients.', { default: 0.999, min: 0, below: 1, source: 'algorithm 1' }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, min: 0, source: 'algorithm 1' }),
  power: real('Power of the step in the weights of the average.', {
    default: 0,
    min: 0,
    source: 'facebookresearch/schedule_free',
  }),
  weightDecay: real('Times x, added to the direction.', { default: 0, min: 0, mutable: true, source: 'algorithm 1' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'schedule-free',
  title: 'Schedule-free',
  summary:
    'AdamW or SGD that serves an average of its iterates and asks between the two: as good as a decaying rate, without a ' +
    'last step set in advance. The schedule is for warm-up.',
  references: [
    {
      authors: 'A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky',
      title: 'The Road Less Scheduled',
      year: 2024,
      url: 'https://arxiv.org/abs/2405.15682',
    },
  ],
  fields,
  rule: ({ base, beta1, beta2, eps, power, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      'z = t == 1 ? x : z',
      'answer = t == 1 ? x : answer',
      ...(base === 'adamw'
        ? ['v = beta2*v + (1 - beta2)*g^2', `d = ${ratio('g', 'sqrt(v/(1 - beta2^t))', eps)}`]
        : ['d = g']),
      `z = z - lr*${weightDecay > 0 ? '(d + weightDecay*x)' : 'd'}`,
      // Steps of a warm-up weigh less.
      'largest = max(largest, lr)',
      `weight = largest^2${power > 0 ? '*t^power' : ''}`,
      'total = total + weight',
      'answer = answer + (total > 0 ? weight/total : 0)*(z - answer)',
      'x = (1 - beta1)*z + beta1*answer',
    ].join('\n'),
    slots: {
      ...{ z: { kind: 'tensor' }, answer: { kind: 'tensor' }, largest: { kind: 'global' }, total: { kind: 'global' } },
      ...(base === 'adamw' ? { v: { kind: 'tensor' as const } } : {}),
    },
    answer: 'answer',
    scalars: () => ({ beta1, beta2, eps, weightDecay, ...(power > 0 ? { power } : {}) }),
  }),
  invariances: ['translation'],
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-3 },
    { problem: 'quadratic', config: { learningRate: 0.15, base: 'sgd' }, maxEvaluations: 500, target: 1e-3 },
  ],
})
