/**
 * A thermodynamic device that solves A u = b: an Ornstein-Uhlenbeck process du = -(A u - b) dt + N(0, 2/beta dt), whose mean
 * goes to A^-1 b and whose covariance to A^-1/beta. M. Aifer et al., "Thermodynamic Linear Algebra", 2023 (arXiv:2308.05660).
 */
import type { Rng } from '../../core/rng.js'
import { accumulate, dot } from '../flat.js'
import { combination, coordinates, type Spectrum, spectrumOf, weighted } from './spectrum.js'

/**
 * What the device is set to: A by its spectrum, by rows whose outer products have it as their mean, or, where neither is
 * kept, by products at x on the sample of that step.
 */
export type Setting = {
  x: Float64Array
  sample: number
  b: Float64Array
  spectrum: Spectrum | null
  rows: Float64Array | null
}
/** A v. */
export function applied({ spectrum, rows }: Setting, damping: number, v: Float64Array): Float64Array {
  if (spectrum) return weighted(spectrum, (value) => value + damping, v)
  const n = v.length
  const product = v.map((value) => damping * value)
  for (let r = 0; r < rows!.length; r += n) {
    const row = rows!.subarray(r, r + n)
    accumulate(product, (dot(row, v) * n) / rows!.length, row)
  }
  return product
}

/** The mean of the outer products of rows. */
export function meanOfSquares(rows: Float64Array, n: number): Float64Array {
  const matrix = new Float64Array(n * n)
  for (let r = 0; r < rows.length; r += n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) matrix[i * n + j] += (rows[r + i] * rows[r + j] * n) / rows.length
  return matrix
}
/** A curvature is not negative: what is, is rounding or an error. */
export function positive(matrix: Float64Array, n: number): Spectrum {
  const { values, vectors } = spectrumOf(matrix, n)
  return { values: values.map((value) => Math.max(value, 0)), vectors }
}

/** (1 - exp(-value*time))/value, which is `time` at 0. */
const response = (value: number, time: number): number => (value === 0 ? time : -Math.expm1(-value * time) / value)

/** The state after a time, exactly: each eigenvector of A goes its own way. `temperature` is 1/beta. */
export function relax(
  spectrum: Spectrum,
  damping: number,
  u: Float64Array,
  b: Float64Array,
  time: number,
  temperature: number,
  rng: Rng,
): Float64Array {
  const [from, force] = [coordinates(spectrum, u), coordinates(spectrum, b)]
  const modes = from.map((start, k) => {
    const value = spectrum.values[k] + damping
    const mean = Math.exp(-value * time) * start + response(value, time) * force[k]
    // The variance (1 - exp(-2 value time))/(value beta).
    const variance = temperature > 0 ? 2 * temperature * response(2 * value, time) : 0
    return variance > 0 ? mean + Math.sqrt(variance) * rng.normal() : mean
  })
  return combination(spectrum, modes)
}

/** One step of Euler and Maruyama of this length, in place, given A u. */
export function drift(
  u: Float64Array,
  Au: Float64Array,
  b: Float64Array,
  length: number,
  temperature: number,
  rng: Rng,
): void {
  const scale = Math.sqrt(2 * length * temperature)
  for (let i = 0; i < u.length; i++) u[i] += length * (b[i] - Au[i]) + (scale > 0 ? scale * rng.normal() : 0)
}
