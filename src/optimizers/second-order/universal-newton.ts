/** The universal Newton method: newton-steps.ts, with a step size that is found by trying, without any constant. */
import { z } from 'zod'
import { real } from '../parts.js'
import { newtonFields, newtonMethod } from './newton-steps.js'
import { DAMPED } from './references.js'

const config = z.strictObject({
  beta: real('Power of the local norm in theta: (q - 2)/(q - 1) for the largest q that may hold.', {
    default: 1,
    min: 2 / 3,
    max: 1,
    source: 'Hanzely et al. 2024, algorithm 2',
  }),
  sigma: real('Factor of theta in the first step.', { default: 1, above: 0, source: 'Hanzely et al. 2024', log: true }),
  growth: real('What the factor grows by when a step is refused, c.', {
    default: 2,
    above: 1,
    source: 'Hanzely et al. 2024',
  }),
  ...newtonFields(['matrix', 'products', 'cg']),
})
type Config = z.infer<typeof config>

const theta = ({ beta, growth }: Config, ray: { norm: number; tries: number; sigma: number }) =>
  growth ** ray.tries * ray.sigma * ray.norm ** beta

export const method = newtonMethod<Config>({
  id: 'universal-newton',
  title: 'Universal Newton',
  summary: 'Newton steps whose length adapts to the smoothness by trial gradients; for convex objectives.',
  references: [DAMPED],
  config,
  recipes: [
    { problem: 'separable', maxEvaluations: 40, target: 0.6 },
    { problem: 'quadratic', config: { hessian: 'cg' }, maxEvaluations: 300, target: 1e-6 },
  ],
  equations: () => [
    String.raw`n = H^{-1} g,\quad \ell = \sqrt{g^\top n},\quad \theta = c^j \sigma\, \ell^\beta`,
    String.raw`x_+ = x - \frac{1}{1 + \theta}\, n \quad\text{with the least } j: \frac{2\theta}{1+\theta}\, g_+^\top n \ge g_+^\top H^{-1} g_+`,
    String.raw`\sigma \leftarrow c^{j-1} \sigma`,
  ],
  sigma: ({ sigma }) => sigma,
  stepSize: {
    candidates: (config, ray) => [1 / (1 + theta(config, ray))],
    wish: () => ({ gradient: true }),
    pick(config, [trial], ray) {
      if (!(2 * trial.alpha * theta(config, ray) * trial.along >= trial.dual)) return undefined
      ray.sigma *= config.growth ** (ray.tries - 1)
      return trial
    },
  },
})
