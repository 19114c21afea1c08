/** Decoupled: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Coupled: the gradient of an L2 penalty. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineTransform } from './transform.js'

export const weightDecay = defineTransform({
  id: 'weight-decay',
  summary: 'Shrinks the parameters: `coupled` adds rate*x to the gradient, `decoupled` subtracts lr*rate*x from x.',
  fields: {
    rate: real('Strength of the decay.', { default: 0.01, min: 0, source: 'torch.optim.AdamW' }),
    mode: field(z.enum(['coupled', 'decoupled']).default('decoupled'), 'Whether the decay passes through the rule.'),
  },
  piece: ({ rate, mode }) => ({
    text: mode === 'coupled' ? 'g = g + decay*x' : 'x = x - lr*decay*x',
    scalars: () => ({ decay: rate }),
  }),
})
