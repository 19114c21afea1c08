/** Ma, Yarats, "Quasi-hyperbolic momentum and Adam for deep learning", ICLR 2019, equations 3 and 4. */
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.001, min: 0, mutable: true, log: true, source: 'ours' }),
  momentum: real('Weight of the past in the momentum.', { default: 0.9, min: 0, below: 1, source: 'discover' }),
  nu: real('Weight of the momentum in a step; the rest is the plain gradient. 1 is SGD with a damped momentum.', {
    default: 0.7,
    min: 0,
    max: 1,
    source: 'paper, section 4',
  }),
}

export const qhm = {
  id: 'qhm',
  title: 'Quasi-hyperbolic momentum',
  summary: 'Steps along a weighted mean of the gradient and its momentum.',
  references: [
    {
      authors: 'J. Ma, D. Yarats',
      title: 'Quasi-hyperbolic momentum and Adam for deep learning',
      year: 2019,
      url: 'https://arxiv.org/abs/1810.06801',
    },
  ],
  fields,
  rule: ({ momentum, nu }: PresetConfig<typeof fields>) => ({
    text: 'v = momentum*v + (1 - momentum)*g\nx = x - lr*((1 - nu)*g + nu*v)',
    slots: { v: { kind: 'tensor' as const } },
    scalars: () => ({ momentum, nu }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 400, target: 1e-5 }],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(qhm)
