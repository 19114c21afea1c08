/**
 * Asynchronous successive halving (ASHA).
 * L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934, algorithm 2: one
 * bracket of the rungs of rungs.ts.
 */
import { z } from 'zod'
import { definePruner } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import { proceed } from './reports.js'
import { judgeAtRungs, type Rungs, rungFields } from './rungs.js'

const config = z.strictObject({
  ...rungFields,
  reductionFactor: field(z.int().min(2).default(4), 'One in this many trials goes on at each rung.', {
    source: 'arXiv:1810.05934 (eta)',
  }),
  minEarlyStoppingRate: field(
    z.int().min(0).default(0),
    'The bracket: the first rung ends this many factors of reductionFactor later.',
    { source: 'arXiv:1810.05934 (s)' },
  ),
})

export const pruner = definePruner<z.infer<typeof config>, Rungs>({
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
  facts: { judgedBy: 'trials' },
  config,
  init: () => ({ rungs: [], running: {} }),
  step({ config, direction }, state, event) {
    if (event.type === 'report') return { state, decision: judgeAtRungs(config, direction, state, event) }
    delete state.running[event.trial]
    return { state, decision: proceed('the trial ended') }
  },
})
