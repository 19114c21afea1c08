/** Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS 2020, algorithm 2. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, beta1, beta2 } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps: real('Added to the second moment at every step, and to its root.', {
    default: 1e-16,
    min: 0,
    source: 'adabelief-pytorch; 1e-8 in the experiments on images of the paper',
  }),
  weightDecay: real('Strength of the weight decay.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'adabelief-pytorch',
  }),
  second: field(
    z.enum(['belief', 'momentum']).default('belief'),
    'What is squared: the gradient less its mean, or with AdaM3 the mean.',
    { source: 'algorithm 2' },
  ),
  decay: field(
    z.enum(['coupled', 'decoupled', 'fixed']).default('decoupled'),
    'coupled: added to the gradient. decoupled: x*(1 - lr*weightDecay). fixed: x*(1 - weightDecay).',
    { source: 'adabelief-pytorch' },
  ),
  rectify: field(
    z.boolean().default(false),
    'Rectifies the variance of the first steps as RAdam does; steps before that are those of momentum.',
    { source: 'algorithm 2 does not; the package does' },
  ),
  amsbound: field(z.boolean().default(false), 'Divides by the largest second moment so far.', { source: 'appendix' }),
}
type Config = PresetConfig<typeof fields>

/** The factor of RAdam (Liu et al. 2020, algorithm 2); 0 where the variance is not tractable yet. */
export function rectification(beta2: number, { t }: At): number {
  const limit = 2 / (1 - beta2) - 1
  const power = beta2 ** t
  const rho = limit - (2 * t * power) / (1 - power)
  if (rho < 5) return 0
  return Math.sqrt(((1 - power) * (rho - 4) * (rho - 2) * limit) / ((limit - 4) * (limit - 2) * rho))
}

function rule({ beta1, beta2, eps, weightDecay, second, decay, rectify, amsbound }: Config) {
  const decays = {
    coupled: 'g = g + weightDecay*x',
    decoupled: 'x = x*(1 - lr*weightDecay)',
    fixed: 'x = x*(1 - weightDecay)',
  }
  const s = amsbound ? 'smax' : 's'
  return {
    text: [
      ...(weightDecay > 0 ? [decays[decay]] : []),
      'm = beta1*m + (1 - beta1)*g',
      `s = beta2*s + (1 - beta2)*${second === 'belief' ? '(g - m)' : 'm'}^2 + eps`,
      ...(amsbound ? ['smax = max(smax, s)'] : []),
      'mhat = m/(1 - beta1^t)',
      rectify
        ? `x = x - lr*(r > 0 ? r*mhat/(sqrt(${s}) + eps) : mhat)`
        : `x = x - lr*mhat/(sqrt(${s}/(1 - beta2^t)) + eps)`,
    ].join('\n'),
    slots: {
      m: { kind: 'tensor' as const },
      s: { kind: 'tensor' as const },
      ...(amsbound ? { smax: { kind: 'tensor' as const } } : {}),
    },
    scalars: (at: At) => ({ beta1, beta2, eps, weightDecay, ...(rectify ? { r: rectification(beta2, at) } : {}) }),
  }
}

export const adabelief = {
  id: 'adabelief',
  title: 'AdaBelief',
  summary: 'Adam whose second moment is the variance of the gradient about its mean: long steps where gradients agree.',
  references: [
    {
      authors: 'J. Zhuang, T. Tang, Y. Ding, S. Tatikonda, N. Dvornek, X. Papademetris, J. S. Duncan',
      title: 'AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients',
      year: 2020,
      url: 'https://arxiv.org/abs/2010.07468',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(adabelief)
