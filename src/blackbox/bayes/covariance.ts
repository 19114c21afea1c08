/**
 * Covariances of a Gaussian process and of its partial derivatives, over vectors of the unit cube.
 * C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, 4.2 and 9.4.
 *
 * With s = sum_i w_i (x_i - y_i)^2 over the ordered dimensions, w_i = 1/length_i^2, and d = x - y:
 *   cov(f(x), f(y)) = k(s),                     cov(f(x), df/dy_j) = -2 w_j d_j k'(s),
 *   cov(df/dx_i, df/dy_j) = -2 w_i [i = j] k'(s) - 4 w_i w_j d_i d_j k''(s).
 * Every unordered dimension multiplies by exp(-w) where the two points differ in it: tasks and other categories.
 */
import type { Dimensions, Theta } from './surrogate.js'

export const KERNELS = ['matern52', 'rbf'] as const
export type KernelKind = (typeof KERNELS)[number]

/** k and its first three derivatives in s. k''' of Matérn 5/2 at 0 only ever meets a factor 0. */
function radial(kind: KernelKind, s: number): readonly [number, number, number, number] {
  if (kind === 'rbf') {
    const k = Math.exp(-0.5 * s)
    return [k, -0.5 * k, 0.25 * k, -0.125 * k]
  }
  const a = Math.sqrt(5 * s)
  const e = Math.exp(-a)
  return [(1 + a + (a * a) / 3) * e, (-5 / 6) * (1 + a) * e, (25 / 12) * e, a > 0 ? ((-125 / 24) * e) / a : 0]
}

/** What a process needs to know of a covariance function. */
export type Kernel = {
  /** Ordered dimensions: those that derivatives are taken in. */
  readonly ordered: number
  readonly weights: Float64Array
  /** Prior variance, the same everywhere. */
  readonly variance: number
  /** Variance of the noise of every value. */
  readonly noise: number
  value(x: Float64Array, y: Float64Array): number
  block(x: Float64Array, y: Float64Array, dx: boolean, dy: boolean, l?: number): Float64Array
}

export class Covariance implements Kernel {
  readonly ordered: number
  /** 1/length^2 of the ordered, then the weights of the unordered dimensions. */
  readonly weights: Float64Array
  readonly variance: number
  readonly noise: number
  private readonly delta: Float64Array

  /** `theta` as of the surrogate: log weights, log signal variance, log noise variance, and what a fit has beside. */
  constructor(
    readonly kind: KernelKind,
    private readonly dimensions: Dimensions,
    theta: Theta,
  ) {
    const d = dimensions.ordered.length + dimensions.unordered.length
    this.ordered = dimensions.ordered.length
    this.weights = theta.slice(0, d).map(Math.exp)
    this.variance = Math.exp(theta[d])
    this.noise = Math.exp(theta[d + 1])
    this.delta = new Float64Array(this.ordered)
  }

  /** Factor of the unordered dimensions; leaves x - y in `delta`, and returns s. */
  private compare(x: Float64Array, y: Float64Array): { s: number; factor: number } {
    const { ordered, unordered } = this.dimensions
    let s = 0
    for (let i = 0; i < ordered.length; i++) {
      const axis = ordered[i]
      const d = x[axis] - y[axis]
      this.delta[i] = d
      s += this.weights[i] * d * d
    }
    let h = 0
    for (let i = 0; i < unordered.length; i++)
      if (x[unordered[i]] !== y[unordered[i]]) h += this.weights[ordered.length + i]
    return { s, factor: h === 0 ? this.variance : this.variance * Math.exp(-h) }
  }

  value(x: Float64Array, y: Float64Array): number {
    const { s, factor } = this.compare(x, y)
    if (this.kind === 'rbf') return factor * Math.exp(-0.5 * s)
    const a = Math.sqrt(5 * s)
    return factor * (1 + a + (a * a) / 3) * Math.exp(-a)
  }

  /**
   * The covariances of (f, df) at x with (f, df) at y, row by row; df are the derivatives in the ordered dimensions, and
   * left out where the flag is false. With `l`, the derivative of all that in the logarithm of weight l.
   */
  block(x: Float64Array, y: Float64Array, dx: boolean, dy: boolean, l = -1): Float64Array {
    const { ordered: c, weights: w, delta: d } = this
    const { s, factor } = this.compare(x, y)
    const [rows, columns] = [dx ? c + 1 : 1, dy ? c + 1 : 1]
    const out = new Float64Array(rows * columns)
    const [k0, k1, k2, k3] = radial(this.kind, s)
    // Of an ordered weight: s changes by q, and so does every factor w_i with i = l.
    const slope = l >= 0 && l < c
    const q = slope ? w[l] * d[l] * d[l] : 0
    const [a0, a1, a2] = slope ? [k1 * q, k2 * q, k3 * q] : [k0, k1, k2]
    const [e1, e2] = slope ? [k1, k2] : [0, 0]
    const once = (i: number) => (i === l ? 1 : 0)
    const first = (i: number) => 2 * w[i] * d[i] * (a1 + once(i) * e1)
    out[0] = a0
    for (let j = 1; j < columns; j++) out[j] = -first(j - 1)
    for (let i = 1; i < rows; i++) {
      out[i * columns] = first(i - 1)
      for (let j = 1; j < columns; j++) {
        const [m, n] = [i - 1, j - 1]
        const mixed = -4 * w[m] * w[n] * d[m] * d[n] * (a2 + (once(m) + once(n)) * e2)
        out[i * columns + j] = m === n ? mixed - 2 * w[m] * (a1 + once(m) * e1) : mixed
      }
    }
    const axis = l >= c ? this.dimensions.unordered[l - c] : -1
    const scale = axis < 0 ? factor : x[axis] === y[axis] ? 0 : -w[l] * factor
    for (let i = 0; i < out.length; i++) out[i] *= scale
    return out
  }
}

/** The sum of equally weighted covariances over some dimensions each: an additive process. Values only. */
export class AdditiveCovariance implements Kernel {
  readonly ordered: number
  readonly weights: Float64Array
  readonly variance: number
  readonly noise: number
  readonly parts: readonly Covariance[]

  constructor(
    kind: KernelKind,
    readonly factors: readonly (readonly number[])[],
    theta: Theta,
  ) {
    const d = theta.length - 2
    this.ordered = d
    this.weights = theta.slice(0, d).map(Math.exp)
    this.variance = Math.exp(theta[d])
    this.noise = Math.exp(theta[d + 1])
    const share = theta[d] - Math.log(factors.length)
    this.parts = factors.map((axes) => {
      const own = Float64Array.of(...axes.map((axis) => theta[axis]), share, theta[d + 1])
      return new Covariance(kind, { ordered: axes, unordered: [] }, own)
    })
  }

  value(x: Float64Array, y: Float64Array): number {
    let sum = 0
    for (const part of this.parts) sum += part.value(x, y)
    return sum
  }

  block(x: Float64Array, y: Float64Array, _dx: boolean, _dy: boolean, l = -1): Float64Array {
    if (l < 0) return Float64Array.of(this.value(x, y))
    let sum = 0
    this.factors.forEach((axes, i) => {
      if (axes.includes(l)) sum += this.parts[i].block(x, y, false, false, axes.indexOf(l))[0]
    })
    return Float64Array.of(sum)
  }
}
