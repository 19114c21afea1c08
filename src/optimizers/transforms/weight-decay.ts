/** Decoupled: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Coupled: the gradient of an L2 penalty. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { defineTransform } from './transform.js'

const fields = {
  rate: real('Strength of the decay.', { default: 0.01, min: 0, source: 'torch.optim.AdamW' }),
  mode: field(z.enum(['coupled', 'decoupled']).default('decoupled'), 'Whether the decay passes through the rule.'),
  tensors: field(
    z.union([z.enum(['all', 'matrices']), z.array(z.string()).min(1)]).default('all'),
    'What decays: all tensors, those of two or more axes (no biases, no norms), or those of these names.',
    { source: 'ours' },
  ),
}

export const weightDecay = defineTransform({
  id: 'weight-decay',
  summary: 'Shrinks the parameters: `coupled` adds rate*x to the gradient, `decoupled` subtracts lr*rate*x from x.',
  fields,
  piece({ rate, mode, tensors }: PartConfig<typeof fields>) {
    const named = typeof tensors !== 'string'
    const strength = { all: 'decay', matrices: '(matrix ? decay : 0)' }[named ? 'all' : tensors]
    const decay = named ? 'chosen*decay' : strength
    return {
      text: mode === 'coupled' ? `g = g + ${decay}*x` : `x = x - lr*${decay}*x`,
      scalars: () => ({ decay: rate }),
      slots: { ...(named && { chosen: { kind: 'scalar' as const } }) },
      fill: { ...(named && { chosen: ({ name }) => Number(tensors.includes(name)) }) },
    }
  },
  check: ({ tensors: names }, tensors) =>
    (typeof names === 'string' ? [] : names).flatMap((name, i) =>
      tensors.some((tensor) => tensor.name === name)
        ? []
        : [{ field: `tensors[${i}]`, message: `the space has no tensor "${name}"` }],
    ),
})
