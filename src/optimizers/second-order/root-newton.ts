/** The root Newton method: newton-steps.ts, with the step size in closed form. */
import { z } from 'zod'
import { real } from '../parts.js'
import { newtonFields, newtonMethod } from './newton-steps.js'
import { DAMPED } from './references.js'

const config = z.strictObject({
  q: real('2 plus the Hölder exponent of the Hessian, or 3 plus that of the third derivative.', {
    default: 3,
    min: 2,
    max: 4,
    source: 'Hanzely et al. 2024, definition 1',
  }),
  M: real('Constant of that Hölder condition, in local norms.', {
    default: 1,
    above: 0,
    source: 'ours',
    mutable: true,
    log: true,
  }),
  ...newtonFields(['matrix', 'products', 'cg']),
})
type Config = z.infer<typeof config>

/** (9M)^(1/(q-1)) * l^((q-2)/(q-1)) */
export const theta = ({ q, M }: { q: number; M: number }, norm: number): number =>
  (9 * M) ** (1 / (q - 1)) * norm ** ((q - 2) / (q - 1))

export const method = newtonMethod<Config>({
  id: 'root-newton',
  title: 'Root Newton',
  summary: 'Newton steps whose length comes from the local norm of the gradient by a root; for convex objectives.',
  references: [DAMPED],
  config,
  recipes: [
    { problem: 'separable', config: { q: 3 }, maxEvaluations: 30, target: 0.6 },
    { problem: 'quadratic', config: { M: 1e-3, hessian: 'products' }, maxEvaluations: 60, target: 1e-6 },
    { problem: 'quadratic', config: { M: 1e-3, hessian: 'cg' }, maxEvaluations: 200, target: 1e-6 },
  ],
  equations: ({ q }) => [
    String.raw`n = H^{-1} g,\quad \ell = \sqrt{g^\top n}`,
    String.raw`\theta = (9M)^{1/(q-1)}\, \ell^{(q-2)/(q-1)},\quad q = ${q}`,
    String.raw`x \leftarrow x - \frac{1}{1 + \theta}\, n`,
  ],
  stepSize: { candidates: (config, { norm }) => [1 / (1 + theta(config, norm))] },
})
