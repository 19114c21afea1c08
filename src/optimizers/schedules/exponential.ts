import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const exponential = defineSchedule({
  id: 'exponential',
  summary: 'The configured learning rate times `factor` for every `every` steps, falling with each step.',
  fields: {
    factor: real('The rate over that of `every` steps before.', { default: 0.95, above: 0, source: 'ours' }),
    every: field(z.int().min(1).default(1), 'Steps in which the rate changes by the factor.', {
      source: 'torch.optim.lr_scheduler.ExponentialLR',
    }),
    minimum: real('Least learning rate.', { default: 0, min: 0, source: 'ours' }),
  },
  rate: ({ factor, every, minimum }, peak, t) => Math.max(minimum, peak * factor ** ((t - 1) / every)),
})
