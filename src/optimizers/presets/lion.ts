/** Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size: what every element moves.', {
    default: 1e-4,
    min: 0,
    mutable: true,
    log: true,
    source: 'optax.lion',
  }),
  beta1: real('Weight of the momentum in the direction.', { default: 0.9, min: 0, below: 1, source: 'algorithm 2' }),
  beta2: real('Decay of the momentum.', { default: 0.99, min: 0, below: 1, source: 'algorithm 2' }),
  weightDecay: real('Times lr and x, subtracted from x.', { default: 0, min: 0, mutable: true, source: 'ours' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'lion',
  title: 'Lion',
  summary: 'Steps by the sign of a mix of momentum and gradient; one slot per parameter.',
  references: [
    {
      authors:
        'X. Chen, C. Liang, D. Huang, E. Real, K. Wang, Y. Liu, H. Pham, X. Dong, T. Luong, C.-J. Hsieh, Y. Lu, Q. V. Le',
      title: 'Symbolic Discovery of Optimization Algorithms',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.06675',
    },
  ],
  fields,
  rule: ({ beta1, beta2, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      'c = beta1*m + (1 - beta1)*g',
      weightDecay > 0 ? 'x = x - lr*(sign(c) + weightDecay*x)' : 'x = x - lr*sign(c)',
      'm = beta2*m + (1 - beta2)*g',
    ].join('\n'),
    slots: { m: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, weightDecay }),
  }),
  invariances: ['translation', 'gradient-scale'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
