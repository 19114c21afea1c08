/** Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016, algorithm 2. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { beta1, beta2, eps, weightDecay } = adamFields
const fields = {
  learningRate: real('Step size.', { default: 0.002, min: 0, mutable: true, log: true, source: 'torch.optim.NAdam' }),
  beta1,
  beta2,
  eps,
  weightDecay,
  momentumSchedule: field(
    z.boolean().default(true),
    'The momentum of step t is beta1*(1 - 0.96^(t*momentumDecay)/2). Without it, beta1, in the short form of Ruder 2016.',
    { source: 'algorithm 2' },
  ),
  momentumDecay: real('How fast the momentum rises.', { default: 0.004, min: 0, source: 'section 5.4' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'nadam',
  title: 'NAdam',
  summary: 'Adam with the momentum of Nesterov: the mean of gradients looks one step ahead.',
  references: [
    {
      authors: 'T. Dozat',
      title: 'Incorporating Nesterov Momentum into Adam',
      year: 2016,
      url: 'https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, weightDecay, momentumSchedule, momentumDecay }: PresetConfig<typeof fields>) => {
    const mu = (t: number) => (momentumSchedule ? beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay)) : beta1)
    return {
      text: [
        ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
        'm = beta1*m + (1 - beta1)*g',
        'v = beta2*v + (1 - beta2)*g^2',
        ...(momentumSchedule
          ? ['product = product*mu', 'mbar = (1 - mu)/(1 - product)*g + next/(1 - product*next)*m']
          : ['mbar = (mu*m + (1 - mu)*g)/(1 - beta1^t)']),
        'x = x - lr*mbar/(sqrt(v/(1 - beta2^t)) + eps)',
      ].join('\n'),
      slots: {
        m: { kind: 'tensor' },
        v: { kind: 'tensor' },
        ...(momentumSchedule ? { product: { kind: 'global' as const, initial: 1 } } : {}),
      },
      scalars: ({ t }) => ({ beta1, beta2, eps, weightDecay, mu: mu(t), next: mu(t + 1) }),
    }
  },
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
})
