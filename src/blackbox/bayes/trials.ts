/** Trials as they are told, and the best of them. */
import type { Estimate } from '../../core/method.js'
import type { Event } from '../../core/query.js'
import type { Parameter, Params, Problem } from '../../core/space.js'
import type { Encoding } from '../space/encoding.js'
import { nondominated } from '../space/hypervolume.js'
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
  const { objectives } = problem
  const told = observation.values?.[i] ?? []
  const values = Float64Array.from(objectives, ({ direction }, k) => (direction === 'maximize' ? -told[k] : told[k]))
  // Of several objectives all are numbers, or the trial counts as infeasible.
  const usable = Number.isFinite(value) && (objectives.length === 1 || values.every(Number.isFinite))
  return {
    u: encoding.encode(params).u,
    params,
    value: usable ? value : Number.NaN,
    ...(objectives.length > 1 && { values: usable ? values : values.fill(Number.NaN) }),
    noise: Math.max(0, observation.noise?.[i]?.[0] || 0),
    gradient: slopes ? Float64Array.from(dimensions.ordered, slope) : null,
    constraints: Float64Array.from(
      problem.constraints ?? [],
      (_, c) => observation.constraints?.[i]?.[c] ?? Number.NaN,
    ),
    cost: observation.quantities?.[i]?.cost?.[0] ?? Number.NaN,
    trial: query.trial ?? -1,
    ...(observation.status === 'pruned' && { pruned: true as const }),
  }
}

/** Whether a trial has a value and no constraint is known to be broken. */
export const isFeasible = ({ value, constraints }: Trial): boolean =>
  !Number.isNaN(value) && constraints.every((c) => !(c > 0))

const isAnswer = (trial: Trial): boolean => isFeasible(trial) && !trial.pruned

/** The complete and feasible trial of the lowest value (inner sign), the first of equals; undefined while there is none. */
export const bestTrial = (trials: readonly Trial[]): Trial | undefined =>
  trials.reduce<Trial | undefined>(
    (best, trial) => (isAnswer(trial) && !(best && best.value <= trial.value) ? trial : best),
    undefined,
  )

/** An estimate of one told trial; empty where there is none. */
export function trialEstimate(problem: Problem, trials: readonly Trial[], best: Trial | undefined): Estimate {
  const kind = problem.objectives.length > 1 ? 'pareto' : 'best'
  if (!best) return { kind, points: [], step: trials.length }
  const trial = best.trial >= 0 ? { trial: best.trial } : {}
  const point = { kind: 'params', params: best.params } as const
  return { kind, points: [{ point, values: [signOf(problem) * best.value], ...trial }], step: trials.length }
}

/** The complete and feasible trials that no other dominates, by their first objective. */
export function frontOf(trials: readonly Trial[]): Trial[] {
  const feasible = trials.filter(isAnswer)
  const front = nondominated(feasible.map(({ values }) => values as Float64Array)).map((i) => feasible[i])
  return front.sort((a, b) => a.value - b.value)
}

/** An estimate of told trials of several objectives. */
export function paretoEstimate({ objectives }: Problem, trials: readonly Trial[], front: readonly Trial[]): Estimate {
  const points = front.map(({ params, values, trial }) => ({
    point: { kind: 'params', params } as const,
    values: objectives.map(({ direction }, k) => (direction === 'maximize' ? -values![k] : values![k])),
    ...(trial >= 0 && { trial }),
  }))
  return { kind: 'pareto', points, step: trials.length }
}
