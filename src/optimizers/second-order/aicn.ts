/** The affine-invariant cubic Newton method: newton-steps.ts, with the step size of the cubic model. */
import { z } from 'zod'
import { real } from '../parts.js'
import { newtonFields, newtonMethod } from './newton-steps.js'
import { CUBIC, DAMPED } from './references.js'

const config = z.strictObject({
  M: real('Constant of semi-strong self-concordance.', {
    default: 1,
    above: 0,
    source: 'ours',
    mutable: true,
    log: true,
  }),
  ...newtonFields(['matrix', 'products', 'cg']),
})
type Config = z.infer<typeof config>

export const method = newtonMethod<Config>({
  id: 'aicn',
  title: 'Affine-invariant cubic Newton',
  summary: 'Newton steps whose length minimizes a cubic model in local norms; for convex objectives.',
  references: [CUBIC, DAMPED],
  config,
  recipes: [
    { problem: 'separable', maxEvaluations: 30, target: 0.6 },
    { problem: 'quadratic', config: { M: 1e-3, hessian: 'cg' }, maxEvaluations: 200, target: 1e-6 },
  ],
  equations: () => [
    String.raw`n = H^{-1} g,\quad \ell = \sqrt{g^\top n}`,
    String.raw`x \leftarrow x - \frac{\sqrt{1 + 2M\ell} - 1}{M\ell}\, n`,
  ],
  // (sqrt(1 + 2y) - 1)/y without the difference.
  stepSize: { candidates: ({ M }, { norm }) => [2 / (Math.sqrt(1 + 2 * M * norm) + 1)] },
})
