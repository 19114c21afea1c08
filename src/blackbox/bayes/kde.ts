/**
 * A kernel density estimate over coordinates in [0, 1], as BOHB uses it.
 * S. Falkner, A. Klein, F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
 * arXiv:1807.01774, section 4 and appendix D: one multidimensional kernel per point, a Gaussian in ordered coordinates,
 * Aitchison-Aitken's in categories. Bandwidths by the normal reference rule (statsmodels' KDEMultivariate):
 * 1.06 sigma_i n^(-1 / (4 + d)).
 */
import type { Rng } from '../../core/rng.js'
import type { Axis } from '../space/encoding.js'

const REJECTIONS = 100
const choiceOf = (axis: Axis, u: number): number => axis.values!.index(u)
const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length

export class Density {
  readonly bandwidths: Float64Array

  /** `points`: complete vectors, one coordinate per axis. */
  constructor(
    readonly axes: readonly Axis[],
    readonly points: readonly Float64Array[],
    minBandwidth: number,
  ) {
    const factor = 1.06 * points.length ** (-1 / (4 + axes.length))
    this.bandwidths = Float64Array.from(axes, (axis, i) => {
      const x = points.map((u) => (axis.ordered ? u[i] : choiceOf(axis, u[i])))
      const center = mean(x)
      const width = Math.max(minBandwidth, factor * Math.sqrt(mean(x.map((v) => (v - center) ** 2))))
      // Beyond (c - 1) / c a category's kernel would prefer the other ones.
      return axis.ordered ? width : Math.min(width, 1 - 1 / axis.size)
    })
  }

  /** log of the density at a vector. */
  logDensity(x: Float64Array): number {
    const { axes, points, bandwidths } = this
    const terms = points.map((u) =>
      axes.reduce((sum, axis, i) => {
        const h = bandwidths[i]
        if (axis.ordered) return sum - 0.5 * ((x[i] - u[i]) / h) ** 2 - Math.log(h * Math.sqrt(2 * Math.PI))
        if (axis.size === 1) return sum
        return sum + Math.log(choiceOf(axis, x[i]) === choiceOf(axis, u[i]) ? 1 - h : h / (axis.size - 1))
      }, 0),
    )
    const most = terms.reduce((a, b) => Math.max(a, b))
    return most + Math.log(mean(terms.map((term) => Math.exp(term - most))))
  }

  /**
   * A draw around a random point: with `widen` times the bandwidth in ordered coordinates, truncated to [0, 1]; a category
   * stays with probability 1 - bandwidth, and is uniform otherwise.
   */
  sample(rng: Rng, widen: number): Float64Array {
    const center = this.points[rng.integer(this.points.length)]
    return Float64Array.from(this.axes, (axis, i) => {
      const h = this.bandwidths[i]
      if (!axis.ordered) return rng.uniform() < 1 - h ? center[i] : rng.uniform()
      for (let k = 0; k < REJECTIONS; k++) {
        const x = center[i] + widen * h * rng.normal()
        if (x >= 0 && x <= 1) return x
      }
      return center[i]
    })
  }
}
