/**
 * The surrogate that slices, contours, predictions, Sobol' indices and cross-validation read: the Gaussian process of `gp`
 * (bayes/surrogate.ts), fitted to the told trials of one objective, whatever the session's method.
 */
import type { Params, SearchSpace } from '../../core/space.js'
import { type Row, standardization, standardized } from '../bayes/data.js'
import { defaultTheta, fitHyperparameters } from '../bayes/fit.js'
import { type Dimensions, type Factor, Surrogate, type Theta } from '../bayes/surrogate.js'
import { workspace } from '../linalg/linalg.js'
import type { Encoding } from '../space/encoding.js'
import { fewOf, type ToldTrial } from './trials.js'

/** Trials in the model; of more, a part (see `fewOf`). */
export const MAX_ROWS = 600
/** Fewer trials say too little. */
export const MIN_ROWS = 4
/** Likelihood evaluations of the fit times rows^3, and the fewest and most of them. */
const FIT_WORK = 5e9
const [LEAST, MOST] = [15, 60]

/** Mean and standard deviation of the noiseless value. */
export type Moments = { mean: number; deviation: number }

export class Model {
  /** The trials that it was fitted to. */
  readonly trials: readonly ToldTrial[]
  readonly theta: Theta
  /** Lower factor of the kernel matrix with its noise, packed row by row, in units of the standardization. */
  readonly factor: Factor
  /** Standardized values, in the direction of minimization. */
  readonly values: readonly number[]
  private readonly dimensions: Dimensions
  private readonly points: readonly Float64Array[]
  private readonly noises: readonly number[]
  private readonly units: { center: number; scale: number }

  /** `sign` is -1 for an objective to maximize. */
  constructor(
    readonly encoding: Encoding,
    trials: readonly ToldTrial[],
    objective: number,
    private readonly sign: number,
  ) {
    const axes = [...encoding.axes.keys()]
    this.dimensions = {
      ordered: axes.filter((i) => encoding.axes[i].ordered),
      unordered: axes.filter((i) => !encoding.axes[i].ordered),
    }
    this.trials = fewOf(trials, objective, sign, MAX_ROWS)
    const kept: Row[] = this.trials.map(({ u, values }) => ({ u, value: sign * values[objective], noise: 0 }))
    this.units = standardization(kept)
    const data = standardized(kept, this.units)
    this.points = data.points
    this.values = data.values
    this.noises = data.noises
    const evaluations = Math.round(Math.min(MOST, Math.max(LEAST, FIT_WORK / kept.length ** 3)))
    this.theta = fitHyperparameters(workspace(), this.dimensions, data, [defaultTheta(axes.length)], evaluations)
    this.factor = workspace().scope(() => {
      const surrogate = new Surrogate(workspace(), this.dimensions, this.theta, kept.length)
      surrogate.factorize(this.points, this.noises)
      return surrogate.save()
    })
  }

  /** At vectors of the unit cube, in the units and the direction of the objective. */
  predict(points: readonly Float64Array[]): Moments[] {
    const { factor, values, noises } = this
    return workspace().scope(() => {
      const surrogate = new Surrogate(workspace(), this.dimensions, this.theta, factor.rows)
      surrogate.restore(factor, this.points)
      surrogate.condition(values, noises)
      return surrogate.predict(points, false).map(({ mean, variance }) => this.inUnits(mean, variance))
    })
  }

  predictParams(params: readonly Params[]): Moments[] {
    return this.predict(params.map((p) => this.encoding.encode(p).u))
  }

  /** Of moments of standardized values. */
  inUnits(mean: number, variance: number): Moments {
    const { center, scale } = this.units
    return { mean: this.sign * (center + scale * mean), deviation: scale * Math.sqrt(variance) }
  }
}

/** Whether a space has something to model: constants and single choices have one point. */
export const isModelled = ({ parameters }: SearchSpace, { cardinality }: Encoding): boolean =>
  parameters.length > 0 && cardinality > 1
