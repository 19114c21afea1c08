/**
 * Thresholds, in the form of Optuna's ThresholdPruner: a trial stops when it reports a value outside limits that the
 * user knows, or NaN. The limits are on the values as they are told, whichever way the objective is optimized.
 */
import { z } from 'zod'
import { definePruner, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import { judgementFields, notJudged, proceed, prune, type Report, type Running, record } from './reports.js'

const config = z.strictObject({
  lower: field(z.number().optional(), 'Values below it stop a trial. One of lower and upper is needed.', {
    source: 'Optuna: none',
  }),
  upper: field(z.number().optional(), 'Values above it stop a trial.', { source: 'Optuna: none' }),
  ...judgementFields,
})
type Config = z.infer<typeof config>
type State = { running: Running }

function judge({ config }: PrunerRun<Config>, { running }: State, event: Report) {
  const { lower = Number.NEGATIVE_INFINITY, upper = Number.POSITIVE_INFINITY } = config
  const reports = record(running, event)
  const unjudged = notJudged(config, reports, event.step)
  if (unjudged) return proceed(unjudged)
  const value = reports.values[reports.steps.indexOf(event.step)]
  if (Number.isNaN(value)) return prune('the trial reported NaN')
  if (value < lower) return prune(`${value} is below the lower limit ${lower}`)
  if (value > upper) return prune(`${value} is above the upper limit ${upper}`)
  return proceed(`${value} is within the limits`)
}

export const pruner = definePruner<Config, State>({
  id: 'threshold',
  version: 1,
  title: 'Threshold',
  summary: 'Stops a trial that reports a value outside given limits.',
  references: [
    {
      authors: 'T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama',
      title: 'Optuna: A Next-generation Hyperparameter Optimization Framework',
      year: 2019,
      url: 'https://doi.org/10.1145/3292500.3330701',
    },
  ],
  facts: { judgedBy: 'limits' },
  config,
  recipe: { upper: 4 },
  check({ lower, upper }) {
    if (lower === undefined && upper === undefined)
      return [{ field: 'lower', message: 'expected lower, upper or both: without limits no trial is stopped' }]
    if (lower !== undefined && upper !== undefined && lower > upper)
      return [{ field: 'lower', message: `expected at most upper, ${upper}, got ${lower}` }]
    return []
  },
  init: () => ({ running: {} }),
  step(run, state, event) {
    if (event.type === 'report') return { state, decision: judge(run, state, event) }
    delete state.running[event.trial]
    return { state, decision: proceed('the trial ended') }
  },
})
