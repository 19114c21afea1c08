import { defineSchedule } from './schedule.js'

export const constant = defineSchedule({
  id: 'constant',
  summary: 'The configured learning rate at every step.',
  fields: {},
  rate: (_, peak) => peak,
})
