/** Newton steps by a line search: newton-steps.ts, over a grid of step sizes. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { newtonFields, newtonMethod, type Trial } from './newton-steps.js'
import { DAMPED } from './references.js'

const config = z.strictObject({
  criterion: field(
    z.enum(['greedy', 'exact']).default('greedy'),
    'greedy: the least decrease of f per squared dual norm of the new gradient. exact: the least f; asks values alone.',
    { source: 'Hanzely et al. 2024, section 4' },
  ),
  trials: field(z.int().min(2).max(10_000).default(400), 'Step sizes tried, all in one query.', { source: 'ours' }),
  smallest: real('The least step size; the largest is 1, and between them they grow geometrically.', {
    default: 1e-10,
    above: 0,
    below: 1,
    source: 'ours',
    log: true,
  }),
  ...newtonFields(['matrix', 'products']),
})
type Config = z.infer<typeof config>

export const method = newtonMethod<Config>({
  id: 'greedy-newton',
  title: 'Greedy Newton',
  summary: 'Newton steps whose length is searched for along the ray; for convex objectives.',
  references: [DAMPED],
  config,
  recipes: [
    { problem: 'separable', maxEvaluations: 30, target: 0.6 },
    { problem: 'quadratic', config: { criterion: 'exact' }, maxEvaluations: 10, target: 1e-6 },
  ],
  equations: ({ criterion }) => [
    String.raw`n = H^{-1} g,\quad g_+(\alpha) = \nabla f(x - \alpha n)`,
    criterion === 'exact'
      ? String.raw`\alpha = \arg\min_\alpha f(x - \alpha n)`
      : String.raw`\alpha = \arg\min_\alpha \frac{f(x - \alpha n) - f(x)}{g_+^\top H^{-1} g_+}`,
    String.raw`x \leftarrow x - \alpha n`,
  ],
  stepSize: {
    candidates: ({ trials, smallest }) => Array.from({ length: trials }, (_, i) => smallest ** (1 - i / (trials - 1))),
    wish: ({ criterion }) => ({ value: true, gradient: criterion === 'greedy' }),
    pick({ criterion }, trials, _, value) {
      const merit = ({ at, dual }: Trial) => (criterion === 'exact' ? at.value! : (at.value! - value) / dual)
      // 0/0, where a step is too short to change anything, is no merit. Of equal ones the longest.
      return trials.reduce((best, trial) => (merit(trial) <= merit(best) || Number.isNaN(merit(best)) ? trial : best))
    },
  },
})
