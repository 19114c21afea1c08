/** Fang, Li, Lin, Zhang, "SPIDER: Near-Optimal Non-Convex Optimization via Stochastic Path Integrated Differential Estimator", NeurIPS 2018. */
import { gradientMethod } from '../gradient.js'
import { betaGngd } from './beta-gngd.js'

export const method = gradientMethod<typeof betaGngd.fields>({
  ...betaGngd,
  id: 'spider',
  title: 'SPIDER',
  summary:
    'Steps of one length along a gradient estimate that is corrected by the change of a small batch between two iterates, ' +
    'and begun anew with a big batch every period.',
  references: [
    {
      authors: 'C. Fang, C. J. Li, Z. Lin, T. Zhang',
      title: 'SPIDER: Near-Optimal Non-Convex Optimization via Stochastic Path Integrated Differential Estimator',
      year: 2018,
      url: 'https://arxiv.org/abs/1807.01695',
    },
    ...betaGngd.references,
  ],
  defaults: { driver: { id: 'previous', period: 20 }, beta: 1, learningRate: 0.01 },
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 200 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
})
