/** Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { anneal } from './cosine.js'
import { defineSchedule } from './schedule.js'

const fields = {
  period: real('Epochs of the first cycle, T_0.', { default: 10, above: 0, source: 'SGDR, section 4.1' }),
  multiplier: real('Length of each cycle over that of the one before, T_mult.', {
    default: 2,
    min: 1,
    source: 'SGDR, section 4.1',
  }),
  minimum: real('Learning rate at the end of a cycle, eta_min.', { default: 0, min: 0, source: 'SGDR, section 4.1' }),
  decay: real('The peak of each cycle over that of the one before.', {
    default: 1,
    above: 0,
    source: 'SGDR, section 3',
  }),
  stepsPerEpoch: field(z.int().min(1).default(1), 'Steps of an epoch; 1 measures cycles in steps.'),
}

/** The cycle that step `t` belongs to, and how many epochs of it have passed before the step. */
function cycleOf(config: PartConfig<typeof fields>, t: number) {
  const { period, multiplier, stepsPerEpoch } = config
  // Epochs are compared as counts of steps: 10 epochs of 3 steps are 30 steps, whatever 30/3 rounds to.
  let begin = 0
  let length = period * stepsPerEpoch
  let index = 0
  while (t - 1 >= begin + length) {
    begin += length
    length *= multiplier
    index++
  }
  return { index, elapsed: t - 1 - begin, length }
}

export const sgdr = defineSchedule({
  id: 'sgdr',
  summary:
    'Cosine annealing from the configured learning rate with warm restarts; the end of each cycle is recommended.',
  fields,
  rate(config, peak, t) {
    const { index, elapsed, length } = cycleOf(config, t)
    return anneal(peak * config.decay ** index, config.minimum, elapsed / length)
  },
  cycle: (config, t) => cycleOf(config, t).index,
})
