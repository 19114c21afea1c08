/**
 * The median stopping rule.
 * D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2, in the form of
 * Optuna's MedianPruner: a trial stops when the best value it has reported so far is worse than the median of what
 * completed trials reported at the same step.
 *
 * NaN: a trial that has reported nothing else is stopped; NaN reported by completed trials is left out of the median.
 */
import { z } from 'zod'
import { definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'

const config = z.strictObject({
  nStartupTrials: field(z.int().min(0).default(5), 'Completed trials before any trial is stopped.', {
    source: 'Optuna',
  }),
  nWarmupSteps: field(z.int().min(0).default(0), 'Steps that every trial may take before it is judged.', {
    source: 'Optuna',
  }),
  intervalSteps: field(
    z.int().min(1).default(1),
    'Steps between judgements, from the end of the warm-up; the first report in an interval is judged.',
    { source: 'Optuna' },
  ),
  nMinTrials: field(z.int().min(1).default(1), 'Completed trials that must have reported at the step.', {
    source: 'Optuna',
  }),
})
type Config = z.infer<typeof config>

type State = {
  /** Completed trials. */
  completed: number
  /** What completed trials reported, by step. */
  reported: { [step: string]: number[] }
  /** Reports of running trials, in their order. */
  running: { [trial: string]: { steps: number[]; values: number[] } }
}

const proceed = (reason: string) => ({ prune: false, reason })
const prune = (reason: string) => ({ prune: true, reason })

function median(values: readonly number[]): number {
  const sorted = values.filter((x) => !Number.isNaN(x)).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

function judge({ config, direction }: PrunerRun<Config>, state: State, trial: number, step: number) {
  const { nStartupTrials, nWarmupSteps, intervalSteps, nMinTrials } = config
  const { steps, values } = state.running[trial]
  if (state.completed < Math.max(nStartupTrials, 1)) return proceed(`${state.completed} trials are complete`)
  if (step < nWarmupSteps) return proceed('the trial warms up')
  const interval = Math.floor((step - nWarmupSteps) / intervalSteps) * intervalSteps + nWarmupSteps
  if (steps.some((s) => s !== step && s >= interval)) return proceed('the interval was judged')
  const known = values.filter((x) => !Number.isNaN(x))
  if (known.length === 0) return prune('the trial reported nothing but NaN')
  const maximize = direction === 'maximize'
  const best = known.reduce(maximize ? (a, b) => Math.max(a, b) : (a, b) => Math.min(a, b))
  const others = state.reported[step] ?? []
  if (others.length < nMinTrials) return proceed(`${others.length} complete trials reported at step ${step}`)
  const middle = median(others)
  if (maximize ? best < middle : best > middle)
    return prune(`its best value ${best} is worse than the median ${middle} of ${others.length} trials at step ${step}`)
  return proceed(`its best value ${best} is no worse than the median ${middle} at step ${step}`)
}

function stepPruner(run: PrunerRun<Config>, state: State, event: PrunerEvent) {
  const { running, reported } = state
  if (event.type === 'finished') {
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
  const { trial, step, value } = event
  const reports = (running[trial] ??= { steps: [], values: [] })
  // As in Optuna, the first report of a step stands.
  if (!reports.steps.includes(step)) {
    reports.steps.push(step)
    reports.values.push(value)
  }
  return { state, decision: judge(run, state, trial, step) }
}

export const pruner = definePruner<Config, State>({
  id: 'median',
  version: 1,
  title: 'Median stopping rule',
  summary: 'Stops a trial whose best value is worse than the median of completed trials at the same step.',
  references: [
    {
      authors: 'D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley',
      title: 'Google Vizier: A Service for Black-Box Optimization',
      year: 2017,
      url: 'https://doi.org/10.1145/3097983.3098043',
    },
  ],
  config,
  init: () => ({ completed: 0, reported: {}, running: {} }),
  step: stepPruner,
})
