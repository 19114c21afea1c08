/** Conjugate gradients as a state: M. R. Hestenes, E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952. */
import { accumulate, dot, norm, plus } from '../flat.js'

/** Solves A*x = right for a positive definite A that is known by its products; plain data. */
export type ConjugateGradients = {
  x: Float64Array
  residual: Float64Array
  /** The direction whose product is wanted next. */
  direction: Float64Array
  right: number
  iterations: number
}

export const beginSolve = (right: Float64Array): ConjugateGradients => ({
  x: new Float64Array(right.length),
  residual: right.slice(),
  direction: right.slice(),
  right: norm(right),
  iterations: 0,
})

/**
 * Takes A*direction. `more`: the next product is wanted. `solved`: the residual is at most `tolerance` times the right
 * side, or `limit` products are taken. `indefinite`: the curvature along the direction is not positive; x stays.
 */
export function advanceSolve(
  cg: ConjugateGradients,
  product: Float64Array,
  { tolerance, limit }: { tolerance: number; limit: number },
): 'more' | 'solved' | 'indefinite' {
  const curvature = dot(cg.direction, product)
  if (!(curvature > 0)) return 'indefinite'
  const square = dot(cg.residual, cg.residual)
  accumulate(cg.x, square / curvature, cg.direction)
  accumulate(cg.residual, -square / curvature, product)
  cg.iterations++
  const left = dot(cg.residual, cg.residual)
  if (Math.sqrt(left) <= tolerance * cg.right || cg.iterations >= limit) return 'solved'
  cg.direction = plus(cg.residual, left / square, cg.direction)
  return 'more'
}
