/**
 * Input warping: a stationary process over coordinates that are bent, each by a distribution function of the unit interval
 * whose two shapes are fitted with the other hyperparameters. It learns that a parameter matters in its logarithm, say.
 * J. Snoek, K. Swersky, R. Zemel, R. P. Adams, "Input Warping for Bayesian Optimization of Non-Stationary Functions", ICML
 * 2014, arXiv 1402.0929, with log-normal priors as there. In place of their beta distribution that of P. Kumaraswamy,
 * "A generalized probability density function for double-bounded random processes", J. Hydrol. 46, 1980, as in BoTorch:
 *   w(u) = 1 - (1 - u^a)^b,
 * which has the same shapes and simple derivatives. a = b = 1 bends nothing.
 */
import type { Acquisition } from './search.js'

/** Coordinates are kept this far from 0 and 1, where slopes have poles: BoTorch's number. */
const MARGIN = 1e-7
/** Variance of log a and of log b, BoTorch's; their mean is 0. */
const SPREAD = 0.75
/** Largest |log a| and |log b|. */
export const WARP_BOUND = Math.log(20)

/** log prior density of log a and log b, up to a constant: greatest where nothing is bent. Adds its gradient at `from`. */
export function logWarpPrior(theta: Float64Array, from: number, to: number, gradient: Float64Array): number {
  let value = 0
  for (let k = from; k < to; k++) {
    value -= theta[k] ** 2 / (2 * SPREAD)
    gradient[k] -= theta[k] / SPREAD
  }
  return value
}

export class Warp {
  /** `shapes` are log a and log b of each of the axes. */
  constructor(
    readonly axes: readonly number[],
    private readonly shapes: Float64Array,
  ) {}

  /** v = u away from the poles, a, b, u^a, 1 - u^a. */
  private parts(u: Float64Array, k: number) {
    const v = MARGIN + (1 - 2 * MARGIN) * u[this.axes[k]]
    const [a, b] = [Math.exp(this.shapes[2 * k]), Math.exp(this.shapes[2 * k + 1])]
    const exponent = a * Math.log(v)
    return { v, a, b, power: Math.exp(exponent), rest: -Math.expm1(exponent) }
  }

  /** A vector with its coordinates bent. */
  at(u: Float64Array): Float64Array {
    const bent = u.slice()
    this.axes.forEach((axis, k) => {
      const { b, rest } = this.parts(u, k)
      bent[axis] = -Math.expm1(b * Math.log(rest))
    })
    return bent
  }

  /** Derivatives of the coordinates of `at` in those of u: the diagonal of its Jacobian. */
  slopes(u: Float64Array): Float64Array {
    const slopes = new Float64Array(u.length).fill(1)
    this.axes.forEach((axis, k) => {
      const { v, a, b, power, rest } = this.parts(u, k)
      slopes[axis] = (1 - 2 * MARGIN) * a * b * (power / v) * rest ** (b - 1)
    })
    return slopes
  }

  /** Gradient in the shapes of what has the gradient `outer` in the coordinates of `at`; added to `gradient` from `from` on. */
  pull(u: Float64Array, outer: Float64Array, gradient: Float64Array, from: number): void {
    this.axes.forEach((axis, k) => {
      const { v, a, b, power, rest } = this.parts(u, k)
      gradient[from + 2 * k] += outer[axis] * b * rest ** (b - 1) * power * a * Math.log(v)
      gradient[from + 2 * k + 1] -= outer[axis] * rest ** b * b * Math.log(rest)
    })
  }

  /** An acquisition of bent vectors as one of vectors. */
  unbent({ values, gradients }: Acquisition): Acquisition {
    const at = (u: Float64Array) => this.at(u)
    return {
      values: (points) => values(points.map(at)),
      gradients: (points) =>
        gradients(points.map(at)).map(({ value, gradient }, i) => {
          const slopes = this.slopes(points[i])
          return { value, gradient: gradient.map((g, axis) => g * slopes[axis]) }
        }),
    }
  }
}
