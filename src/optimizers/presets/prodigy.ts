/** Mishchenko, Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner", ICML 2024, algorithm 4. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { beta1, beta2, eps } = adamFields
const fields = {
  learningRate: real('Factor on the step size that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'section 5',
  }),
  beta1,
  beta2,
  eps,
  d0: real('First estimate of the distance; too small is safe.', { default: 1e-6, above: 0, source: 'section 5' }),
  dCoefficient: real('Factor on the estimate.', { default: 1, above: 0, source: 'konstmish/prodigy' }),
  growthRate: field(z.number().gt(1).optional(), 'Largest growth of the estimate per step; without it, any.', {
    source: 'konstmish/prodigy',
  }),
  biasCorrection: field(z.boolean().default(false), 'Corrects the moments for their start.', {
    source: 'konstmish/prodigy',
  }),
  weightDecay: real('Times the step size and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'konstmish/prodigy',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'prodigy',
  title: 'Prodigy',
  summary: 'Adam without a learning rate: it follows from an estimate of the distance to the solution, reported as d.',
  references: [
    {
      authors: 'K. Mishchenko, A. Defazio',
      title: 'Prodigy: An Expeditiously Adaptive Parameter-Free Learner',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.06101',
    },
  ],
  fields,
  rule: (config: PresetConfig<typeof fields>) => {
    const { beta1, beta2, eps, d0, dCoefficient, growthRate, biasCorrection, weightDecay } = config
    return {
      text: [
        'x0 = t == 1 ? x : x0',
        `e = d*lr${biasCorrection ? '*sqrt(1 - beta2^t)/(1 - beta1^t)' : ''}`,
        // Weights of the sums are relative to d0, which keeps them from underflow.
        'r = q*r + d/d0*e*dot(g, x0 - x, all)',
        's = q*s + d/d0*e*g',
        'm = beta1*m + (1 - beta1)*d*g',
        'v = beta2*v + (1 - beta2)*d^2*g^2',
        'length = sum(abs(s), all)',
        'bound = length > 0 ? dCoefficient*r/length : 0',
        `d = max(d, ${growthRate === undefined ? 'bound' : 'min(bound, d*growthRate)'})`,
        ...(weightDecay > 0 ? ['x = x - weightDecay*e*x'] : []),
        `x = x - e*${eps > 0 ? 'm/(sqrt(v) + d*eps)' : '(v > 0 ? m/sqrt(v) : 0)'}`,
        'report d = d',
      ].join('\n'),
      slots: {
        ...{ x0: { kind: 'tensor' }, m: { kind: 'tensor' }, v: { kind: 'tensor' }, s: { kind: 'tensor' } },
        ...{ d: { kind: 'global', initial: d0 }, r: { kind: 'global' } },
      },
      scalars: () => ({
        ...{ beta1, beta2, q: Math.sqrt(beta2), eps, d0, dCoefficient, weightDecay },
        ...(growthRate === undefined ? {} : { growthRate }),
      }),
    }
  },
  recipes: [
    { problem: 'quadratic', config: { schedule: { id: 'linear', steps: 600 } }, maxEvaluations: 600, target: 1e-3 },
  ],
})
