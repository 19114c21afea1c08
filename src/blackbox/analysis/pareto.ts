/** The front of several objectives, and the hypervolume that the trials dominate as they come in. */
import type { Params } from '../../core/space.js'
import { dominates, hypervolume } from '../space/pareto.js'
import type { ToldTrial } from './trials.js'

export type Pareto = {
  front: { trial: number; params: Params; values: readonly number[] }[]
  hypervolumes: { trial: number; hypervolume: number }[]
  reference: readonly number[]
}

/** Hypervolumes along the history, at most, and the work on them: of each (size of the front)^(objectives). */
const [STEPS, WORK] = [100, 5e8]

/**
 * `signs` are -1 for objectives to maximize, `reference` is in the objectives' own directions: when absent the worst value of
 * each among the feasible trials. Of equal points the first is on the front. Trials in the order in which they were told. Large
 * fronts of many objectives have fewer hypervolumes, or none.
 */
export function pareto(
  trials: readonly ToldTrial[],
  signs: readonly number[],
  reference?: readonly number[],
): Pareto | undefined {
  const feasible = trials.filter((trial) => trial.feasible)
  if (feasible.length === 0) return undefined
  const inner = feasible.map(({ values }) => values.map((value, k) => signs[k] * value))
  const corner = reference
    ? reference.map((value, k) => signs[k] * value)
    : signs.map((_, k) => inner.reduce((worst, values) => Math.max(worst, values[k]), Number.NEGATIVE_INFINITY))
  // The front after each trial that changed it.
  const changes: { at: number; front: readonly number[] }[] = []
  let front: readonly number[] = []
  inner.forEach((values, i) => {
    const covers = (j: number) => dominates(inner[j], values) || inner[j].every((x, k) => x === values[k])
    if (front.some(covers)) return
    front = [...front.filter((j) => !dominates(values, inner[j])), i]
    changes.push({ at: i, front })
  })
  const steps = Math.min(STEPS, feasible.length, Math.floor(WORK / front.length ** signs.length))
  const volumes = new Map<readonly number[], number>()
  let change = 0
  const hypervolumes = Array.from({ length: steps }, (_, step) => {
    const at = Math.round(((step + 1) * feasible.length) / steps - 1)
    while (change + 1 < changes.length && changes[change + 1].at <= at) change++
    const then = changes[change].front
    const points = then.map((j) => inner[j])
    volumes.set(then, volumes.get(then) ?? hypervolume(points, corner))
    return { trial: feasible[at].number, hypervolume: volumes.get(then)! }
  })
  const sorted = [...front].sort((a, b) => inner[a][0] - inner[b][0] || a - b)
  return {
    front: sorted.map((i) => ({ trial: feasible[i].number, params: feasible[i].params, values: feasible[i].values })),
    hypervolumes,
    reference: corner.map((value, k) => signs[k] * value),
  }
}
