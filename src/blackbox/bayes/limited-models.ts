/**
 * Models of what is told of trials, each a Gaussian process over one number, and the acquisition that several of them make: a
 * log worth of some, times the probability that the others, constraints, are not above zero.
 */
import { workspace } from '../linalg/linalg.js'
import { leadingFronts } from '../space/hypervolume.js'
import { logNormalCdf } from './acquisition.js'
import type { Trial } from './beliefs.js'
import { standardization, standardized } from './data.js'
import { defaultTheta, fitHyperparameters } from './fit.js'
import type { Normals } from './improvement-volume.js'
import type { Acquisition } from './search.js'
import { type Dimensions, Surrogate } from './surrogate.js'
import { isFeasible } from './trials.js'

const FIT_EVALUATIONS = 30

export type Fit = { center: number; scale: number; theta: Float64Array }
export type ModelScene = { dimensions: Dimensions; pending: readonly Float64Array[] }

/** One told number of trials, NaN where it was not told. */
export type Read = (trial: Trial) => number
export type Model = { surrogate: Surrogate; fit: Fit; means: Float64Array; rows: readonly Trial[] }
/** Log worth and slopes in the objectives' means and deviations, then in those of the constraints. */
export type Log = { value: number; dMeans: ArrayLike<number>; dDeviations: ArrayLike<number> }

/** Whole fronts while they fill no more than half, then evenly spaced others; in the order told. */
export function kept(trials: readonly Trial[], limit: number): readonly Trial[] {
  if (trials.length <= limit) return trials
  const feasible = trials.filter(isFeasible)
  const fronts = leadingFronts(
    feasible.map(({ values }) => values as Float64Array),
    limit >> 1,
  )
  const first = new Set(
    fronts
      .flat()
      .slice(0, limit >> 1)
      .map((i) => feasible[i]),
  )
  const rest = trials.filter((trial) => !first.has(trial))
  const spaced = limit - first.size
  for (let i = 0; i < spaced; i++) first.add(rest[Math.floor((i * rest.length) / spaced)])
  return trials.filter((trial) => first.has(trial))
}

/** Numbers of the trials as rows of one model; constraints that were not told are left out. */
export const rowsOf = (trials: readonly Trial[], read: Read, whole: boolean) =>
  trials.map((trial) => ({ ...trial, value: read(trial) })).filter(({ value }) => whole || Number.isFinite(value))

export function fitted({ dimensions }: ModelScene, rows: readonly Trial[], start?: Float64Array): Fit {
  const units = standardization(rows)
  const starts = [defaultTheta(dimensions.ordered.length + dimensions.unordered.length), ...(start ? [start] : [])]
  const theta = fitHyperparameters(workspace(), dimensions, standardized(rows, units), starts, FIT_EVALUATIONS)
  return { ...units, theta }
}

/** A model of rows, with room for points that are believed. */
export function modelOf({ dimensions, pending }: ModelScene, rows: readonly Trial[], fit: Fit, count: number): Model {
  const { points, values, noises } = standardized(rows, fit)
  const surrogate = new Surrogate(workspace(), dimensions, fit.theta, rows.length + pending.length + count)
  surrogate.factorize(points, noises)
  return { surrogate, fit, means: surrogate.condition(values, noises), rows }
}

/** Log probability that a normal constraint is not above zero. */
function holds(mean: number, deviation: number, bound: number): { value: number; dMean: number; dDeviation: number } {
  const z = (bound - mean) / deviation
  const value = logNormalCdf(z)
  const slope = Math.exp(-0.5 * z * z - 0.5 * Math.log(2 * Math.PI) - value) / deviation
  return { value, dMean: -slope, dDeviation: -slope * z }
}

/** An acquisition of models: a log worth of the first ones' normals times the probability that constraints hold. */
export function acquisitionOf(
  worth: ((normals: Normals) => Log) | undefined,
  own: Model[],
  limits: Model[],
): Acquisition {
  const models = worth ? [...own, ...limits] : limits
  const split = worth ? own.length : 0
  const at = (points: readonly Float64Array[], gradients: boolean) => {
    const all = models.map(({ surrogate }) => surrogate.predict(points, gradients))
    return points.map((u, i) => {
      const means = all.map((predictions) => predictions[i].mean)
      const deviations = all.map((predictions) => Math.sqrt(predictions[i].variance))
      const main = worth?.({ means: means.slice(0, split), deviations: deviations.slice(0, split) })
      const limited = limits.map(({ fit }, c) =>
        holds(means[split + c], deviations[split + c], 2 * (-fit.center / 2 / fit.scale)),
      )
      const value = (main?.value ?? 0) + limited.reduce((sum, { value: log }) => sum + log, 0)
      const gradient = new Float64Array(u.length)
      if (!gradients) return { value, gradient }
      all.forEach((predictions, k) => {
        const { dMean, dVariance } = predictions[i]
        const dm = k < split ? main!.dMeans[k] : limited[k - split].dMean
        const ds = k < split ? main!.dDeviations[k] : limited[k - split].dDeviation
        for (let a = 0; a < u.length; a++) gradient[a] += dm * dMean![a] + (ds * dVariance![a]) / (2 * deviations[k])
      })
      return { value, gradient }
    })
  }
  return { values: (points) => at(points, false).map(({ value }) => value), gradients: (points) => at(points, true) }
}

/** Where nothing is feasible and no constraint says why: where least is known. */
export const anywhere = ({ means, deviations }: Normals): Log => ({
  value: Array.from(deviations).reduce((sum, s) => sum + Math.log(s), 0),
  dMeans: Array.from(means, () => 0),
  dDeviations: Array.from(deviations, (s) => 1 / s),
})
