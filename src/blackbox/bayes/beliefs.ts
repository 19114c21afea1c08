/**
 * All that was told of trials (values, gradients, constraints, costs), and the Gaussian processes that it makes: one for
 * the objective, one for each constraint, one for the logarithm of the cost where that is learned.
 */
import type { Params } from '../../core/space.js'
import { Covariance, type KernelKind } from './covariance.js'
import { type Row, standardization, standardized, subset } from './data.js'
import { defaultTheta, rhoOf } from './fit.js'
import type { LengthPrior } from './lengths.js'
import { type OutcomeTransform, type Transform, transformed, transformOf } from './outcome.js'
import { type Datum, fitProcess, type PriorMean, Process } from './process.js'
import type { Dimensions, Theta } from './surrogate.js'
import { combined, spreads, type Trend } from './tasks.js'

/** A told trial; the value is NaN where it was infeasible. The gradient is that in unit coordinates, ordered ones only. */
export type Trial = Row & {
  params: Params
  gradient: Float64Array | null
  /** <= 0 is feasible. NaN where nothing was told. */
  constraints: Float64Array
  cost: number
  trial: number
  /** All objectives, to be minimized, where there are several; `value` is the first. */
  values?: Float64Array
  /** It was given up with its last value, which informs, and is no answer. */
  pruned?: true
}

/** Which number of a trial a process models: the objective, constraint i, or the logarithm of the cost. */
export type Channel = 'objective' | 'cost' | number
/** Units and hyperparameters of one process, and what the means of earlier sessions are multiplied by in it. */
export type Fit = { center: number; scale: number; theta: Theta; factors?: Float64Array }
export type Beliefs = { fits: readonly Fit[]; processes: readonly Process[] }

export type ModelOptions = {
  kind: KernelKind
  prior: PriorMean
  /** Standard deviation of the objective's noise where it is known. */
  noise?: number
  maxRows: number
  /** What becomes of values of the objective before they are standardized; nothing when absent. Told gradients don't follow. */
  outcome?: OutcomeTransform
  lengths?: LengthPrior
  /** Models of earlier sessions, for the objective. */
  tasks?: readonly Trend[]
}

/** Evaluations of the likelihood per fit. */
const FIT_EVALUATIONS = 40

/** The transform of the objective's values that the first `fitted` trials give: those of a fit, so that it stays until the next. */
export const outcomeOf = (
  trials: readonly Trial[],
  { outcome = 'standardize' }: ModelOptions,
  fitted: number,
): Transform => transformOf(outcome, trials.slice(0, fitted))

/** What the process of a channel is conditioned on, of values transformed. Infeasible trials have the worst value of the others. */
function rowsOf(trials: readonly Trial[], channel: Channel, transform: Transform): Trial[] {
  const read = (trial: Trial) =>
    channel === 'objective' ? trial.value : channel === 'cost' ? Math.log(trial.cost) : trial.constraints[channel]
  const rows = trials.map((trial) => ({ ...trial, value: read(trial) }))
  if (channel !== 'objective')
    return rows.filter(({ value }) => Number.isFinite(value)).map((row) => ({ ...row, noise: 0, gradient: null }))
  return transformed(rows, transform).map((row) => (Number.isNaN(row.value) ? { ...row, gradient: null } : row))
}

function dataOf(rows: readonly Trial[], units: { center: number; scale: number }): Datum[] {
  const { values, noises } = standardized(rows, units)
  return rows.map(({ u, gradient }, i) => ({
    u,
    value: values[i],
    noise: noises[i],
    ...(gradient && { gradient: gradient.map((g) => g / units.scale) }),
  }))
}

/** Fits every channel anew, from the last hyperparameters and from the priors' modes. */
export function fitChannels(
  trials: readonly Trial[],
  channels: readonly Channel[],
  dimensions: Dimensions,
  options: ModelOptions,
  last: readonly Fit[] | undefined,
): Fit[] {
  const { kind, prior, noise, maxRows, lengths, tasks = [] } = options
  const d = dimensions.ordered.length + dimensions.unordered.length
  const transform = outcomeOf(trials, options, trials.length)
  return channels.map((channel, i) => {
    const rows = subset(rowsOf(trials, channel, transform), maxRows) as Trial[]
    const units = standardization(rows)
    const known = channel === 'objective' && noise !== undefined ? { noise: (noise / units.scale) ** 2 } : {}
    const means = channel === 'objective' ? tasks : []
    const extras = { tasks: means.length, lengths }
    const starts = [defaultTheta(d, extras), ...(last ? [last[i].theta] : [])]
    if (means.length) {
      const alone = defaultTheta(d, extras)
      rhoOf(alone, d, extras).fill(0)
      starts.push(alone)
    }
    const data = dataOf(rows, units)
    const spread = spreads(
      means,
      data.map(({ u }) => u),
    )
    const scaled = means.map((mean, t) => combined([mean], [1 / spread[t]]))
    const kernel = (theta: Theta) => new Covariance(kind, dimensions, theta)
    const fit = { kernel, prior, maxEvaluations: FIT_EVALUATIONS, lengths, tasks: scaled, ...known }
    const theta = fitProcess(data, starts, fit)
    if (!means.length) return { ...units, theta }
    return { ...units, theta, factors: rhoOf(theta, d, extras).map((rho, t) => rho / spread[t]) }
  })
}

/** The processes of all channels under hyperparameters that were fitted to the first `fitted` trials. */
export function condition(
  trials: readonly Trial[],
  channels: readonly Channel[],
  dimensions: Dimensions,
  options: ModelOptions,
  fits: readonly Fit[],
  fitted = trials.length,
): Beliefs {
  const { kind, prior, maxRows, tasks = [] } = options
  const transform = outcomeOf(trials, options, fitted)
  const processes = channels.map((channel, i) => {
    const rows = subset(rowsOf(trials, channel, transform), maxRows) as Trial[]
    const { theta, factors } = fits[i]
    const trend = factors && combined(tasks, factors)
    return new Process(new Covariance(kind, dimensions, theta), dataOf(rows, fits[i]), prior, undefined, trend)
  })
  return { fits, processes }
}
