import { defineDriver } from './driver.js'

const ask = { point: 'x', purpose: 'step' }

export const step = defineDriver({
  id: 'step',
  summary: 'One gradient at the iterate per step.',
  fields: {},
  points: () => [],
  begin: () => ask,
  advance(_, drive, gradient) {
    drive.update(gradient)
    return ask
  },
})
