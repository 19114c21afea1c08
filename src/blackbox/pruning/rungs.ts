/**
 * Rungs of asynchronous successive halving: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys
 * 2020, arXiv:1810.05934, algorithm 2, as a rule for running trials (Optuna's SuccessiveHalvingPruner). Rung k ends at
 * step minResource * reductionFactor^(minEarlyStoppingRate + k); a trial goes on when its value there is among the best
 * 1/reductionFactor of all that ended the rung before it, itself included. While they are fewer than reductionFactor,
 * the best goes on. NaN at the end of a rung stops the trial and does not compete.
 */
import { z } from 'zod'
import type { Decision } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import type { Direction } from '../../core/space.js'
import { minimized, proceed, prune, type Report } from './reports.js'

export const rungFields = {
  minResource: field(z.int().min(1).default(1), 'The step at which the first rung of bracket 0 ends.', {
    source: 'arXiv:1810.05934 (r)',
  }),
  bootstrapCount: field(z.int().min(0).default(0), 'Trials that must end a rung before any goes on.', {
    source: 'Optuna',
  }),
}
type Halving = { minResource: number; reductionFactor: number; minEarlyStoppingRate: number; bootstrapCount: number }

export type Rungs = {
  /** Values at the end of each rung, in rising order of the value to minimize. */
  rungs: number[][]
  /** The rung that each running trial is in. */
  running: { [trial: string]: number }
}

/** Index of the first element greater than x. */
function upperBound(sorted: readonly number[], x: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle] <= x) low = middle + 1
    else high = middle
  }
  return low
}

/** Takes a report through the rungs that it ends. */
export function judgeAtRungs(halving: Halving, direction: Direction, state: Rungs, event: Report): Decision {
  const { minResource, reductionFactor, minEarlyStoppingRate, bootstrapCount } = halving
  const value = minimized(direction, event.value)
  for (;;) {
    const rung = (state.running[event.trial] ??= 0)
    const end = minResource * reductionFactor ** (minEarlyStoppingRate + rung)
    if (event.step < end) return proceed(`rung ${rung} ends at step ${end}`)
    if (Number.isNaN(value)) return prune(`NaN at the end of rung ${rung}`)
    const competing = (state.rungs[rung] ??= [])
    competing.splice(upperBound(competing, value), 0, value)
    state.running[event.trial] = rung + 1
    const n = competing.length
    if (n <= bootstrapCount) return prune(`rung ${rung} has ${n} of ${bootstrapCount} trials to start`)
    const promoted = Math.max(Math.floor(n / reductionFactor), 1)
    if (value > competing[promoted - 1])
      return prune(`not among the best ${promoted} of ${n} at the end of rung ${rung}`)
  }
}
