/**
 * Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3; Smith, Topin, "Super-Convergence: Very
 * Fast Training of Neural Networks Using Large Learning Rates", 2018: one cycle. Both in the form of torch.optim.lr_scheduler.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { anneal } from './cosine.js'
import { defineSchedule } from './schedule.js'

const line = (from: number, to: number, share: number): number => from + (to - from) * share

export const cyclic = defineSchedule({
  id: 'cyclic',
  summary: 'Up to the configured learning rate and down again, over and over.',
  fields: {
    up: field(z.int().min(1).default(2000), 'Steps on the way up.', { source: 'torch.optim.lr_scheduler.CyclicLR' }),
    down: field(z.int().min(1).optional(), 'Steps on the way down; as many as up where it is not given.', {
      source: 'torch.optim.lr_scheduler.CyclicLR',
    }),
    low: real('Least rate as a share of the configured one.', { default: 0.1, min: 0, max: 1, source: 'ours' }),
    mode: field(
      z.enum(['triangular', 'triangular2', 'exp-range']).default('triangular'),
      'Whether cycles stay as high, are half as high as those before, or fall by `factor` with each step.',
      { source: 'Smith 2017, section 3.1' },
    ),
    factor: real('The height over that of the step before, for "exp-range".', {
      default: 1,
      above: 0,
      source: 'torch.optim.lr_scheduler.CyclicLR',
    }),
  },
  rate({ up, down = up, low, mode, factor }, peak, t) {
    const cycle = Math.floor((t - 1) / (up + down))
    const within = (t - 1) % (up + down)
    const share = within <= up ? within / up : 1 - (within - up) / down
    const height = { triangular: 1, triangular2: 0.5 ** cycle, 'exp-range': factor ** (t - 1) }[mode]
    return peak * (low + (1 - low) * share * height)
  },
})

export const oneCycle = defineSchedule({
  id: 'one-cycle',
  summary: 'Once up to the configured learning rate, and down to next to nothing.',
  fields: {
    steps: field(z.int().min(2), 'Steps in all.'),
    upShare: real('Share of the steps on the way up.', {
      default: 0.3,
      min: 0,
      max: 1,
      source: 'torch.optim.lr_scheduler.OneCycleLR',
    }),
    shape: field(z.enum(['cosine', 'linear']).default('cosine'), 'Of the ways up and down.', {
      source: 'torch.optim.lr_scheduler.OneCycleLR',
    }),
    divisor: real('The configured rate over the first.', {
      default: 25,
      above: 0,
      source: 'torch.optim.lr_scheduler.OneCycleLR',
    }),
    finalDivisor: real('The first rate over the last.', {
      default: 1e4,
      above: 0,
      source: 'torch.optim.lr_scheduler.OneCycleLR',
    }),
    threePhase: field(z.boolean().default(false), 'As long down to the first rate as up, and from there to the last.', {
      source: 'Smith, Topin 2018, section 3',
    }),
  },
  rate({ steps, upShare, shape, divisor, finalDivisor, threePhase }, peak, t) {
    const [first, last] = [peak / divisor, peak / divisor / finalDivisor]
    const top = upShare * steps - 1
    // Ends of the ways, and the rates there.
    const ways: (readonly [end: number, rate: number])[] = threePhase
      ? [
          [top, peak],
          [2 * upShare * steps - 2, first],
          [steps - 1, last],
        ]
      : [
          [top, peak],
          [steps - 1, last],
        ]
    let [begin, from] = [0, first]
    for (const [end, to] of ways) {
      if (t - 1 <= end) return (shape === 'cosine' ? anneal : line)(from, to, (t - 1 - begin) / (end - begin))
      begin = end
      from = to
    }
    return last
  },
})
