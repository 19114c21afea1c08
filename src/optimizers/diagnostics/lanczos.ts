/**
 * Eigenvalues of a matrix that is known by its products, by Lanczos steps with full reorthogonalization: Golub, Van Loan,
 * "Matrix Computations", sections 10.1 and 8.4. Noise between products: Granziol, Zohren, Roberts, "Learning Rates as a
 * Function of Batch Size: A Random Matrix Theory Approach to Neural Network Training", 2020.
 */
import { symmetricEigen } from '../../core/eigen.js'
import type { Rng } from '../../core/rng.js'
import { accumulate, dot, norm, sphere } from '../flat.js'

/** A decomposition under way; plain data. `basis` has one vector more than `diagonal` while there is more to find. */
export type Lanczos = { basis: Float64Array[]; diagonal: number[]; beside: number[] }

/** Length, relative to that of the product, below which what is new of it is rounding. */
const ROUNDING = 1e-10

export const beginLanczos = (start: Float64Array): Lanczos => ({ basis: [start], diagonal: [], beside: [] })

/** Takes the product with the last vector of the basis; false where the basis is complete. Consumes `product`. */
export function extendLanczos({ basis, diagonal, beside }: Lanczos, product: Float64Array): boolean {
  const size = norm(product)
  const last = basis[basis.length - 1]
  diagonal.push(dot(last, product))
  for (let pass = 0; pass < 2; pass++) for (const q of basis) accumulate(product, -dot(q, product), q)
  const length = norm(product)
  if (length <= ROUNDING * size || basis.length === last.length) return false
  beside.push(length)
  basis.push(product.map((value) => value / length))
  return true
}

/** Ritz values, largest first: eigenvalues of the tridiagonal matrix, by bisection on the count of those below a number. */
export function ritzValues({ diagonal, beside }: Lanczos): number[] {
  const n = diagonal.length
  const off = (i: number) => (i >= 0 && i < n - 1 ? Math.abs(beside[i]) : 0)
  const bound = Math.max(...diagonal.map((a, i) => Math.abs(a) + off(i - 1) + off(i)))
  const below = (number: number): number => {
    let count = 0
    let pivot = 1
    for (let i = 0; i < n; i++) {
      pivot = diagonal[i] - number - (i > 0 ? off(i - 1) ** 2 / pivot : 0)
      if (pivot === 0) pivot = Number.EPSILON * bound || Number.MIN_VALUE
      if (pivot < 0) count++
    }
    return count
  }
  return diagonal.map((_, k) => {
    let [low, high] = [-bound, bound]
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2
      if (below(middle) > n - 1 - k) high = middle
      else low = middle
    }
    return (low + high) / 2
  })
}

/** Ritz values of `steps` products from a random direction, largest first: the outer ones are near eigenvalues. */
export function spectrum(
  product: (v: Float64Array) => Float64Array,
  dimension: number,
  rng: Rng,
  steps = 20,
): number[] {
  const lanczos = beginLanczos(sphere(rng, dimension))
  for (let k = 0; k < Math.min(steps, dimension); k++) if (!extendLanczos(lanczos, product(lanczos.basis[k]))) break
  return ritzValues(lanczos)
}

/**
 * Standard deviation s of the elements of the Hessian of one example.
 *
 * @param first products H1*v of one batch with directions whose elements are standard normal
 * @param second products H2*v of another batch of the same size with the same directions
 * @param batch effective size b of each
 */
export function hessianNoise(
  first: readonly ArrayLike<number>[],
  second: readonly ArrayLike<number>[],
  batch: number,
): number {
  const squares = first.map((a, k) => Array.from(a).reduce((sum, ai, i) => sum + (ai - second[k][i]) ** 2, 0))
  const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length
  // E|H1*v - H2*v|^2 = 2*P^2*s^2/b.
  return Math.sqrt((mean * batch) / 2) / first[0].length
}

/** Ritz values, largest first, each with its unit vector in the whole space. */
export function ritzPairs({ basis, diagonal, beside }: Lanczos): { value: number; vector: Float64Array }[] {
  const n = diagonal.length
  const matrix = new Float64Array(n * n)
  diagonal.forEach((value, i) => {
    matrix[i * n + i] = value
    if (i + 1 < n) matrix[i * n + i + 1] = matrix[(i + 1) * n + i] = beside[i]
  })
  // Replaces the matrix by its eigenvectors, one a column.
  const values = symmetricEigen(matrix, n)
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a])
  return order.map((column) => {
    const vector = new Float64Array(basis[0].length)
    for (let i = 0; i < n; i++) accumulate(vector, matrix[i * n + column], basis[i])
    return { value: values[column], vector }
  })
}
