/**
 * Successive halving.
 * K. Jamieson, A. Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016,
 * arXiv:1502.07943, with the reduction factor of L. Li et al., "Hyperband", JMLR 18 (185), 2018, algorithm 1, lines 5-9:
 * of a bracket of n trials, n_k = floor(n eta^-k) are in rung k, which ends at step r eta^k, and the best n_(k+1) of
 * them go on.
 *
 * A running trial cannot wait for others. It runs on while its fate is open, and stops as soon as n_(k+1) trials that
 * are certain to be in its rung were better at the end of it. Those that no report stops are the survivors of the
 * paper's algorithm, in whatever order trials report. (`asha` decides at once, and may err.)
 *
 * Trials fill a bracket in the order of their first reports. One that ended counts in the rungs that it had not ended
 * with its value when it is complete, and as worse than any otherwise; so does NaN. Ties go to the older trial.
 */
import { z } from 'zod'
import { definePruner, type PrunerEvent, type PrunerRun } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import { minimized, proceed, prune } from './reports.js'

const config = z.strictObject({
  nTrials: field(z.int().min(2).default(27), 'Trials of a bracket.', { source: 'ours: eta^3 (n)' }),
  minResource: field(z.int().min(1).default(1), 'The step at which the first rung ends.', {
    source: 'JMLR 18 (185), algorithm 1 (r)',
  }),
  reductionFactor: field(z.int().min(2).default(3), 'One in this many trials goes on at each rung.', {
    source: 'JMLR 18 (185), 3.6 (eta)',
  }),
})
type Config = z.infer<typeof config>

/** By trial, its values to minimize at the end of each rung. */
type Bracket = { [trial: string]: number[] }
type State = {
  brackets: Bracket[]
  /** The bracket of each trial that has reported. */
  member: { [trial: string]: number }
  reporting: number
}

/** n_0, n_1, ...: trials in each rung, down to those that nothing stops. */
function rungSizes({ nTrials, reductionFactor }: Config): number[] {
  const sizes = []
  for (let n = nTrials; n >= 1; n = Math.floor(n / reductionFactor)) sizes.push(n)
  return sizes
}

const lost = (value: number) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)

function judge(sizes: readonly number[], bracket: Bracket, trial: number) {
  let certain = Object.keys(bracket)
  for (let rung = 0; rung + 1 < sizes.length; rung++) {
    const ended = certain.filter((t) => bracket[t].length > rung)
    ended.sort((a, b) =>
      bracket[a][rung] === bracket[b][rung] ? Number(a) - Number(b) : bracket[a][rung] - bracket[b][rung],
    )
    const kept = sizes[rung + 1]
    const place = ended.indexOf(String(trial))
    if (place < 0) return proceed(`the trial has not ended rung ${rung}`)
    if (place >= kept)
      return prune(`${place} trials of its bracket were better at the end of rung ${rung}, ${kept} go on`)
    const missing = sizes[rung] - ended.length
    if (place >= kept - missing) return proceed(`rung ${rung} waits for ${missing} trials`)
    certain = ended.slice(0, kept - missing)
  }
  return proceed('the trial survives its bracket')
}

function step({ config, direction }: PrunerRun<Config>, state: State, event: PrunerEvent) {
  const { trial } = event
  const sizes = rungSizes(config)
  if (event.type === 'finished') {
    const values = state.brackets[state.member[trial]]?.[trial]
    const complete = event.status === 'ok' && event.value !== undefined
    const last = complete ? lost(minimized(direction, event.value as number)) : Number.POSITIVE_INFINITY
    while (values && values.length < sizes.length - 1) values.push(last)
    return { state, decision: proceed('the trial ended') }
  }
  const place = (state.member[trial] ??= Math.floor(state.reporting++ / config.nTrials))
  const bracket = (state.brackets[place] ??= {})
  const values = (bracket[trial] ??= [])
  while (values.length < sizes.length - 1 && event.step >= config.minResource * config.reductionFactor ** values.length)
    values.push(lost(minimized(direction, event.value)))
  return { state, decision: judge(sizes, bracket, trial) }
}

export const pruner = definePruner<Config, State>({
  id: 'successive-halving',
  version: 1,
  title: 'Successive halving',
  summary: 'Of each bracket of trials, stops those that are certain not to be among the best fraction at a rung.',
  references: [
    {
      authors: 'K. Jamieson, A. Talwalkar',
      title: 'Non-stochastic Best Arm Identification and Hyperparameter Optimization',
      year: 2016,
      url: 'https://arxiv.org/abs/1502.07943',
    },
  ],
  facts: { judgedBy: 'trials' },
  config,
  check: ({ nTrials, reductionFactor }) =>
    nTrials < reductionFactor
      ? [{ field: 'nTrials', message: `expected at least reductionFactor, ${reductionFactor}, got ${nTrials}` }]
      : [],
  init: () => ({ brackets: [], member: {}, reporting: 0 }),
  step,
})
