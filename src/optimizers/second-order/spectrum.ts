/** Functions of a symmetric matrix by its eigenvalues. */
import { symmetricEigen } from '../../core/eigen.js'

/** The eigenvalues of a symmetric matrix, and its orthonormal eigenvectors: the columns of a row-major matrix. */
export type Spectrum = { values: Float64Array; vectors: Float64Array }

/** Leaves the matrix as it is. */
export function spectrumOf(matrix: Float64Array, dimension: number): Spectrum {
  const vectors = matrix.slice()
  return { values: symmetricEigen(vectors, dimension), vectors }
}

/** V'x: a vector in the basis of the eigenvectors. */
export function coordinates({ vectors }: Spectrum, x: ArrayLike<number>): Float64Array {
  const n = x.length
  const c = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) c[j] += vectors[i * n + j] * x[i]
  return c
}

/** V*c: back from that basis. */
export function combination({ vectors }: Spectrum, c: ArrayLike<number>): Float64Array {
  const n = c.length
  const x = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) x[i] += vectors[i * n + j] * c[j]
  return x
}

/** V*diag(weight(eigenvalue))*V'x */
export const weighted = (spectrum: Spectrum, weight: (value: number) => number, x: ArrayLike<number>): Float64Array =>
  combination(
    spectrum,
    coordinates(spectrum, x).map((c, i) => weight(spectrum.values[i]) * c),
  )

/** V*diag(weight(eigenvalue))*V' */
export function matrixOf({ values, vectors }: Spectrum, weight: (value: number) => number): Float64Array {
  const n = values.length
  const weights = values.map(weight)
  const m = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = 0; k < n; k++) sum += vectors[i * n + k] * weights[k] * vectors[j * n + k]
      m[i * n + j] = m[j * n + i] = sum
    }
  return m
}

export const least = ({ values }: Spectrum): number => values.reduce((low, value) => Math.min(low, value), Infinity)
/** The largest absolute eigenvalue. */
export const radius = ({ values }: Spectrum): number =>
  values.reduce((high, value) => Math.max(high, Math.abs(value)), 0)

/** Share of the largest absolute eigenvalue below which a negative one is rounding. */
const ROUNDING = 1e-10
export const isConvex = (spectrum: Spectrum): boolean => least(spectrum) >= -ROUNDING * radius(spectrum)
