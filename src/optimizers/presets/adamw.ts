/** Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2, with the decay scaled by lr as in torch. */
import { gradientMethod } from '../gradient.js'
import { real } from '../parts.js'
import { adam, adamFields, adamRule } from './adam.js'

const fields = {
  ...adamFields,
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0.01,
    min: 0,
    mutable: true,
    source: 'torch.optim.AdamW',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'adamw',
  title: 'AdamW',
  summary: 'Adam with weight decay that bypasses the moments.',
  references: [
    {
      authors: 'I. Loshchilov, F. Hutter',
      title: 'Decoupled Weight Decay Regularization',
      year: 2019,
      url: 'https://arxiv.org/abs/1711.05101',
    },
    ...adam.references,
  ],
  fields,
  rule: (config) => adamRule(config, 'x = x - lr*weightDecay*x'),
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1, weightDecay: 1e-4 }, maxEvaluations: 300, target: 1e-6 },
  ],
})
