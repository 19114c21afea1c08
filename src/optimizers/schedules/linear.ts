import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const linear = defineSchedule({
  id: 'linear',
  summary: 'A straight line from `initial` to `final` times the configured learning rate, constant from then on.',
  fields: {
    steps: field(z.int().min(1), 'Steps from the first rate to the last.'),
    initial: real('First rate as a share of the configured one.', { default: 1, min: 0, source: 'ours; 1/3 in torch' }),
    final: real('Last rate as a share of the configured one.', { default: 0, min: 0, source: 'ours' }),
  },
  rate: ({ steps, initial, final }, peak, t) => peak * (initial + (final - initial) * Math.min((t - 1) / steps, 1)),
})
