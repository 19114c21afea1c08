/**
 * Changes of latent coordinates z = M(u), with their derivatives. Parameters are one vector: of `linear` the matrix by rows;
 * of `affine` the matrix and the offset; of `mlp`, z = u + W2*tanh(W1*u + b1) + b2, they are W1, b1, W2 and b2.
 */
import type { Rng } from '../../core/rng.js'

export const MAPS = ['linear', 'affine', 'mlp'] as const
export type MapKind = (typeof MAPS)[number]

/** A map at some parameters. */
export interface LatentMap {
  forward(u: ArrayLike<number>): Float64Array
  /** Of the gradient g by z at M(u): that by u; and, added times `scale` to `into` where given, that by the parameters. */
  pull(u: ArrayLike<number>, g: ArrayLike<number>, into?: Float64Array, scale?: number): Float64Array
}

/** Hidden units of a map of so many parameters over latents of dimension d; not whole where the numbers do not fit. */
const hiddenOf = (parameters: number, d: number): number => (parameters - d) / (2 * d + 1)

/** What numbers of parameters a map can have over latents of dimension d, in words; undefined where this one is right. */
export function expected(kind: MapKind, parameters: number, d: number): string | undefined {
  if (kind === 'linear') return parameters === d * d ? undefined : `${d * d} elements, a matrix`
  if (kind === 'affine') return parameters === d * d + d ? undefined : `${d * d + d} elements, a matrix and an offset`
  const hidden = hiddenOf(parameters, d)
  return Number.isInteger(hidden) && hidden > 0 ? undefined : `${2 * d + 1}*h + ${d} elements for h hidden units`
}

/** Parameters at their start; where they are all zero, the identity, for mlp with random directions of the hidden units. */
export function startOr(start: Float64Array, kind: MapKind, d: number, rng: Rng): Float64Array {
  if (start.some((value) => value !== 0)) return start
  const phi = start.slice()
  if (kind === 'mlp') for (let i = 0; i < hiddenOf(phi.length, d) * d; i++) phi[i] = rng.normal() / Math.sqrt(d)
  else for (let i = 0; i < d; i++) phi[i * d + i] = 1
  return phi
}

function matrixMap(phi: ArrayLike<number>, d: number): LatentMap {
  const offset = phi.length > d * d
  return {
    forward(u) {
      const z = new Float64Array(d)
      for (let i = 0; i < d; i++) {
        if (offset) z[i] = phi[d * d + i]
        for (let j = 0; j < d; j++) z[i] += phi[i * d + j] * u[j]
      }
      return z
    },
    pull(u, g, into, scale = 1) {
      const back = new Float64Array(d)
      for (let i = 0; i < d; i++) {
        for (let j = 0; j < d; j++) {
          back[j] += phi[i * d + j] * g[i]
          if (into) into[i * d + j] += scale * g[i] * u[j]
        }
        if (into && offset) into[d * d + i] += scale * g[i]
      }
      return back
    },
  }
}

function residualMap(phi: ArrayLike<number>, d: number): LatentMap {
  const h = hiddenOf(phi.length, d)
  const [b1, W2, b2] = [h * d, h * d + h, 2 * h * d + h]
  const hidden = (u: ArrayLike<number>) =>
    Float64Array.from({ length: h }, (_, k) => {
      let sum = phi[b1 + k]
      for (let j = 0; j < d; j++) sum += phi[k * d + j] * u[j]
      return Math.tanh(sum)
    })
  return {
    forward(u) {
      const a = hidden(u)
      return Float64Array.from({ length: d }, (_, i) => {
        let z = u[i] + phi[b2 + i]
        for (let k = 0; k < h; k++) z += phi[W2 + i * h + k] * a[k]
        return z
      })
    },
    pull(u, g, into, scale = 1) {
      const a = hidden(u)
      const back = Float64Array.from({ length: d }, (_, i) => g[i])
      for (let k = 0; k < h; k++) {
        let slope = 0
        for (let i = 0; i < d; i++) {
          slope += phi[W2 + i * h + k] * g[i]
          if (into) into[W2 + i * h + k] += scale * g[i] * a[k]
        }
        slope *= 1 - a[k] ** 2
        for (let j = 0; j < d; j++) {
          back[j] += slope * phi[k * d + j]
          if (into) into[k * d + j] += scale * slope * u[j]
        }
        if (into) into[b1 + k] += scale * slope
      }
      if (into) for (let i = 0; i < d; i++) into[b2 + i] += scale * g[i]
      return back
    },
  }
}

export const mapOf = (kind: MapKind, phi: ArrayLike<number>, d: number): LatentMap =>
  kind === 'mlp' ? residualMap(phi, d) : matrixMap(phi, d)

/** Applies a function to every row of d numbers, one after the other. */
export function byRow(values: ArrayLike<number>, d: number, of: (row: Float64Array, at: number) => Float64Array) {
  const all = Float64Array.from(values)
  const result = new Float64Array(all.length)
  for (let at = 0; at < all.length; at += d) result.set(of(all.subarray(at, at + d), at), at)
  return result
}
