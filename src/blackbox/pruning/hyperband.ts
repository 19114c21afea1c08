/**
 * Hyperband: several brackets of successive halving, from many trials that are stopped early to few that run in full.
 * L. Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (185), 2018,
 * algorithm 1, whose brackets halve asynchronously (rungs.ts), as Optuna's HyperbandPruner does.
 *
 * With R = maxResource, r = minResource, eta = reductionFactor there are s_max + 1 brackets, s_max = floor(log_eta(R/r)).
 * The bracket of s has n = ceil((s_max + 1) eta^s / (s + 1)) trials, whose first rung ends at r eta^(s_max - s). Trials
 * fill the brackets in the order of their numbers from s_max down to 0, and then anew: the order of the paper, where
 * Optuna draws the bracket by a hash.
 */
import { z } from 'zod'
import { definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import { proceed, type Report } from './reports.js'
import { judgeAtRungs, type Rungs, rungFields } from './rungs.js'

const config = z.strictObject({
  ...rungFields,
  maxResource: field(
    z.int().min(1).optional(),
    'Steps of a full trial. Without it, one more than the last step of the first complete trial, before which none stops.',
    { source: 'Optuna' },
  ),
  reductionFactor: field(z.int().min(2).default(3), 'One in this many trials goes on at each rung.', {
    source: 'JMLR 18 (185), 3.6 (eta)',
  }),
})
type Config = z.infer<typeof config>

type State = {
  /** 0 while unknown. */
  maxResource: number
  /** While maxResource is unknown: the last step of running trials, and of complete ones (-1: none is). */
  lastSteps: { [trial: string]: number }
  longest: number
  brackets: Rungs[]
}

/** Trials of each bracket, from s_max down to 0. */
export function bracketSizes(minResource: number, maxResource: number, reductionFactor: number): number[] {
  let count = 1
  while (minResource * reductionFactor ** count <= maxResource) count++
  return Array.from({ length: count }, (_, i) => {
    const s = count - 1 - i
    return Math.ceil((count * reductionFactor ** s) / (s + 1))
  })
}

/** The place of a trial's bracket: its first rung ends at minResource * reductionFactor^place. */
function bracketOf(trial: number, { minResource, reductionFactor }: Config, maxResource: number): number {
  const sizes = bracketSizes(minResource, maxResource, reductionFactor)
  let rest = trial % sizes.reduce((a, b) => a + b)
  return sizes.findIndex((size) => {
    rest -= size
    return rest < 0
  })
}

/** Learns the steps of a full trial; returns whether they are known. */
function resourceKnown(state: State, { trial, step }: Report): boolean {
  if (state.maxResource > 0) return true
  if (state.longest < 0) {
    state.lastSteps[trial] = Math.max(step, state.lastSteps[trial] ?? 0)
    return false
  }
  state.maxResource = state.longest + 1
  state.lastSteps = {}
  return true
}

function step({ config, direction }: PrunerRun<Config>, state: State, event: PrunerEvent) {
  const { trial } = event
  if (event.type === 'report') {
    if (!resourceKnown(state, event))
      return { state, decision: proceed('no trial is complete: how long one runs is unknown') }
    const place = bracketOf(trial, config, state.maxResource)
    while (state.brackets.length <= place) state.brackets.push({ rungs: [], running: {} })
    const bracket = state.brackets[place]
    const decision = judgeAtRungs({ ...config, minEarlyStoppingRate: place }, direction, bracket, event)
    return { state, decision: { ...decision, reason: `bracket ${place}: ${decision.reason}` } }
  }
  if (event.status === 'ok') state.longest = Math.max(state.longest, state.lastSteps[trial] ?? -1)
  delete state.lastSteps[trial]
  for (const { running } of state.brackets) delete running[trial]
  return { state, decision: proceed('the trial ended') }
}

export const pruner = definePruner<Config, State>({
  id: 'hyperband',
  version: 1,
  title: 'Hyperband',
  summary: 'Spreads trials over brackets of successive halving, from those that stop early to those that run in full.',
  references: [
    {
      authors: 'L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar',
      title: 'Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization',
      year: 2018,
      url: 'https://jmlr.org/papers/v18/16-558.html',
    },
  ],
  facts: { judgedBy: 'trials' },
  config,
  check({ minResource, maxResource, bootstrapCount }) {
    if (maxResource !== undefined && maxResource < minResource)
      return [{ field: 'maxResource', message: `expected at least minResource, ${minResource}, got ${maxResource}` }]
    if (maxResource === undefined && bootstrapCount > 0)
      return [{ field: 'bootstrapCount', message: `expected 0 without maxResource, got ${bootstrapCount}` }]
    return []
  },
  init: ({ config }) => ({ maxResource: config.maxResource ?? 0, lastSteps: {}, longest: -1, brackets: [] }),
  step,
})
