/** Trials as they are told, and the best of them. */
import type { Estimate } from '../../core/method.js'
import type { Event } from '../../core/query.js'
import type { Parameter, Params, Problem } from '../../core/space.js'
import type { Encoding } from '../space/encoding.js'
import { signOf } from '../space/progress.js'
import type { Trial } from './beliefs.js'
import type { Dimensions } from './surrogate.js'

/** d(value)/du of d(value)/d(parameter). */
function unitSlope(parameter: Parameter, slope: number, value: number): number {
  if (parameter.type !== 'float' && parameter.type !== 'int') return 0
  const { low, high, log } = parameter
  return log ? slope * value * Math.log(high / low) : slope * (high - low)
}

/** What an observation tells of its point number i, at u, with this value (inner sign; NaN where it is infeasible). */
export function trialOf(
  problem: Problem,
  encoding: Encoding,
  dimensions: Dimensions,
  { query, observation }: Extract<Event, { type: 'observation' }>,
  i: number,
  params: Params,
  value: number,
): Trial {
  const slopes = observation.status === 'ok' ? observation.quantities?.[i]?.gradient : undefined
  const slope = (axis: number) => {
    const { parameter } = encoding.axes[axis]
    return signOf(problem) * unitSlope(parameter, slopes?.[axis] ?? 0, params[parameter.name] as number)
  }
  return {
    u: encoding.encode(params).u,
    params,
    value: Number.isFinite(value) ? value : Number.NaN,
    noise: Math.max(0, observation.noise?.[i]?.[0] || 0),
    gradient: slopes ? Float64Array.from(dimensions.ordered, slope) : null,
    constraints: Float64Array.from(
      problem.constraints ?? [],
      (_, c) => observation.constraints?.[i]?.[c] ?? Number.NaN,
    ),
    cost: observation.quantities?.[i]?.cost?.[0] ?? Number.NaN,
    trial: query.trial ?? -1,
  }
}

/** Whether a trial has a value and no constraint is known to be broken. */
export const isFeasible = ({ value, constraints }: Trial): boolean =>
  !Number.isNaN(value) && constraints.every((c) => !(c > 0))

/** The feasible trial of the lowest value (inner sign), the first of equals; undefined while there is none. */
export const bestTrial = (trials: readonly Trial[]): Trial | undefined =>
  trials.reduce<Trial | undefined>(
    (best, trial) => (isFeasible(trial) && !(best && best.value <= trial.value) ? trial : best),
    undefined,
  )

/** An estimate of one told trial. */
export function trialEstimate(problem: Problem, trials: readonly Trial[], best: Trial | undefined): Estimate {
  if (!best) return { kind: 'best', points: [], step: trials.length }
  const trial = best.trial >= 0 ? { trial: best.trial } : {}
  const point = { kind: 'params', params: best.params } as const
  return { kind: 'best', points: [{ point, values: [signOf(problem) * best.value], ...trial }], step: trials.length }
}
