/** The rate of online regret bounds: Kingma, Ba, "Adam", ICLR 2015, theorem 4.1. */
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const inverseSqrt = defineSchedule({
  id: 'inverse-sqrt',
  summary: 'The configured learning rate divided by the square root of the step plus `offset`.',
  fields: { offset: real('Added to the step.', { default: 0, min: 0, source: 'theorem 4.1 has none' }) },
  rate: ({ offset }, peak, t) => peak / Math.sqrt(t + offset),
})
