import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const stepDecay = defineSchedule({
  id: 'step-decay',
  summary: 'The configured learning rate times `factor` after every `every` steps.',
  fields: {
    every: field(z.int().min(1), 'Steps between two drops; 1 makes the decay exponential.'),
    factor: real('The rate after a drop over that before.', { default: 0.1, above: 0, source: 'He et al. 2015, 3.4' }),
  },
  rate: ({ every, factor }, peak, t) => peak * factor ** Math.floor((t - 1) / every),
})
