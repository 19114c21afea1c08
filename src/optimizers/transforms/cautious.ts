/** Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { defineTransform } from './transform.js'

export const scaling = field(
  z.enum(['mean-clamp', 'nnz-plus-one', 'none']).default('mean-clamp'),
  'What makes up for dropped elements: division by the share that is kept, at least 0.001; by the count that is kept ' +
    'plus one, over all elements of the tensor; or nothing.',
  { source: 'kyleliang919/C-Optim: C-AdamW; nnz-plus-one is C-Lion' },
)

const factor = {
  'mean-clamp': 'agrees/max(mean(agrees), 0.001)',
  'nnz-plus-one': 'agrees*size/(sum(agrees) + 1)',
  none: 'agrees',
}

/** Lines ahead of a rule and behind it that mask its step. */
export const ahead = 'start = x\ngradient = g'
export const behind = (scale: keyof typeof factor): string =>
  [
    'agrees = select((start - x)*gradient > 0, 1, 0)',
    `mask = ${factor[scale]}`,
    // A step that is kept whole is that of the rule to the last bit.
    'x = select(mask == 1, x, start + mask*(x - start))',
  ].join('\n')

export const cautious = defineTransform({
  id: 'cautious',
  summary: 'Drops the elements of a step of the rule whose sign disagrees with the gradient, and rescales the others.',
  fields: { scale: scaling },
  piece: () => ({ text: ahead }),
  after: ({ scale }) => ({ text: `${behind(scale)}\nreport kept = mean(agrees, all)` }),
})
