/**
 * Preconditioners P that are fitted to pairs (v, h = H*v), v standard normal: the minimizer of E[h'P h + v'P^-1 v] is
 * (E h h')^-1/2, which is |H|^-1 for exact products. X.-L. Li, "Stochastic Hessian Fittings with Lie Groups", 2024
 * (arXiv:2402.11858); "Curvature-Informed SGD via General Purpose Lie-Group Preconditioners", 2024 (arXiv:2402.04553).
 */
import type { Rng } from '../../core/rng.js'

/** A preconditioner under fit. Plain data. */
export type Fit = { [name: string]: Float64Array }

/** What is to be fitted: all parameters as one vector, made of matrices of these sides one after the other. */
export type Layout = {
  dimension: number
  /** Rows and columns of each tensor: the first axis, and all others. */
  sides: readonly (readonly [number, number])[]
  /** Columns of the low-rank part. */
  rank: number
  /** Sides above this have a diagonal factor in products of Kronecker. */
  maxSide: number
}

export interface Fitting {
  /** The step on a pair, as LaTeX. */
  equations: readonly string[]
  /** P = scale^2*I. */
  begin(layout: Layout, scale: number, rng: Rng): Fit
  /** A step of size mu on a pair. Pairs that say nothing, such as zeros, change nothing. */
  learn(fit: Fit, layout: Layout, pair: { v: Float64Array; h: Float64Array }, mu: number, rng: Rng): void
  /** P*g */
  apply(fit: Fit, layout: Layout, g: Float64Array): Float64Array
  /** P^-1*v */
  invert(fit: Fit, layout: Layout, v: Float64Array): Float64Array
  /** Numbers that a fit holds. */
  size(layout: Layout): number
}

/** scale of Q in P = Q'Q that makes |P*h| about |v| on the first pair; 1 where it says nothing. */
export function scaleOf(v: Float64Array, h: Float64Array): number {
  const mean = (x: Float64Array, power: number) => x.reduce((sum, xi) => sum + xi ** power, 0) / x.length
  const scale = mean(v, 2) ** (1 / 4) / mean(h, 4) ** (1 / 8)
  return Number.isFinite(scale) && scale > 0 ? scale : 1
}
