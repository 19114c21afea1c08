/** The rate of strongly monotone problems: Hsieh et al., "On the convergence of single-call ...", NeurIPS 2019, theorem 5. */
import { real } from '../parts.js'
import { defineSchedule } from './schedule.js'

export const inverseTime = defineSchedule({
  id: 'inverse-time',
  summary: 'The configured learning rate divided by the step plus `offset`.',
  fields: { offset: real('Added to the step.', { default: 0, min: 0, source: 'ours' }) },
  rate: ({ offset }, peak, t) => peak / (t + offset),
})
