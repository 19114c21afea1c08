/** Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ahead, behind, scaling } from '../transforms/cautious.js'
import { adamFields, adamRule } from './adam.js'

export const cautiousReference = {
  authors: 'K. Liang, L. Chen, B. Liu, Q. Liu',
  title: 'Cautious Optimizers: Improving Training with One Line of Code',
  year: 2024,
  url: 'https://arxiv.org/abs/2411.16085',
}

const fields = {
  ...adamFields,
  eps: real('Added to the root of the second moment.', { default: 1e-6, min: 0, source: 'kyleliang919/C-Optim' }),
  weightDecay: real('Times lr and x, subtracted from x whatever the sign.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'kyleliang919/C-Optim',
  }),
  scale: scaling,
}

export const method = gradientMethod<typeof fields>({
  id: 'c-adamw',
  title: 'Cautious AdamW',
  summary:
    'AdamW without the elements of its step that go up the gradient. The transform `cautious` does it for any rule.',
  references: [cautiousReference],
  fields,
  rule(config: PresetConfig<typeof fields>) {
    const { weightDecay, scale } = config
    const adam = adamRule({ ...config, weightDecay: 0 }, '')
    return {
      ...adam,
      text: [...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []), ahead, adam.text, behind(scale)].join('\n'),
      scalars: () => ({ ...adam.scalars(), weightDecay }),
    }
  },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 300, target: 1e-6 }],
})
