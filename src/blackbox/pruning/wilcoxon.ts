/**
 * The Wilcoxon pruner, in the form of Optuna's WilcoxonPruner: steps are instances of one problem (folds, scenes, random
 * seeds), in any order, and the objective is a mean over them. A trial stops when a signed-rank test (signed-rank.ts)
 * says that its values are worse than those of the best complete trial on the same instances.
 *
 * The test is repeated as values come in: the chance to stop a trial that is no worse is above the threshold. A trial
 * whose mean is no worse than that of the best one is kept whatever the test says, and so is one that reported a value
 * that is not finite, or that is compared with such a one.
 */
import { z } from 'zod'
import { definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import { minimized, proceed, prune, type Reports, type Running, record } from './reports.js'
import { signedRankTest } from './signed-rank.js'

const config = z.strictObject({
  pThreshold: field(z.number().min(0).max(1).default(0.1), 'A trial whose p-value is below it is stopped.', {
    source: 'Optuna',
  }),
  nStartupSteps: field(
    z.int().min(0).default(2),
    'Instances that a trial must share with the best one before it is tested; never less than two.',
    { source: 'Optuna' },
  ),
})
type Config = z.infer<typeof config>
type State = {
  running: Running
  /** The best complete trial: its value to minimize and its reports. */
  best: { value: number; reports: Reports } | null
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

function judge({ config, direction }: PrunerRun<Config>, { best }: State, { steps, values }: Reports) {
  if (!values.every(Number.isFinite)) return proceed('the trial reported a value that is not finite')
  if (best === null) return proceed('no trial is complete')
  if (best.reports.steps.length === 0) return proceed('the best trial reported nothing')
  if (!best.reports.values.every(Number.isFinite)) return proceed('the best trial reported a value that is not finite')
  const differences = steps.flatMap((step, i) => {
    const at = best.reports.steps.indexOf(step)
    return at < 0 ? [] : [minimized(direction, values[i] - best.reports.values[at])]
  })
  const shared = differences.length
  if (shared < Math.max(2, config.nStartupSteps)) return proceed(`the best trial has ${shared} of its steps`)
  const p = signedRankTest(differences)
  const verdict = `p = ${p.toPrecision(3)} of ${shared} steps that it shares with the best trial`
  if (p >= config.pThreshold) return proceed(verdict)
  if (minimized(direction, mean(values)) <= minimized(direction, mean(best.reports.values)))
    return proceed(`its mean is no worse than that of the best trial, whatever ${verdict} says`)
  return prune(verdict)
}

function step(run: PrunerRun<Config>, state: State, event: PrunerEvent) {
  if (event.type === 'report') return { state, decision: judge(run, state, record(state.running, event)) }
  const reports = state.running[event.trial] ?? { steps: [], values: [] }
  delete state.running[event.trial]
  if (event.status === 'ok' && event.value !== undefined) {
    const value = minimized(run.direction, event.value)
    if (state.best === null || value < state.best.value) state.best = { value, reports }
  }
  return { state, decision: proceed('the trial ended') }
}

export const pruner = definePruner<Config, State>({
  id: 'wilcoxon',
  version: 1,
  title: 'Wilcoxon pruner',
  summary: 'Stops a trial that a signed-rank test finds worse than the best one on the instances that both evaluated.',
  references: [
    {
      authors: 'F. Wilcoxon',
      title: 'Individual Comparisons by Ranking Methods',
      year: 1945,
      url: 'https://doi.org/10.2307/3001968',
    },
  ],
  facts: { judgedBy: 'trials' },
  config,
  init: () => ({ running: {}, best: null }),
  step,
})
