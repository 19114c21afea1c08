/** The trials of a session as an analysis reads them. */
import {
  checkParams,
  isActive,
  type Params,
  type ParamValue,
  type Problem,
  type SearchSpace,
} from '../../core/space.js'
import { type Row, subset } from '../bayes/data.js'
import type { Encoding } from '../space/encoding.js'

/** A trial as the session has it. Times are in milliseconds since the epoch. */
export type TrialData = {
  number: number
  state: string
  params: Params
  values?: readonly number[]
  constraints?: readonly number[]
  createTime: number
  endTime?: number
}

/** A completed trial with finite values. */
export type ToldTrial = TrialData & {
  values: readonly number[]
  /** Whether no constraint is broken. */
  feasible: boolean
  /** Its vector of the unit cube. */
  u: Float64Array
}

/** Completed trials that are points of the space, in the order in which they were told. */
export function toldTrials(problem: Problem, encoding: Encoding, trials: readonly TrialData[]): ToldTrial[] {
  const space = problem.space as SearchSpace
  return trials
    .filter(
      (trial): trial is TrialData & { values: readonly number[] } =>
        trial.state === 'completed' &&
        trial.values?.length === problem.objectives.length &&
        trial.values.every(Number.isFinite) &&
        checkParams(space, trial.params, '').length === 0,
    )
    .sort((a, b) => (a.endTime ?? 0) - (b.endTime ?? 0) || a.number - b.number)
    .map((trial) => ({
      ...trial,
      feasible: !trial.constraints?.some((c) => !(c <= 0)),
      u: encoding.encode(trial.params).u,
    }))
}

/** At most so many trials: of more, the best quarter of this number and of the others evenly spaced ones, in their order. */
export function fewOf(trials: readonly ToldTrial[], objective: number, sign: number, most: number): ToldTrial[] {
  const rows = trials.map((trial) => ({ u: trial.u, value: sign * trial.values[objective], noise: 0, trial }))
  return (subset(rows, most) as readonly (Row & { trial: ToldTrial })[]).map(({ trial }) => trial)
}

/** 1 for an objective to minimize, -1 for one to maximize. */
export const signsOf = ({ objectives }: Problem): number[] =>
  objectives.map(({ direction }) => (direction === 'maximize' ? -1 : 1))

/** The feasible trial with the lowest value times sign, the first of equals; of none that is feasible, the best of all. */
export function bestOf(trials: readonly ToldTrial[], objective: number, sign: number): ToldTrial | undefined {
  let best: ToldTrial | undefined
  for (const trial of trials) {
    const better =
      !best ||
      (trial.feasible === best.feasible
        ? sign * trial.values[objective] < sign * best.values[objective]
        : trial.feasible)
    if (better) best = trial
  }
  return best
}

/**
 * Params with some values replaced: what is not active then is left out, what becomes active gets the middle of its range.
 */
export function withValues(
  space: SearchSpace,
  encoding: Encoding,
  params: Params,
  changes: { readonly [name: string]: ParamValue },
): Params {
  const wanted = { ...params, ...changes }
  const changed: Record<string, ParamValue> = {}
  let at = 0
  for (const p of space.parameters) {
    const axis = encoding.axes[at]
    if (isActive(p, changed))
      changed[p.name] = Object.hasOwn(wanted, p.name)
        ? wanted[p.name]
        : p.type === 'permutation'
          ? p.items
          : axis.decode(0.5)
    at += p.type === 'permutation' ? p.items.length : 1
  }
  return changed
}

/** The first coordinate of each parameter. */
export function offsetsOf({ parameters }: SearchSpace): Map<string, number> {
  const offsets = new Map<string, number>()
  let at = 0
  for (const p of parameters) {
    offsets.set(p.name, at)
    at += p.type === 'permutation' ? p.items.length : 1
  }
  return offsets
}

/** At most `count` values of a parameter that is no permutation, evenly spaced on its axis; all of them where it has fewer. */
export function gridOf(encoding: Encoding, axis: number, count: number): ParamValue[] {
  const { size, values, decode, parameter } = encoding.axes[axis]
  if (parameter.type === 'categorical') return [...parameter.choices]
  if (values && size <= count) return Array.from({ length: size }, (_, i) => values.at(i))
  const grid = Array.from({ length: count }, (_, i) => decode(i / (count - 1)))
  return grid.filter((value, i) => i === 0 || value !== grid[i - 1])
}
