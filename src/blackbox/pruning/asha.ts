/**
 * Asynchronous successive halving (ASHA).
 * L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934, algorithm 2, as a
 * rule for running trials (Optuna's SuccessiveHalvingPruner): rung k ends at step
 * minResource * reductionFactor^(minEarlyStoppingRate + k); a trial goes on when its value there is among the best
 * 1/reductionFactor of all that ended the rung before it, itself included. While they are fewer than reductionFactor,
 * the best goes on.
 *
 * NaN at the end of a rung stops the trial and does not compete.
 */
import { z } from 'zod'
import { type Decision, definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'

const config = z.strictObject({
  minResource: field(z.int().min(1).default(1), 'The step at which the first rung of bracket 0 ends.', {
    source: 'arXiv:1810.05934 (r)',
  }),
  reductionFactor: field(z.int().min(2).default(4), 'One in this many trials goes on at each rung.', {
    source: 'arXiv:1810.05934 (eta)',
  }),
  minEarlyStoppingRate: field(
    z.int().min(0).default(0),
    'The bracket: the first rung ends this many factors of reductionFactor later.',
    { source: 'arXiv:1810.05934 (s)' },
  ),
  bootstrapCount: field(z.int().min(0).default(0), 'Trials that must end a rung before any goes on.', {
    source: 'Optuna',
  }),
})
type Config = z.infer<typeof config>

type State = {
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

function judge(
  { config, direction }: PrunerRun<Config>,
  state: State,
  event: PrunerEvent & { type: 'report' },
): Decision {
  const { minResource, reductionFactor, minEarlyStoppingRate, bootstrapCount } = config
  const value = direction === 'maximize' ? -event.value : event.value
  for (;;) {
    const rung = (state.running[event.trial] ??= 0)
    const end = minResource * reductionFactor ** (minEarlyStoppingRate + rung)
    if (event.step < end) return { prune: false, reason: `rung ${rung} ends at step ${end}` }
    if (Number.isNaN(value)) return { prune: true, reason: `NaN at the end of rung ${rung}` }
    const competing = (state.rungs[rung] ??= [])
    competing.splice(upperBound(competing, value), 0, value)
    state.running[event.trial] = rung + 1
    const n = competing.length
    if (n <= bootstrapCount)
      return { prune: true, reason: `rung ${rung} has ${n} of ${bootstrapCount} trials to start` }
    const promoted = Math.max(Math.floor(n / reductionFactor), 1)
    if (value > competing[promoted - 1])
      return { prune: true, reason: `not among the best ${promoted} of ${n} at the end of rung ${rung}` }
  }
}

export const pruner = definePruner<Config, State>({
  id: 'asha',
  version: 1,
  title: 'Asynchronous successive halving',
  summary: 'At steps that grow geometrically, lets only the best fraction of trials go on.',
  references: [
    {
      authors: 'L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, M. Hardt, B. Recht, A. Talwalkar',
      title: 'A System for Massively Parallel Hyperparameter Tuning',
      year: 2020,
      url: 'https://arxiv.org/abs/1810.05934',
    },
  ],
  config,
  init: () => ({ rungs: [], running: {} }),
  step(run, state, event) {
    if (event.type === 'report') return { state, decision: judge(run, state, event) }
    delete state.running[event.trial]
    return { state, decision: { prune: false, reason: 'the trial ended' } }
  },
})
