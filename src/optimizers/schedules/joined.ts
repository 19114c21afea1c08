/** Schedules that are made of others. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type Choice, family } from '../parts.js'
import { checkRising, defineSchedule } from './schedule.js'
import { simple } from './simple.js'

/** The same without words on their fields: these are told once, where a schedule stands alone. */
const parts = family(
  simple.map((part) => ({
    ...part,
    fields: Object.fromEntries(
      Object.entries(part.fields).map(([name, schema]) => [
        name,
        (schema as z.ZodType).meta({ description: undefined, source: undefined }),
      ]),
    ),
  })),
)
const rateOf = (config: Choice, peak: number, t: number): number => parts.of(config).rate(config, peak, t)

const checkParts = (list: readonly Choice[]) =>
  list.flatMap((part, i) =>
    (parts.of(part).check?.(part) ?? []).map(({ field, message }) => ({ field: `parts[${i}].${field}`, message })),
  )

export const sequence = defineSchedule({
  id: 'sequence',
  summary: 'One schedule after another, each from its own first step.',
  fields: {
    parts: field(z.array(parts.schema).min(1), 'The schedules, in order.'),
    milestones: field(z.array(z.int().min(1)), 'Steps after which the next one begins, one fewer than the schedules.'),
  },
  rate({ parts: list, milestones }, peak, t) {
    // A part without a milestone ahead of it never begins.
    const k = Math.min(milestones.filter((milestone) => t > milestone).length, list.length - 1)
    return rateOf(list[k], peak, k > 0 ? t - milestones[k - 1] : t)
  },
  check: ({ parts: list, milestones }) => [
    ...checkParts(list),
    ...(milestones.length === list.length - 1
      ? []
      : [{ field: 'milestones', message: `expected ${list.length - 1}, between ${list.length} schedules` }]),
    ...checkRising(milestones, 'milestones'),
  ],
})

export const product = defineSchedule({
  id: 'product',
  summary: 'The configured learning rate times what each of several schedules makes of 1.',
  fields: { parts: field(z.array(parts.schema).min(1), 'The schedules.') },
  rate: ({ parts: list }, peak, t) => list.reduce((rate, part) => rate * rateOf(part, 1, t), peak),
  check: ({ parts: list }) => checkParts(list),
})
