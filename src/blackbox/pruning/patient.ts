/**
 * Patience, in the form of Optuna's PatientPruner: another pruner's decision to stop a trial counts only when the last
 * patience + 1 reports of the trial are all worse than its best before them, by more than minDelta. Without another
 * pruner, that alone stops it: early stopping (L. Prechelt, "Early Stopping - But When?", 1998).
 *
 * The other pruner sees every report, also while the trial is safe. NaN is left out; where all of one side is, the
 * trial is safe.
 */
import { z } from 'zod'
import { type AnyPruner, definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import type { Tree } from '../../core/tree.js'
import { pruner as asha } from './asha.js'
import { pruner as hyperband } from './hyperband.js'
import { pruner as median } from './median.js'
import { pruner as percentile } from './percentile.js'
import { least, minimized, proceed, prune, type Reports, type Running, record } from './reports.js'
import { pruner as successiveHalving } from './successive-halving.js'
import { pruner as threshold } from './threshold.js'
import { pruner as wilcoxon } from './wilcoxon.js'

const others: readonly AnyPruner[] = [asha, hyperband, median, percentile, successiveHalving, threshold, wilcoxon]
const byId = new Map(others.map((pruner) => [pruner.id, pruner]))

const choices = others.map(({ id, summary, config }) =>
  z
    .strictObject({
      method: z.literal(id),
      config: field(config.prefault({}), 'Its config.'),
    })
    .meta({ title: id, description: summary }),
)
const config = z.strictObject({
  wrapped: field(
    z.discriminatedUnion('method', choices as [(typeof choices)[0], ...typeof choices]).optional(),
    `The pruner that decides once patience has run out: ${[...byId.keys()].join(', ')}. Without it, patience alone does.`,
    { source: 'Optuna' },
  ),
  patience: field(
    z.int().min(0).default(3),
    'Reports in a row that may be worse than the best before them; one more and patience has run out.',
    {
      source: 'PyTorch Lightning, EarlyStopping',
    },
  ),
  minDelta: field(z.number().min(0).default(0), 'How much worse than the best before they all have to be.', {
    source: 'Optuna',
  }),
})
type Config = z.infer<typeof config>
type State = { running: Running; wrapped: Tree }

const pick = ({ wrapped }: Config) =>
  wrapped && { pruner: byId.get(wrapped.method) as AnyPruner, config: wrapped.config }

/** Why the trial is safe; undefined where patience has run out. */
function safe({ config, direction }: PrunerRun<Config>, { steps, values }: Reports): string | undefined {
  const recent = config.patience + 1
  if (steps.length <= recent) return `${steps.length} reports are too few for a patience of ${config.patience}`
  const order = steps.map((_, i) => i).sort((i, j) => steps[i] - steps[j])
  const inOrder = order.map((i) => minimized(direction, values[i]))
  const worse = least(inOrder.slice(0, -recent)) + config.minDelta < least(inOrder.slice(-recent))
  return worse ? undefined : `it improved in the last ${recent} reports`
}

function step(run: PrunerRun<Config>, state: State, event: PrunerEvent) {
  const wrapped = pick(run.config)
  const outcome = wrapped?.pruner.step({ ...run, config: wrapped.config }, state.wrapped, event)
  if (outcome) state.wrapped = outcome.state
  if (event.type === 'finished') {
    delete state.running[event.trial]
    return { state, decision: proceed('the trial ended') }
  }
  const reason = safe(run, record(state.running, event))
  if (reason) return { state, decision: proceed(reason) }
  return {
    state,
    decision: outcome?.decision ?? prune(`no improvement in the last ${run.config.patience + 1} reports`),
  }
}

export const pruner = definePruner<Config, State>({
  id: 'patient',
  version: 1,
  title: 'Patience',
  summary: 'Stops a trial, alone or as another pruner says, only when its own values have ceased to improve.',
  references: [
    {
      authors: 'L. Prechelt',
      title: 'Early Stopping - But When?',
      year: 1998,
      url: 'https://doi.org/10.1007/3-540-49430-8_3',
    },
  ],
  facts: { judgedBy: 'itself' },
  config,
  check(config) {
    const wrapped = pick(config)
    const issues = wrapped?.pruner.check?.(wrapped.config) ?? []
    return issues.map(({ field, message }) => ({ field: `wrapped.config.${field}`, message }))
  },
  init(run) {
    const wrapped = pick(run.config)
    return { running: {}, wrapped: wrapped ? wrapped.pruner.init({ ...run, config: wrapped.config }) : null }
  },
  step,
})
