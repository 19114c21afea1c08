import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const polynomial = defineSchedule({
  id: 'polynomial',
  summary:
    'A power of the share of steps left, from the configured learning rate to `final` times it, constant from then on.',
  fields: {
    steps: field(z.int().min(1), 'Steps from the first rate to the last.'),
    power: real('The power; 1 is a straight line.', {
      default: 1,
      above: 0,
      source: 'torch.optim.lr_scheduler.PolynomialLR; 0.9 in DeepLab',
    }),
    final: real('Last rate as a share of the configured one.', { default: 0, min: 0, source: 'ours' }),
  },
  rate: ({ steps, power, final }, peak, t) =>
    peak * (final + (1 - final) * (1 - Math.min((t - 1) / steps, 1)) ** power),
})
