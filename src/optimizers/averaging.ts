/**
 * Averages of iterates. All are one recursion, average = (1 - w)*average + w*point, and differ in the weight w of a step,
 * which is a float64 scalar; so the average is rule text behind (or ahead of) the rule and costs no pass of its own.
 */
import { z } from 'zod'
import { field } from '../core/schema.js'
import type { At } from './compose.js'
import { family, type Part, type PartConfig, real } from './parts.js'

export interface Averaging<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** Weight of the point of this step; absent where nothing is averaged. */
  weight?(config: PartConfig<F>, at: At): number
  /** Averages the points where gradients were asked, not the iterates after the steps. */
  leading?: boolean
}
const defineAveraging = <F extends z.ZodRawShape>(averaging: Averaging<F>): Averaging =>
  averaging as unknown as Averaging

export const averagings = family<Averaging>([
  defineAveraging({ id: 'none', summary: 'No average; the estimate is the iterate.', fields: {} }),
  defineAveraging({
    id: 'ema',
    summary: 'Exponential average with bias correction: Kingma, Ba, "Adam", section 7.2.',
    fields: {
      decay: real('Weight of the past.', { default: 0.999, min: 0, below: 1, source: 'Adam, section 7.2' }),
      start: field(
        z.enum(['corrected', 'first']).default('corrected'),
        'Corrects the bias of the start, or starts at the first iterate.',
        {
          source: 'Adam, section 7.2; first: torch.optim.swa_utils',
        },
      ),
    },
    // average/(1 - decay^t) of the paper, as a recursion on the corrected average itself.
    weight: ({ decay, start }, { t }) =>
      (1 - decay) / (start === 'corrected' ? 1 - decay ** t : t === 1 ? 1 - decay : 1),
  }),
  defineAveraging({
    id: 'swa',
    summary:
      'Mean of every so many iterates from some step on, the iterate until then: Izmailov et al., "Averaging Weights Leads ' +
      'to Wider Optima and Better Generalization", 2018.',
    fields: {
      from: field(z.int().min(1).default(1), 'Step after which the first iterate counts.'),
      every: field(z.int().min(1).default(1), 'Steps from one iterate that counts to the next: the cycle length.'),
    },
    weight: ({ from, every }, { t }) => {
      if (t <= from) return 1
      return (t - from) % every === 0 ? 1 / ((t - from) / every + 1) : 0
    },
  }),
  defineAveraging({
    id: 'polynomial',
    summary: 'Polynomial decay: Shamir, Zhang, "SGD for Non-smooth Optimization", 2013; gamma 0 is the plain mean.',
    fields: { gamma: real('How fast early iterates are forgotten.', { default: 8, min: 0, source: 'DoG, section 4' }) },
    weight: ({ gamma }, { t }) => (1 + gamma) / (t + gamma),
  }),
  defineAveraging({
    id: 'ergodic',
    summary: 'Mean of the points where gradients were asked, weighted by the learning rates: sum lr*z / sum lr.',
    fields: {},
    weight: (_, { learningRate, rateSum }) => (rateSum > 0 ? learningRate / rateSum : 1),
    leading: true,
  }),
])
