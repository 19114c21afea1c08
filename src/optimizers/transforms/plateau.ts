/** Smaller steps when the objective stops falling, as torch.optim.lr_scheduler.ReduceLROnPlateau decides it. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { defineTransform } from './transform.js'

const SOURCE = { source: 'torch.optim.lr_scheduler.ReduceLROnPlateau' }
const fields = {
  factor: real('Steps after a reduction over those before.', { default: 0.1, above: 0, below: 1, ...SOURCE }),
  patience: field(z.int().min(0).default(10), 'Values without progress that are waited for.', SOURCE),
  threshold: real('Progress is what falls by more than this.', { default: 1e-4, min: 0, ...SOURCE }),
  relative: field(z.boolean().default(true), 'Whether that is a share of the least value, or a difference.', SOURCE),
  cooldown: field(z.int().min(0).default(0), 'Values after a reduction that do not count.', SOURCE),
  minimum: real('Least scale of steps.', { default: 0, min: 0, max: 1, ...SOURCE }),
  every: field(z.int().min(1).default(1), 'Steps whose mean objective is one value.', {
    source: 'optax.contrib.reduce_on_plateau',
  }),
}

export const plateau = defineTransform({
  id: 'plateau',
  summary: 'Scales all steps of the rule down when the objective, which is asked with every gradient, stops falling.',
  fields,
  beside: ['value'],
  piece: ({ factor, patience, threshold, relative, cooldown, minimum, every }: PartConfig<typeof fields>) => ({
    text: [
      'total = total + value',
      `better = total/every < ${relative ? 'best - threshold*abs(best)' : 'best - threshold'} or seen == 0`,
      'best = due and better ? total/every : best',
      'bad = due ? (better or cool > 0 ? 0 : bad + 1) : bad',
      'cool = due and cool > 0 ? cool - 1 : cool',
      'reduces = due and bad > patience',
      'scale = reduces ? max(scale*factor, minimum) : scale',
      'cool = reduces ? cooldown : cool',
      'bad = reduces ? 0 : bad',
      'seen = due ? 1 : seen',
      'total = due ? 0 : total',
      'start = x',
    ].join('\n'),
    slots: {
      ...{ total: { kind: 'global' }, best: { kind: 'global' }, seen: { kind: 'global' } },
      ...{ bad: { kind: 'global' }, cool: { kind: 'global' }, scale: { kind: 'global', initial: 1 } },
    },
    scalars: ({ t, told }) => ({
      value: told.value,
      due: Number(t % every === 0),
      ...{ factor, patience, threshold, cooldown, minimum, every },
    }),
  }),
  after: () => ({ text: 'x = start + scale*(x - start)\nreport scale = scale' }),
})
