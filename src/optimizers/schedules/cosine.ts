/** Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5, one cycle. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

/** Half a cosine from `high` at share 0 to `low` at share 1. */
export const anneal = (high: number, low: number, share: number): number =>
  low + 0.5 * (high - low) * (1 + Math.cos(Math.PI * share))

export const cosine = defineSchedule({
  id: 'cosine',
  summary: 'Half a cosine from the configured learning rate down to `minimum`, constant from then on.',
  fields: {
    steps: field(z.int().min(1), 'Steps from the first rate to the last.'),
    minimum: real('Last learning rate.', { default: 0, min: 0, source: 'SGDR, section 4.1' }),
  },
  rate: ({ steps, minimum }, peak, t) => anneal(peak, minimum, Math.min((t - 1) / steps, 1)),
})
