/** Pagliardini, Ablin, Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", ICLR 2025, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2, eps } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  beta3: real('Decay of the slow mean of gradients.', { default: 0.9999, above: 0, below: 1, source: 'section 3' }),
  alpha: real('Weight of the slow mean.', { default: 5, min: 0, source: 'section 3' }),
  warmup: field(z.int().min(1).optional(), 'Steps over which alpha and beta3 rise to their values.', {
    source: 'section 3: T_alpha, T_beta3',
  }),
  weightDecay: real('Times lr and x, subtracted from x.', { default: 0, min: 0, mutable: true, source: 'algorithm 1' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'ademamix',
  title: 'AdEMAMix',
  summary: 'AdamW with a second, slow mean of gradients: old gradients stay useful for tens of thousands of steps.',
  references: [
    {
      authors: 'M. Pagliardini, P. Ablin, D. Grangier',
      title: 'The AdEMAMix Optimizer: Better, Faster, Older',
      year: 2024,
      url: 'https://arxiv.org/abs/2409.03137',
    },
  ],
  fields,
  rule: ({ beta1, beta2, beta3, alpha, eps, warmup, weightDecay }: PresetConfig<typeof fields>) => {
    /** beta3 rises so that the half-life of the mean grows linearly (appendix A.1). */
    const slow = (t: number) => {
      const share = warmup === undefined ? 1 : Math.min(t / warmup, 1)
      const [from, to] = [Math.log(Math.max(beta1, Number.MIN_VALUE)), Math.log(beta3)]
      return { beta3: Math.min(Math.exp((from * to) / ((1 - share) * to + share * from)), beta3), alpha: share * alpha }
    }
    return {
      text: [
        'm = beta1*m + (1 - beta1)*g',
        'old = beta3*old + (1 - beta3)*g',
        'v = beta2*v + (1 - beta2)*g^2',
        `d = ${ratio('(m/(1 - beta1^t) + alpha*old)', 'sqrt(v/(1 - beta2^t))', eps)}`,
        `x = x - lr*${weightDecay > 0 ? '(d + weightDecay*x)' : 'd'}`,
      ].join('\n'),
      slots: { m: { kind: 'tensor' }, old: { kind: 'tensor' }, v: { kind: 'tensor' } },
      scalars: ({ t }: At) => ({ beta1, beta2, eps, weightDecay, ...slow(t) }),
    }
  },
  invariances: ['translation'],
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1, alpha: 1, beta3: 0.99 }, maxEvaluations: 500, target: 1e-4 },
  ],
})
