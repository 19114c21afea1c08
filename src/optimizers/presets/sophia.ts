/**
 * Liu, Li, Hall, Liang, Ma, "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training", ICLR
 * 2024, algorithm 3; algorithms 1 and 2 are the estimators of the driver `diagonal`.
 */
import type { Piece } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size, and the most that an element moves.', {
    default: 6e-4,
    min: 0,
    mutable: true,
    log: true,
    source: 'section 3.1: 0.8 of that of AdamW',
  }),
  beta1: real('Decay of the mean of gradients.', { default: 0.96, min: 0, below: 1, source: 'section 3.1' }),
  beta2: real('Decay of the mean of curvatures.', { default: 0.99, min: 0, below: 1, source: 'section 3.1' }),
  gamma: real('Factor on the curvature: small values clip more elements, large ones fewer.', {
    default: 0.01,
    above: 0,
    source: 'section 3.1',
  }),
  eps: real('Least curvature, after gamma; where it is not met the step is the sign of the momentum.', {
    default: 1e-12,
    above: 0,
    source: 'algorithm 3',
  }),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0.2,
    min: 0,
    mutable: true,
    source: 'section 3.1',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({ beta1, beta2, gamma, eps, weightDecay }: Config): Piece {
  return {
    text: [
      'm = beta1*m + (1 - beta1)*g',
      'h = age == 0 ? beta2*h + (1 - beta2)*diagonal : h',
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      'newton = m/max(gamma*h, eps)',
      'x = x - lr*clip(newton, -1, 1)',
      'report unclipped = sum(abs(newton) < 1, all)/sizeAll',
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, h: { kind: 'tensor' } },
    inputs: ['diagonal'],
    scalars: ({ reports }) => ({ beta1, beta2, gamma, eps, weightDecay, age: reports.curvatureAge ?? 0 }),
  }
}

export const sophia = {
  id: 'sophia',
  title: 'Sophia-H',
  summary:
    'Momentum over a running mean of the Hessian diagonal, estimated every few steps, clipped element by element. Reports ' +
    'the share of elements that are not clipped, which is to be 0.1 to 0.5.',
  references: [
    {
      authors: 'H. Liu, Z. Li, D. Hall, P. Liang, T. Ma',
      title: 'Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training',
      year: 2024,
      url: 'https://arxiv.org/abs/2305.14342',
    },
  ],
  fields,
  defaults: { driver: { id: 'diagonal', probes: 'normal', every: 10 } },
  rule,
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.5, gamma: 1, weightDecay: 0, beta1: 0.9 },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(sophia)
