/**
 * The noise that clients put on the pre-activations of a module, from the seed that a query sends. Its numbers are those of
 * the Philox stream of the seed with the module's name (core/rng.ts), one block each: component c of draw k of K on example
 * n of a module of width d is number (n*K + k)*d + c, so that any part of it can be made alone. Quasi-random noise is point
 * n*K + k of a sequence of Sobol, scrambled by the same stream, through the normal quantile.
 */
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { normalCdf } from '../bayes/acquisition.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'

export type NoiseOf = { seed: number; module: string; width: number; quasi?: boolean }

/** The standard normal noise of a draw, counted over examples and draws. Sobol sequences have MAX_DIMENSION axes at most. */
export function moduleNoise({ seed, module, width, quasi = false }: NoiseOf): (draw: number) => Float64Array {
  const stream = rngStream(seed, module)
  if (quasi) {
    if (width > MAX_DIMENSION)
      throw new RangeError(`quasi-random noise has a width of at most ${MAX_DIMENSION}, got ${width}`)
    const sequence = sobolSequence(width, stream)
    // Half of the last bit keeps 0 out.
    return (draw) => sequence(draw).map((u) => normalQuantile(u + 2 ** -33))
  }
  return (draw) => {
    const rng = new Rng(startAt(stream, draw * width))
    return Float64Array.from({ length: width }, () => rng.normal())
  }
}

/** The stream from a block on: a normal takes one block. */
const startAt = (stream: RngState, block: number): RngState => ({
  ...stream,
  counter: [block >>> 0, Math.floor(block / 2 ** 32) >>> 0, 0, 0],
  used: 4,
})

/** P. Acklam's rational approximation, "An algorithm for computing the inverse normal cumulative distribution function". */
const A = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239,
]
const B = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1]
const C = [
  -7.784894002430293e-3, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
]
const D = [7.784695709041462e-3, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1]
const polynomial = (coefficients: readonly number[], x: number) => coefficients.reduce((sum, c) => sum * x + c, 0)

/** z with P(Z <= z) = p for a standard normal Z and p in (0, 1). */
export function normalQuantile(p: number): number {
  if (p > 0.5) return -normalQuantile(1 - p)
  let z: number
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p))
    z = polynomial(C, q) / polynomial(D, q)
  } else {
    const q = p - 0.5
    z = (q * polynomial(A, q * q)) / polynomial(B, q * q)
  }
  // One step of Halley takes the error from 1e-9 to rounding.
  const e = (normalCdf(z) - p) * Math.sqrt(2 * Math.PI) * Math.exp((z * z) / 2)
  return z - e / (1 + (z * e) / 2)
}
