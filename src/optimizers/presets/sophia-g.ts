/** Sophia with the Gauss-Newton-Bartlett estimator: section 2.3 and algorithm 2 of its paper. */
import { gradientMethod } from '../gradient.js'
import { sophia } from './sophia.js'

export const method = gradientMethod<typeof sophia.fields>({
  ...sophia,
  id: 'sophia-g',
  title: 'Sophia-G',
  summary:
    'Sophia with the Gauss-Newton diagonal: every few steps it asks the gradient of the loss with labels drawn from the ' +
    'model. No products with the Hessian, and no negative curvature.',
  defaults: { driver: { id: 'diagonal', estimator: 'bartlett', every: 10 }, gamma: 0.05, beta1: 0.965 },
  recipes: [
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.1,
        weightDecay: 0,
        driver: { id: 'diagonal', estimator: 'bartlett', every: 10, batch: 1 },
        schedule: { id: 'linear', steps: 360 },
      },
      maxEvaluations: 400,
      target: 1e-2,
    },
  ],
})
