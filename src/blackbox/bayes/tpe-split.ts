/**
 * Which trials of TPE are good, and how much each of them counts.
 *
 * - One objective: the best values. Pruned trials come after completed ones, those that ran longer first.
 * - Several: Y. Ozaki, Y. Tanigaki, S. Watanabe, M. Onishi, "Multiobjective Tree-Structured Parzen Estimator", J. Artif. Intell.
 *   Res. 73, 2022: front by front, and of the front that has no room as a whole the subset of largest hypervolume; they weigh
 *   what they add to the hypervolume. Ours: the volumes are those of ranks, objective by objective, not of values, so that
 *   neither units nor outliers matter, and any increasing change of an objective leaves the run as it is.
 * - Trials that violate constraints come after all others, the least sum of violations first: K. Deb, "An Efficient Constraint
 *   Handling Method for Genetic Algorithms", 2000, as in Optuna's TPESampler.
 */
import { contributions, greedySubset, leadingFronts } from '../space/hypervolume.js'

/** What became of a row. Dropped rows failed or were cancelled; those that violate a constraint have values. */
export const Row = { open: 0, ok: 1, pruned: 2, infeasible: 3, dropped: 4, violating: 5 } as const
export const Side = { none: 0, good: 1, bad: 2 } as const

/** By row; the arrays have room to grow. */
export type Rows = {
  rows: number
  /** One to minimize for each objective. */
  value: Float64Array
  /** Sum of what the constraints are above 0. */
  violation: Float64Array
  /** Last reported step, -1 before any. */
  lastStep: Float64Array
  kind: Uint8Array
}

/** The side of every row, and weights of the good ones where they differ. */
export type Split = { side: Uint8Array; weights?: ReadonlyMap<number, number> }

/** Weight of good rows that add nothing. */
const LEAST_WEIGHT = 1e-12

/** Whether row a is better than row b, of one objective; ties go to the older. */
function better({ kind, value, lastStep, violation }: Rows, a: number, b: number): boolean {
  if (kind[a] !== kind[b]) return kind[a] < kind[b]
  if (kind[a] === Row.pruned && lastStep[a] !== lastStep[b]) return lastStep[a] > lastStep[b]
  if (violation[a] !== violation[b]) return violation[a] < violation[b]
  return value[a] < value[b] || (value[a] === value[b] && a < b)
}

/** The best `room` rows of one objective. */
function bestRows(state: Rows, room: number): number[] {
  const { kind, value, rows } = state
  const good: number[] = []
  // Of completed rows, values above this one are not good: most of many rows need no closer look.
  let bar = Number.POSITIVE_INFINITY
  for (let row = 0; row < rows; row++) {
    const k = kind[row]
    if (k === Row.ok ? value[row] > bar : k !== Row.pruned && k !== Row.violating) continue
    if (good.length === room && !better(state, row, good[room - 1])) continue
    let at = good.length
    while (at > 0 && better(state, row, good[at - 1])) at--
    good.splice(at, 0, row)
    if (good.length > room) good.pop()
    const last = good[room - 1]
    if (last !== undefined && kind[last] === Row.ok) bar = value[last]
  }
  return good
}

/** The place of each row's value among those of all, one column for each objective; equal values have the same. */
function placesOf({ value }: Rows, rows: readonly number[], objectives: number): number[][] {
  const places = rows.map(() => new Array<number>(objectives).fill(0))
  for (let k = 0; k < objectives; k++) {
    const at = (i: number) => value[rows[i] * objectives + k]
    const order = Array.from(rows.keys()).sort((i, j) => (at(i) < at(j) ? -1 : at(i) > at(j) ? 1 : i - j))
    order.forEach((i, p) => {
      places[i][k] = p > 0 && at(order[p - 1]) === at(i) ? places[order[p - 1]][k] : p + 1
    })
  }
  return places
}

/** Twice the worst place in each objective: with a nearer reference the middle of a front outweighs its ends. */
const referenceOf = (places: readonly number[][]): number[] =>
  places[0].map((_, k) => 2 * places.reduce((most, p) => Math.max(most, p[k]), 0))

/** The best `room` rows of several objectives, with their weights. */
function bestOfMany(state: Rows, room: number, objectives: number): Map<number, number> {
  const all = Array.from({ length: state.rows }, (_, row) => row)
  const ok = all.filter((row) => state.kind[row] === Row.ok)
  const places = placesOf(state, ok, objectives)
  const chosen: number[] = []
  for (const front of leadingFronts(places, room)) {
    const own = front.map((i) => places[i])
    const fits = chosen.length + front.length <= room
    const picked = fits ? front : greedySubset(own, room - chosen.length, referenceOf(own)).map((k) => front[k])
    chosen.push(...picked)
  }
  const weights = new Map<number, number>()
  if (chosen.length > 0) {
    const own = chosen.map((i) => places[i])
    const gains = contributions(own, referenceOf(own))
    const most = gains.reduce((top, gain) => Math.max(top, gain), 0)
    chosen.forEach((i, k) => {
      weights.set(ok[i], most > 0 ? Math.max(gains[k] / most, LEAST_WEIGHT) : 1)
    })
  }
  const violating = all.filter((row) => state.kind[row] === Row.violating)
  violating.sort((a, b) => state.violation[a] - state.violation[b] || a - b)
  const weight = weights.size > 0 ? LEAST_WEIGHT : 1
  for (const row of violating.slice(0, room - weights.size)) weights.set(row, weight)
  return weights
}

/** Sides of all rows where `room` of them are good. */
export function split(state: Rows, room: number, objectives: number): Split {
  const side = new Uint8Array(state.rows)
  for (let row = 0; row < state.rows; row++) side[row] = state.kind[row] === Row.dropped ? Side.none : Side.bad
  const weights = objectives > 1 ? bestOfMany(state, room, objectives) : undefined
  for (const row of weights ? weights.keys() : bestRows(state, room)) side[row] = Side.good
  return { side, weights }
}
