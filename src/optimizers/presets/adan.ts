/** Xie, Zhou, Li, Lin, Yan, "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", 2022, algorithm 1. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const decay = { min: 0, below: 1, source: 'sail-sg/Adan; the paper has 1 less these' }
const fields = {
  learningRate: real('Step size.', { default: 1e-3, min: 0, mutable: true, log: true, source: 'sail-sg/Adan' }),
  beta1: real('Decay of the mean of gradients.', { default: 0.98, ...decay }),
  beta2: real('Decay of the mean of their differences.', { default: 0.92, ...decay }),
  beta3: real('Decay of the mean of squares.', { default: 0.99, ...decay }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, above: 0, source: 'sail-sg/Adan' }),
  weightDecay: real('Times lr and x, in a proximal step.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'sail-sg/Adan',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'adan',
  title: 'Adan',
  summary: 'Adam with the momentum of Nesterov, from differences of gradients.',
  references: [
    {
      authors: 'X. Xie, P. Zhou, H. Li, Z. Lin, S. Yan',
      title: 'Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models',
      year: 2022,
      url: 'https://arxiv.org/abs/2208.06677',
    },
  ],
  fields,
  rule: ({ beta1, beta2, beta3, eps, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      'd = t == 1 ? 0 : g - last',
      'last = g',
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*d',
      'n = beta3*n + (1 - beta3)*(g + beta2*d)^2',
      'x = x - lr*(m/(1 - beta1^t) + beta2*v/(1 - beta2^t))/(sqrt(n/(1 - beta3^t)) + eps)',
      ...(weightDecay > 0 ? ['x = x/(1 + lr*weightDecay)'] : []),
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' }, n: { kind: 'tensor' }, last: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, beta3, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 800 } },
      maxEvaluations: 800,
      target: 1e-3,
    },
  ],
})
