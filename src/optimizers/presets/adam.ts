/** Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1. */
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

export const adamFields = {
  learningRate: real('Step size.', { default: 0.001, min: 0, mutable: true, log: true, source: 'algorithm 1' }),
  beta1: real('Decay of the mean of gradients.', { default: 0.9, min: 0, below: 1, source: 'algorithm 1' }),
  beta2: real('Decay of the mean of squared gradients.', { default: 0.999, min: 0, below: 1, source: 'algorithm 1' }),
  beta1Decay: real('Factor on beta1 after each step, lambda of the regret analysis.', {
    default: 1,
    above: 0,
    max: 1,
    source: 'section 4; 1 is algorithm 1',
  }),
  eps: real('Added to the root of the second moment; with 0, elements that never had a gradient stay.', {
    default: 1e-8,
    min: 0,
    source: 'algorithm 1',
  }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.Adam',
  }),
}

/** The mean of gradients, with beta1 as it has decayed by this step. */
export const momentum = (beta1Decay: number): string =>
  beta1Decay < 1 ? 'b = beta1*beta1Decay^(t - 1)\nm = b*m + (1 - b)*g' : 'm = beta1*m + (1 - beta1)*g'

/** `a/(b + eps)`, with 0 for 0/0 where eps is 0. */
export const ratio = (a: string, b: string, eps: number): string =>
  eps > 0 ? `${a}/(${b} + eps)` : `(${b} > 0 ? ${a}/${b} : 0)`

export function adamRule(config: PresetConfig<typeof adamFields>, decay: string) {
  const { beta1, beta2, beta1Decay, eps, weightDecay } = config
  return {
    text: [
      ...(weightDecay > 0 ? [decay] : []),
      momentum(beta1Decay),
      'v = beta2*v + (1 - beta2)*g^2',
      `x = x - lr*${ratio('(m/(1 - beta1^t))', 'sqrt(v/(1 - beta2^t))', eps)}`,
    ].join('\n'),
    slots: { m: { kind: 'tensor' as const }, v: { kind: 'tensor' as const } },
    scalars: () => ({ beta1, beta2, beta1Decay, eps, weightDecay }),
  }
}

export const adam = {
  id: 'adam',
  title: 'Adam',
  summary: 'Steps by the mean of gradients over the root of the mean of their squares, both corrected for their start.',
  references: [
    {
      authors: 'D. P. Kingma, J. Ba',
      title: 'Adam: A Method for Stochastic Optimization',
      year: 2015,
      url: 'https://arxiv.org/abs/1412.6980',
    },
  ],
  fields: adamFields,
  rule: (config) => adamRule(config, 'g = g + weightDecay*x'),
  invariances: ['translation'],
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 300, target: 1e-6 },
    { problem: 'rosenbrock', config: { learningRate: 0.02 }, maxEvaluations: 3000, target: 1e-4 },
  ],
} satisfies Preset<typeof adamFields>

export const method = gradientMethod<typeof adamFields>(adam)
