/** Tieleman, Hinton, "Lecture 6.5: RMSProp", Coursera 2012; centred: Graves, "Generating Sequences With Recurrent Neural Networks", 2013. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.01, min: 0, mutable: true, log: true, source: 'torch.optim.RMSprop' }),
  decay: real('Decay of the mean of squared gradients.', {
    default: 0.99,
    min: 0,
    below: 1,
    source: 'torch.optim.RMSprop; 0.9 in the lecture',
  }),
  eps: real('Added to the second moment or to its root.', { default: 1e-8, above: 0, source: 'torch.optim.RMSprop' }),
  epsOn: field(
    z.enum(['root', 'square']).default('root'),
    'Whether eps is added to the root of the second moment, as in torch, or under it, as in the literature.',
    { source: 'torch.optim.RMSprop' },
  ),
  centered: field(z.boolean().default(false), 'Divides by the standard deviation of gradients.', {
    source: 'torch.optim.RMSprop',
  }),
  momentum: real('Weight of the past direction; 0 keeps none.', { default: 0, min: 0, source: 'torch.optim.RMSprop' }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.RMSprop',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'rmsprop',
  title: 'RMSProp',
  summary: 'SGD divided, element by element, by the root of the running mean of squared gradients.',
  references: [
    {
      authors: 'T. Tieleman, G. Hinton',
      title: 'Lecture 6.5 - RMSProp: Divide the gradient by a running average of its recent magnitude',
      year: 2012,
    },
  ],
  fields,
  rule: ({ decay, eps, epsOn, centered, momentum, weightDecay }: PresetConfig<typeof fields>) => {
    const square = centered ? '(v - average^2)' : 'v'
    const direction = `g/${epsOn === 'root' ? `(sqrt(${square}) + eps)` : `sqrt(${square} + eps)`}`
    return {
      text: [
        ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
        'v = decay*v + (1 - decay)*g^2',
        ...(centered ? ['average = decay*average + (1 - decay)*g'] : []),
        ...(momentum > 0 ? [`u = momentum*u + ${direction}`, 'x = x - lr*u'] : [`x = x - lr*${direction}`]),
      ].join('\n'),
      slots: {
        v: { kind: 'tensor' },
        ...(centered ? { average: { kind: 'tensor' as const } } : {}),
        ...(momentum > 0 ? { u: { kind: 'tensor' as const } } : {}),
      },
      scalars: () => ({ decay, eps, momentum, weightDecay }),
    }
  },
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
