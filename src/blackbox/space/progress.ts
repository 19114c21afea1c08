/**
 * What every method that learns from values keeps and reads the same way: queries numbered, told points, the best.
 * Values are minimized inside; those of an objective to maximize change their sign on the way in.
 */
import type { Estimate } from '../../core/method.js'
import type { Event, ObservationStatus, Point, Query } from '../../core/query.js'
import type { Problem } from '../../core/space.js'

/** Part of the state of every value method. */
export type Progress = {
  /** Queries issued; numbers the next. */
  asked: number
  /** Points that a value was told of. */
  told: number
  /** The completed point with the lowest value (inner sign). Of equals the first. */
  best: { point: Point; value: number; trial?: number } | null
}

/** One told point. */
export type Reading = {
  point: Point
  status: ObservationStatus
  /** To be minimized. Of a pruned point its last intermediate value; NaN when nothing was told. */
  value: number
}

export const startProgress = (): Progress => ({ asked: 0, told: 0, best: null })

/** The next query for the value at one point. */
export const askValue = (progress: Progress, point: Point): Query => ({
  id: `q${progress.asked++}`,
  points: [point],
  wants: [{ kind: 'value' }],
})

/** 1 for an objective to minimize, -1 for one to maximize. */
export const signOf = (problem: Problem): 1 | -1 => (problem.objectives[0].direction === 'maximize' ? -1 : 1)

/**
 * The points of an observation, one by one, whoever asked for them. `ok` carries a value that is not NaN (a point
 * without one reads as `failed`); a pruned, failed, infeasible or cancelled point never becomes the best.
 */
export function readValues(
  progress: Progress,
  problem: Problem,
  { query, observation }: Extract<Event, { type: 'observation' }>,
): Reading[] {
  return query.points.map((point, i) => {
    const value = signOf(problem) * (observation.values?.[i]?.[0] ?? Number.NaN)
    const status = observation.status === 'ok' && Number.isNaN(value) ? 'failed' : observation.status
    if (status === 'ok') {
      progress.told++
      if (!progress.best || value < progress.best.value) progress.best = { point, value, trial: query.trial }
    }
    return { point, status, value }
  })
}

/** The best completed point, its value with the sign that was told. */
export function bestEstimate({ told, best }: Progress, problem: Problem): Estimate {
  if (!best) return { kind: 'best', points: [], step: told }
  const values = [signOf(problem) * best.value]
  return { kind: 'best', points: [{ point: best.point, values, trial: best.trial }], step: told }
}
