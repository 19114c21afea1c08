/** Mishkin, Pilanci, Schmidt, "Faster Convergence of Stochastic Accelerated Gradient Descent under Interpolation", 2024. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'sagd-interp',
  title: 'Accelerated SGD under interpolation',
  summary:
    'SGD with Nesterov acceleration for sums whose terms have a common minimizer; the driver `sagd` does it for any step ' +
    'that decreases the loss enough.',
  references: [
    {
      authors: 'A. Mishkin, M. Pilanci, M. Schmidt',
      title: 'Faster Convergence of Stochastic Accelerated Gradient Descent under Interpolation',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.02378',
    },
  ],
  defaults: { driver: { id: 'sagd' } },
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, driver: { id: 'sagd', mu: 1 } },
      maxEvaluations: 200,
      target: 1e-6,
    },
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, driver: { id: 'sagd', dual: 'stochastic' } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
})
