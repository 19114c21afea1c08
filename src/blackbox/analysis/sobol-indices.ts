/**
 * Sensitivity of the surrogate's mean: Sobol' indices of first and of total order, over uniform points of the encoding's cube.
 * A. Saltelli et al., "Variance based sensitivity analysis of model output. Design and estimator for the total sensitivity
 * index", Comput. Phys. Commun. 181, 2010, table 2 (b) and (f; M. J. W. Jansen 1999).
 */

import { Rng, rngStream } from '../../core/rng.js'
import type { SearchSpace } from '../../core/space.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import type { Encoding } from '../space/encoding.js'

/** Base points at most, and predictions: each base point takes two of them and one per parameter. */
const [MOST_POINTS, PREDICTIONS] = [1024, 24_000]

export type SobolIndex = { parameter: string; firstOrder: number; total: number }

/**
 * One per parameter, in the order of the space; the coordinates of a permutation count as one group. Zeros where the function is
 * constant. `f` takes vectors of the encoding.
 */
export function sobolIndices(
  { parameters }: SearchSpace,
  encoding: Encoding,
  f: (points: readonly Float64Array[]) => readonly number[],
): SobolIndex[] {
  const d = encoding.dimension
  // Sobol' points are balanced in powers of two.
  const n = Math.min(MOST_POINTS, 2 ** Math.floor(Math.log2(PREDICTIONS / (parameters.length + 2))))
  const rng = new Rng(rngStream(0, 'sobol-indices'))
  const sequence = 2 * d <= MAX_DIMENSION ? sobolSequence(2 * d, rngStream(0, 'scramble')) : undefined
  const pairs = Array.from({ length: n }, (_, i) =>
    sequence ? sequence(i) : Float64Array.from({ length: 2 * d }, () => rng.uniform()),
  )
  // Coordinates as the model sees them: values of discrete parameters, the middle where one is not active.
  const at = (u: Float64Array) => encoding.encode(encoding.decodeAnywhere(u)).u
  const [a, b] = [0, d].map((from) => pairs.map((pair) => pair.slice(from, from + d)))
  const [fa, fb] = [a, b].map((points) => f(points.map(at)))
  const mean = fa.reduce((sum, y, i) => sum + y + fb[i], 0) / (2 * n)
  const variance = fa.reduce((sum, y, i) => sum + (y - mean) ** 2 + (fb[i] - mean) ** 2, 0) / (2 * n)
  let offset = 0
  return parameters.map((p) => {
    const from = offset
    offset += p.type === 'permutation' ? p.items.length : 1
    if (!(variance > 0)) return { parameter: p.name, firstOrder: 0, total: 0 }
    const mixed = a.map((u, i) => u.map((x, k) => (k >= from && k < offset ? b[i][k] : x)))
    const fm = f(mixed.map(at))
    const first = fm.reduce((sum, y, i) => sum + (fb[i] - mean) * (y - fa[i]), 0) / n
    const total = fm.reduce((sum, y, i) => sum + (fa[i] - y) ** 2, 0) / (2 * n)
    return { parameter: p.name, firstOrder: first / variance, total: total / variance }
  })
}
