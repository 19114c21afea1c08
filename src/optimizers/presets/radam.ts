/** Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, algorithm 2. */
import type { At } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { rectification } from './adabelief.js'
import { adamFields } from './adam.js'

const { beta1Decay: _, ...fields } = adamFields

export const method = gradientMethod<typeof fields>({
  id: 'radam',
  title: 'RAdam',
  summary: 'Adam whose first steps are those of momentum, and later ones are rectified: a warm-up by itself.',
  references: [
    {
      authors: 'L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han',
      title: 'On the Variance of the Adaptive Learning Rate and Beyond',
      year: 2020,
      url: 'https://arxiv.org/abs/1908.03265',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      'mhat = m/(1 - beta1^t)',
      'x = x - lr*(r > 0 ? r*mhat/(sqrt(v) + eps) : mhat)',
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' } },
    scalars: (at: At) => ({ beta1, beta2, eps, weightDecay, r: rectification(beta2, at) }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 800, target: 1e-6 }],
})
