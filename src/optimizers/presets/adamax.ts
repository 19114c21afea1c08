/** Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 2: Adam in the infinity norm. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adam, adamFields, momentum } from './adam.js'

const fields = {
  ...adamFields,
  learningRate: real('Step size.', { default: 0.002, min: 0, mutable: true, log: true, source: 'algorithm 2' }),
  eps: real('Added to |g| before the maximum.', { default: 0, min: 0, source: 'algorithm 2 has none; torch has 1e-8' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'adamax',
  title: 'AdaMax',
  summary: 'Adam with a decaying maximum of |g| in place of the root of the mean of squares.',
  references: adam.references,
  fields,
  rule: ({ beta1, beta2, beta1Decay, eps, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      momentum(beta1Decay),
      `u = max(beta2*u, abs(g)${eps > 0 ? ' + eps' : ''})`,
      // Elements that never had a gradient stay.
      'x = x - (lr/(1 - beta1^t))*(u > 0 ? m/u : 0)',
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, u: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, beta1Decay, eps, weightDecay }),
  }),
  invariances: ['translation', 'gradient-scale'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
})
