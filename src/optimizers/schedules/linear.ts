import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const linear = defineSchedule({
  id: 'linear',
  summary: 'A straight line from the configured learning rate to `final` times it, constant from then on.',
  fields: {
    steps: field(z.int().min(1), 'Steps from the first rate to the last.'),
    final: real('Last rate as a share of the configured one.', { default: 0, min: 0, source: 'ours' }),
  },
  rate: ({ steps, final }, peak, t) => peak * (1 + (final - 1) * Math.min((t - 1) / steps, 1)),
})
