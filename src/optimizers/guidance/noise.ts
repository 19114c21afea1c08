/** Where methods over noise begin. */
import type { Rng } from '../../core/rng.js'
import { gaussian } from '../flat.js'

/** The start values of a space, or standard normal noise where they are all zero: no noise is as unlikely as that. */
export const noiseOr = (start: Float64Array, rng: Rng): Float64Array =>
  start.some((value) => value !== 0) ? start : gaussian(rng, start.length)
