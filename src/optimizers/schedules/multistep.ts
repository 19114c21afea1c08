import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const multistep = defineSchedule({
  id: 'multistep',
  summary: 'The configured learning rate times `factor` after each of the steps named.',
  fields: {
    milestones: field(z.array(z.int().min(0)), 'Steps after which the rate drops.'),
    factor: real('The rate after a drop over that before.', { default: 0.1, above: 0, source: 'He et al. 2015, 3.4' }),
  },
  rate: ({ milestones, factor }, peak, t) => peak * factor ** milestones.filter((milestone) => t > milestone).length,
})
