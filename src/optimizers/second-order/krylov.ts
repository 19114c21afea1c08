/** What Lanczos steps tell of a matrix B: the least of a quadratic in the space that they span, and a picture of the spectrum. */
import { symmetricEigen } from '../../core/eigen.js'
import type { Lanczos } from '../diagnostics/lanczos.js'
import { accumulate } from '../flat.js'
import { solve } from '../preconditioners/dense.js'

/** T = Q'BQ for the basis Q. */
export function tridiagonal({ diagonal, beside }: Lanczos): Float64Array {
  const k = diagonal.length
  const T = new Float64Array(k * k)
  for (let i = 0; i < k; i++) {
    T[i * k + i] = diagonal[i]
    if (i + 1 < k) T[i * k + i + 1] = T[(i + 1) * k + i] = beside[i]
  }
  return T
}

/** The minimizer of d'B d/2 - <g, d> in the span of the basis, which begins with g/|g|: |g| Q T^-1 e_1. */
export function krylovStep(lanczos: Lanczos, length: number): Float64Array {
  const { basis, diagonal } = lanczos
  const right = new Float64Array(diagonal.length)
  right[0] = length
  const step = new Float64Array(basis[0].length)
  solve(tridiagonal(lanczos), right, diagonal.length).forEach((c, i) => {
    accumulate(step, c, basis[i])
  })
  return step
}

/** Numbers, each as often as its weight says: a picture of the spectrum of a matrix. */
export type Picture = { values: number[]; weights: number[] }

/**
 * The spectrum by Lanczos steps from a random direction: Ritz values with the weights of their quadrature (Ubaru, Chen,
 * Saad 2017). The `top` largest, which converge first, are taken as eigenvalues that stand alone.
 */
export function pictureOf(lanczos: Lanczos, dimension: number, top: number): Picture {
  const k = lanczos.diagonal.length
  const vectors = tridiagonal(lanczos)
  const ritz = symmetricEigen(vectors, k)
  const order = Array.from(ritz.keys()).sort((i, j) => ritz[j] - ritz[i])
  const alone = k === dimension ? k : Math.min(top, k - 1)
  const share = (i: number) => vectors[i] ** 2
  const rest = order.slice(alone).reduce((sum, i) => sum + share(i), 0)
  return {
    values: order.map((i) => ritz[i]),
    weights: order.map((i, place) => (place < alone ? 1 : ((dimension - alone) * share(i)) / rest)),
  }
}
