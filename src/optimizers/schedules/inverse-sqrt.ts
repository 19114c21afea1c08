/** The rate of online regret bounds: Kingma, Ba, "Adam", ICLR 2015, theorem 4.1. */
import { defineSchedule } from './schedule.js'

export const inverseSqrt = defineSchedule({
  id: 'inverse-sqrt',
  summary: 'The configured learning rate divided by the square root of the step.',
  fields: {},
  rate: (_, peak, t) => peak / Math.sqrt(t),
})
