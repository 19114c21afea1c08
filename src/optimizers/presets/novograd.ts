/** Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of Deep Networks", 2019, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', { default: 0.01, min: 0, mutable: true, log: true, source: 'algorithm 1' }),
  beta1: real('Weight of the past direction.', { default: 0.95, min: 0, below: 1, source: 'algorithm 1' }),
  beta2: real('Decay of the mean of squared gradient norms.', {
    default: 0.98,
    min: 0,
    below: 1,
    source: 'algorithm 1',
  }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, min: 0, source: 'NVIDIA Jasper' }),
  gradientAveraging: field(z.boolean().default(false), 'Directions are averaged, not summed.', {
    source: 'NVIDIA Jasper',
  }),
  amsgrad: field(z.boolean().default(false), 'Divides by the largest second moment so far.', { source: 'section 3' }),
  weightDecay: real('Times x, added to the normalized gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'algorithm 1',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'novograd',
  title: 'NovoGrad',
  summary: 'Momentum of gradients that are divided by their norm, tensor by tensor: half of the memory of Adam.',
  references: [
    {
      authors:
        'B. Ginsburg, P. Castonguay, O. Hrinchuk, O. Kuchaiev, V. Lavrukhin, R. Leary, J. Li, H. Nguyen, Y. Zhang, J. M. Cohen',
      title: 'Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of Deep Networks',
      year: 2019,
      url: 'https://arxiv.org/abs/1905.11286',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, gradientAveraging, amsgrad, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      'square = norm(g)^2',
      // Both moments start from the first gradient.
      'v = t == 1 ? square : beta2*v + (1 - beta2)*square',
      ...(amsgrad ? ['vmax = max(vmax, v)'] : []),
      `u = ${ratio('g', amsgrad ? 'sqrt(vmax)' : 'sqrt(v)', eps)}${weightDecay > 0 ? ' + weightDecay*x' : ''}`,
      `m = t == 1 ? u : beta1*m + ${gradientAveraging ? '(1 - beta1)*u' : 'u'}`,
      'x = x - lr*m',
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'scalar' }, ...(amsgrad ? { vmax: { kind: 'scalar' as const } } : {}) },
    scalars: () => ({ beta1, beta2, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.02, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
})
