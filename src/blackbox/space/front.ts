/**
 * What methods of several objectives keep of all that was told: the feasible points that no other dominates, whoever asked for
 * them. Values are minimized inside; those of an objective to maximize change their sign on the way in.
 */
import type { Estimate } from '../../core/method.js'
import type { Event, ObservationStatus, Point } from '../../core/query.js'
import type { Problem } from '../../core/space.js'
import { crowding, dominates } from './pareto.js'

/** Part of the state of every such method. */
export type Front = { points: { point: Point; values: number[]; trial?: number }[] }

/** One told point. */
export type Reading = {
  point: Point
  status: ObservationStatus
  /** To be minimized; empty where nothing was told. */
  values: number[]
  /** Sum of what the told constraints are above 0. */
  violation: number
}

export const startFront = (): Front => ({ points: [] })

const signsOf = ({ objectives }: Problem) => objectives.map(({ direction }) => (direction === 'maximize' ? -1 : 1))

/** The points of an observation; feasible ones that nothing dominates join the front, of `most` points at most. */
export function readFront(
  front: Front,
  problem: Problem,
  { query, observation }: Extract<Event, { type: 'observation' }>,
  most: number,
): Reading[] {
  const signs = signsOf(problem)
  return query.points.map((point, i) => {
    const told = observation.values?.[i] ?? []
    const values = told.some(Number.isNaN) ? [] : told.map((value, k) => signs[k] * value)
    const violation = (observation.constraints?.[i] ?? []).reduce((sum, c) => sum + Math.max(0, c), 0)
    const status = observation.status === 'ok' && values.length === 0 ? 'failed' : observation.status
    if (status === 'ok' && violation === 0) join(front, { point, values, trial: query.trial }, most)
    return { point, status, values, violation }
  })
}

function join(front: Front, entry: Front['points'][number], most: number): void {
  const { points } = front
  const equal = (a: readonly number[], b: readonly number[]) => a.every((x, k) => x === b[k])
  if (points.some(({ values }) => dominates(values, entry.values) || equal(values, entry.values))) return
  front.points = [...points.filter(({ values }) => !dominates(entry.values, values)), entry]
  if (front.points.length <= most) return
  const distances = crowding(front.points.map(({ values }) => values))
  front.points.splice(distances.indexOf(Math.min(...distances)), 1)
}

/** The front, by its first objective, values with the signs that were told. */
export function frontEstimate({ points }: Front, problem: Problem, step: number): Estimate {
  const signs = signsOf(problem)
  const sorted = [...points].sort((a, b) => a.values[0] - b.values[0])
  return {
    kind: 'pareto',
    points: sorted.map(({ point, values, trial }) => ({ point, values: values.map((v, k) => signs[k] * v), trial })),
    step,
  }
}
