/** Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'sgdr',
  title: 'SGD with warm restarts',
  summary:
    'Nesterov momentum under cosine annealing with restarts; the iterate at the last end of a cycle is the estimate.',
  references: [
    {
      authors: 'I. Loshchilov, F. Hutter',
      title: 'SGDR: Stochastic Gradient Descent with Warm Restarts',
      year: 2017,
      url: 'https://arxiv.org/abs/1608.03983',
    },
  ],
  defaults: { schedule: { id: 'sgdr' }, learningRate: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  recipes: [{ problem: 'quadratic', config: { weightDecay: 0 }, maxEvaluations: 150, target: 1e-6 }],
})
