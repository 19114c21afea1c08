/** Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024: the mask on Lion. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ahead, behind, scaling } from '../transforms/cautious.js'
import { cautiousReference } from './c-adamw.js'

const fields = {
  learningRate: real('Step size.', {
    default: 1e-4,
    min: 0,
    mutable: true,
    log: true,
    source: 'kyleliang919/C-Optim',
  }),
  beta1: real('Weight of the momentum in the direction.', {
    default: 0.95,
    min: 0,
    below: 1,
    source: 'kyleliang919/C-Optim',
  }),
  beta2: real('Decay of the momentum.', { default: 0.98, min: 0, below: 1, source: 'kyleliang919/C-Optim' }),
  weightDecay: real('Times lr and x, subtracted from x whatever the sign.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'kyleliang919/C-Optim',
  }),
  scale: scaling,
}

export const method = gradientMethod<typeof fields>({
  id: 'c-lion',
  title: 'Cautious Lion',
  summary: 'Lion without the elements of its step that go up the gradient.',
  references: [cautiousReference],
  fields,
  defaults: { scale: 'nnz-plus-one' },
  rule: ({ beta1, beta2, weightDecay, scale }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      ahead,
      'x = x - lr*sign(beta1*m + (1 - beta1)*g)',
      behind(scale),
      'm = beta2*m + (1 - beta2)*g',
    ].join('\n'),
    slots: { m: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, weightDecay }),
  }),
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
