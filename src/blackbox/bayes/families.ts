/**
 * Parametric families f_w(x) over points of the unit cube, with derivatives in w and in x. Inputs are 2u - 1, and 1 for
 * the constant.
 */
import type { Rng } from '../../core/rng.js'

export const LINKS = ['identity', 'logistic', 'exponential'] as const
export type Link = (typeof LINKS)[number]

export type Family = {
  /** Number of parameters w. */
  size: number
  value(w: Float64Array, u: Float64Array): number
  /** The gradient in w. */
  inParameters(w: Float64Array, u: Float64Array): Float64Array
  /** The gradient in u. */
  inPoint(w: Float64Array, u: Float64Array): Float64Array
  /** Somewhere for a fit to start. */
  draw(rng: Rng): Float64Array
  /** For f = s(w'z) with an increasing s: z and s. */
  linear?: { features(u: Float64Array): Float64Array; link(t: number): number }
}

const inputs = (u: Float64Array): Float64Array => Float64Array.from([...u.map((v) => 2 * v - 1), 1])
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, v, i) => sum + v * b[i], 0)

/** s and s'. */
const links: { readonly [link in Link]: (t: number) => readonly [number, number] } = {
  identity: (t) => [t, 1],
  logistic: (t) => {
    const s = 1 / (1 + Math.exp(-t))
    return [s, s * (1 - s)]
  },
  // Bounded, so that its square is still a number to compute with.
  exponential: (t) => [Math.exp(Math.min(t, 50)), Math.exp(Math.min(t, 50))],
}

/** Generalized linear: s(w'z). */
export function generalizedLinear(d: number, link: Link): Family {
  const s = links[link]
  return {
    size: d + 1,
    value: (w, u) => s(dot(w, inputs(u)))[0],
    inParameters(w, u) {
      const z = inputs(u)
      const [, slope] = s(dot(w, z))
      return z.map((v) => slope * v)
    },
    inPoint(w, u) {
      const [, slope] = s(dot(w, inputs(u)))
      return u.map((_, i) => 2 * slope * w[i])
    },
    draw: (rng) => Float64Array.from({ length: d + 1 }, () => 0.1 * rng.normal()),
    linear: { features: inputs, link: (t) => s(t)[0] },
  }
}

/** One hidden layer: a' tanh(W z) + b. Parameters: a, b, then W row by row. */
export function network(d: number, hidden: number): Family {
  const columns = d + 1
  const layer = (w: Float64Array, z: Float64Array) =>
    Float64Array.from({ length: hidden }, (_, j) => {
      const at = hidden + 1 + j * columns
      return Math.tanh(dot(w.subarray(at, at + columns), z))
    })
  return {
    size: hidden + 1 + hidden * columns,
    value(w, u) {
      const h = layer(w, inputs(u))
      return h.reduce((sum, v, j) => sum + w[j] * v, w[hidden])
    },
    inParameters(w, u) {
      const z = inputs(u)
      const h = layer(w, z)
      const gradient = new Float64Array(w.length)
      gradient.set(h)
      gradient[hidden] = 1
      h.forEach((v, j) => {
        const scale = w[j] * (1 - v * v)
        for (let i = 0; i < columns; i++) gradient[hidden + 1 + j * columns + i] = scale * z[i]
      })
      return gradient
    },
    inPoint(w, u) {
      const h = layer(w, inputs(u))
      return u.map((_, i) => h.reduce((sum, v, j) => sum + 2 * w[j] * (1 - v * v) * w[hidden + 1 + j * columns + i], 0))
    },
    draw: (rng) =>
      Float64Array.from({ length: hidden + 1 + hidden * columns }, (_, k) =>
        k <= hidden ? rng.normal() / Math.sqrt(hidden) : rng.normal() / Math.sqrt(columns),
      ),
  }
}
