/**
 * The median stopping rule.
 * D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2, in the form of
 * Optuna's MedianPruner: a trial stops when the best value it has reported so far is worse than the median of what
 * completed trials reported at the same step. It is the percentile rule (percentile.ts) at 50.
 */
import { z } from 'zod'
import { definePruner } from '../../core/pruner.js'
import { init, ruleFields, type State, step } from './percentile.js'

const config = z.strictObject(ruleFields)

export const pruner = definePruner<z.infer<typeof config>, State>({
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
  facts: { judgedBy: 'trials' },
  config,
  init,
  step: (run, state, event) => step({ ...run, config: { ...run.config, percentile: 50 } }, state, event),
})
