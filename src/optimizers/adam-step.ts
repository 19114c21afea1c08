/** A step of Adam on a vector, for methods that are no rules: Kingma, Ba, "Adam", ICLR 2015, algorithm 1. */
import { z } from 'zod'
import { field } from '../core/schema.js'

/** Settings beside the learning rate, with the default eps that a method has. */
export const adamFields = (eps: number, source: string) => ({
  beta1: field(z.number().min(0).lt(1).default(0.9), 'adam: decay of the mean gradient.', {
    source: 'torch.optim.Adam',
  }),
  beta2: field(z.number().min(0).lt(1).default(0.999), 'adam: decay of the mean square.', {
    source: 'torch.optim.Adam',
  }),
  eps: field(z.number().positive().default(eps), 'adam: added to the root of the mean square.', { source, log: true }),
})
type Settings = { learningRate: number; beta1: number; beta2: number; eps: number }

/** The mean gradient and mean square; both are zero before the first step. */
export type Moments = { m: Float64Array; v: Float64Array }

/** What is subtracted from a vector of gradient g in the t-th step, from 1. Sets new moments. */
export function adamStep(moments: Moments, g: Float64Array, t: number, settings: Settings): Float64Array {
  const { learningRate, beta1, beta2, eps } = settings
  const m = g.map((value, i) => beta1 * moments.m[i] + (1 - beta1) * value)
  const v = g.map((value, i) => beta2 * moments.v[i] + (1 - beta2) * value ** 2)
  Object.assign(moments, { m, v })
  const [c1, c2] = [1 - beta1 ** t, 1 - beta2 ** t]
  return m.map((value, i) => (learningRate * (value / c1)) / (Math.sqrt(v[i] / c2) + eps))
}
