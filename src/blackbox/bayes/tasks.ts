/**
 * Earlier sessions as tasks of one model: f = sum_t rho_t m_t + delta. m_t is the posterior mean of a Gaussian process over the
 * trials of session t, in units of its own; delta is the process of this session's values. M. C. Kennedy, A. O'Hagan, "Predicting
 * the Output from a Complex Computer Code When Fast Approximations Are Available", Biometrika 87, 2000 (eq. 1, with several
 * tasks side by side). For Bayesian optimization K. Swersky, J. Snoek, R. P. Adams, "Multi-Task Bayesian Optimization", NeurIPS
 * 2013, learn correlations of tasks too; their joint process takes O((n + N)^3), this one O(n^3), for N earlier trials.
 *
 * rho is fitted with the hyperparameters of delta by maximum a posteriori. It is in units in which m_t and the values have the
 * same spread at the told points, so that where delta is nothing it is their correlation, under rho_t ~ N(1 / T, 1): an earlier
 * session counts until the values speak against it. One that is unrelated gets a rho of about 0, and one of opposite sign a
 * negative one.
 */
import type { EarlierSession } from '../../core/method.js'
import type { Workspace } from '../linalg/linalg.js'
import type { Encoding } from '../space/encoding.js'
import { type Row, standardization, standardized } from './data.js'
import { defaultTheta, fitHyperparameters } from './fit.js'
import type { LengthPrior } from './lengths.js'
import { type OutcomeTransform, transformed, transformOf } from './outcome.js'
import { type Dimensions, Surrogate, type Theta } from './surrogate.js'

const FIT_EVALUATIONS = 60

/** A function of points of the unit cube, with its derivative in each ordered dimension. */
export type Trend = { value(u: Float64Array): number; gradient(u: Float64Array): Float64Array }

/** The posterior mean of a surrogate without its constant. As there, unordered dimensions are of Hamming distance. */
class PosteriorMean implements Trend {
  private readonly weights: Float64Array
  /** By point, its coordinates in the order of the weights. */
  private readonly coordinates: Float64Array

  /** `dual` is K^-1 (y - mean) times the signal variance. */
  constructor(
    private readonly dimensions: Dimensions,
    theta: Theta,
    points: readonly Float64Array[],
    private readonly dual: Float64Array,
  ) {
    const axes = [...dimensions.ordered, ...dimensions.unordered]
    this.weights = theta.slice(0, axes.length).map(Math.exp)
    this.coordinates = Float64Array.from(points.flatMap((u) => axes.map((axis) => u[axis])))
  }

  value(u: Float64Array): number {
    return this.sum(u, (a) => 1 + a + (a * a) / 3)
  }

  gradient(u: Float64Array): Float64Array {
    const { ordered } = this.dimensions
    const { weights, coordinates } = this
    const gradient = new Float64Array(ordered.length)
    // dk/du_j = 2 w_j (u_j - x_j) k'(s), with k'(s) = -5/6 (1 + a) e^-a.
    this.sum(
      u,
      (a) => 1 + a,
      (part, at) => {
        for (let j = 0; j < ordered.length; j++)
          gradient[j] -= (5 / 3) * part * weights[j] * (u[ordered[j]] - coordinates[at + j])
      },
    )
    return gradient
  }

  /** Sum over the points of dual factor(a) e^-a, a = sqrt(5) r; each part with where its point begins. */
  private sum(u: Float64Array, factor: (a: number) => number, each?: (part: number, at: number) => void): number {
    const { weights, coordinates, dual } = this
    const { ordered, unordered } = this.dimensions
    const d = weights.length
    let total = 0
    for (let i = 0; i < dual.length; i++) {
      let s = 0
      for (let j = 0; j < ordered.length; j++) s += weights[j] * (u[ordered[j]] - coordinates[i * d + j]) ** 2
      for (let j = 0; j < unordered.length; j++)
        if (u[unordered[j]] !== coordinates[i * d + ordered.length + j]) s += weights[ordered.length + j]
      const a = Math.sqrt(5 * s)
      const part = dual[i] * factor(a) * Math.exp(-a)
      total += part
      each?.(part, i * d)
    }
    return total
  }
}

/** The model of every earlier session: derived from `run.earlier` alone, so the same after a restart. */
export function earlierMeans(
  workspace: Workspace,
  { encode }: Encoding,
  dimensions: Dimensions,
  earlier: readonly EarlierSession[],
  sign: number,
  { outcome, lengths }: { outcome?: OutcomeTransform; lengths?: LengthPrior },
): Trend[] {
  const d = dimensions.ordered.length + dimensions.unordered.length
  return earlier.flatMap(({ trials }) => {
    if (trials.length === 0) return []
    const told = trials.map(({ params, value }): Row => ({ u: encode(params).u, value: sign * value, noise: 0 }))
    const rows = transformed(told, transformOf(outcome, told))
    const data = standardized(rows, standardization(rows))
    const starts = [defaultTheta(d, { lengths })]
    const theta = fitHyperparameters(workspace, dimensions, data, starts, FIT_EVALUATIONS, { lengths })
    const dual = workspace.scope(() => {
      const model = new Surrogate(workspace, dimensions, theta, rows.length)
      model.factorize(data.points, data.noises)
      model.condition(data.values, data.noises)
      return model.dual().map((a) => a * model.variance)
    })
    return [new PosteriorMean(dimensions, theta, data.points, dual)]
  })
}

/** A sum of one or more functions with these factors. */
export const combined = (means: readonly Trend[], factors: ArrayLike<number>): Trend => ({
  value: (u) => means.reduce((sum, mean, t) => sum + factors[t] * mean.value(u), 0),
  gradient: (u) => {
    const [first, ...others] = means.map((mean, t) => mean.gradient(u).map((g) => factors[t] * g))
    for (const other of others) for (let j = 0; j < first.length; j++) first[j] += other[j]
    return first
  },
})

/**
 * The spread of each mean at the told points. One more deviation of 1, its unit, is counted among them: few points, or points
 * that are close together, do not make a small spread certain.
 */
export const spreads = (means: readonly Trend[], points: readonly Float64Array[]): number[] =>
  means.map((mean) => {
    const values = points.map((u) => mean.value(u))
    const center = values.reduce((sum, v) => sum + v / values.length, 0)
    return Math.sqrt(values.reduce((sum, v) => sum + (v - center) ** 2, 1) / values.length)
  })
