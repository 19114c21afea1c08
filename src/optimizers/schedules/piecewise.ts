import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { PartConfig } from '../parts.js'
import { checkRising, defineSchedule } from './schedule.js'

const fields = {
  points: field(
    z
      .array(
        z.strictObject({
          step: field(z.int().min(1), 'A step.'),
          share: field(z.number().min(0), 'The rate of it, over the configured one.'),
        }),
      )
      .min(1),
    'Rates of some steps, in rising order. The first rate holds ahead of them, the last after them.',
  ),
  between: field(
    z.enum(['hold', 'linear']).default('hold'),
    'The rate of the steps between: the last one, or on a line.',
    {
      source: 'ours',
    },
  ),
}

/** Where step t lies: the last point not after it, and the next. */
function around({ points }: PartConfig<typeof fields>, t: number) {
  const next = points.findIndex(({ step }) => step > t)
  if (next < 0) return [points[points.length - 1]] as const
  return [points[Math.max(next - 1, 0)], points[next]] as const
}

export const piecewise = defineSchedule({
  id: 'piecewise',
  summary: 'The rates of a table, over the configured learning rate.',
  fields,
  rate(config, peak, t) {
    const [last, next] = around(config, t)
    if (config.between === 'hold' || !next || next === last) return peak * last.share
    return peak * (last.share + ((next.share - last.share) * (t - last.step)) / (next.step - last.step))
  },
  check: ({ points }) =>
    checkRising(
      points.map(({ step }) => step),
      'points',
    ),
})
