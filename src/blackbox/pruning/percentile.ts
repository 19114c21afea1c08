/**
 * The percentile stopping rule, in the form of Optuna's PercentilePruner: a trial stops when the best value it has
 * reported so far is worse than a percentile of what completed trials reported at the same step. The median stopping
 * rule is its case of 50: D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, 3.2.2.
 *
 * NaN: a trial that has reported nothing else is stopped; NaN reported by completed trials is left out.
 */
import { z } from 'zod'
import { definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import {
  judgementFields,
  least,
  minimized,
  notJudged,
  proceed,
  prune,
  type Report,
  type Reports,
  type Running,
  record,
} from './reports.js'

/** Fields of the rule beside the percentile. */
export const ruleFields = {
  nStartupTrials: field(z.int().min(0).default(5), 'Completed trials before any trial is stopped.', {
    source: 'Optuna',
  }),
  ...judgementFields,
  nMinTrials: field(z.int().min(1).default(1), 'Completed trials that must have reported at the step.', {
    source: 'Optuna',
  }),
}
const config = z.strictObject({
  percentile: field(
    z.number().min(0).max(100).default(25),
    'The best this many percent of completed trials set the bound; at 0 the best alone does.',
    { source: "Optuna's example" },
  ),
  ...ruleFields,
})
type Config = z.infer<typeof config>

export type State = {
  /** Completed trials. */
  completed: number
  /** What completed trials reported, by step. */
  reported: { [step: string]: number[] }
  running: Running
}

/** Percentile q, 0 to 100, of the values that are numbers, linear between neighbours; NaN where none is. */
function percentileOf(values: readonly number[], q: number): number {
  const sorted = values.filter((x) => !Number.isNaN(x)).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const place = (sorted.length - 1) * (q / 100)
  const below = sorted[Math.floor(place)]
  const above = sorted[Math.ceil(place)]
  return below === above ? below : below + (above - below) * (place - Math.floor(place))
}

function judge({ config, direction }: PrunerRun<Config>, state: State, reports: Reports, { step }: Report) {
  const { percentile, nStartupTrials, nMinTrials } = config
  if (state.completed < Math.max(nStartupTrials, 1)) return proceed(`${state.completed} trials are complete`)
  const unjudged = notJudged(config, reports, step)
  if (unjudged) return proceed(unjudged)
  const toMinimize = (x: number) => minimized(direction, x)
  const best = least(reports.values.map(toMinimize))
  if (Number.isNaN(best)) return prune('the trial reported nothing but NaN')
  const others = state.reported[step] ?? []
  if (others.length < nMinTrials) return proceed(`${others.length} complete trials reported at step ${step}`)
  const bound = percentileOf(others.map(toMinimize), percentile)
  const name = percentile === 50 ? 'median' : `percentile ${percentile}`
  const compared = `the ${name} ${toMinimize(bound)} of ${others.length} trials at step ${step}`
  return best > bound
    ? prune(`its best value ${toMinimize(best)} is worse than ${compared}`)
    : proceed(`its best value ${toMinimize(best)} is no worse than ${compared}`)
}

export const init = (): State => ({ completed: 0, reported: {}, running: {} })

export function step(run: PrunerRun<Config>, state: State, event: PrunerEvent) {
  const { running, reported } = state
  if (event.type === 'report') return { state, decision: judge(run, state, record(running, event), event) }
  const reports = running[event.trial]
  delete running[event.trial]
  if (event.status === 'ok') {
    state.completed++
    reports?.steps.forEach((step, i) => {
      ;(reported[step] ??= []).push(reports.values[i])
    })
  }
  return { state, decision: proceed('the trial ended') }
}

export const pruner = definePruner<Config, State>({
  id: 'percentile',
  version: 1,
  title: 'Percentile stopping rule',
  summary: 'Stops a trial whose best value is worse than a percentile of completed trials at the same step.',
  references: [
    {
      authors: 'T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama',
      title: 'Optuna: A Next-generation Hyperparameter Optimization Framework',
      year: 2019,
      url: 'https://doi.org/10.1145/3292500.3330701',
    },
  ],
  facts: { judgedBy: 'trials' },
  config,
  init,
  step,
})
