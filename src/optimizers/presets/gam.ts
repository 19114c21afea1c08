/** Zhang et al., "Gradient Norm Aware Minimization Seeks First-Order Flatness and Improves Generalization", CVPR 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'gam',
  title: 'Gradient norm aware minimization',
  summary:
    'SGD on the loss and the largest norm of its gradient nearby, which looks for flat minima; the driver `gam` does it ' +
    'for any rule.',
  references: [
    {
      authors: 'X. Zhang, R. Xu, H. Yu, H. Zou, P. Cui',
      title: 'Gradient Norm Aware Minimization Seeks First-Order Flatness and Improves Generalization',
      year: 2023,
      url: 'https://arxiv.org/abs/2303.03108',
    },
  ],
  defaults: { driver: { id: 'gam' }, momentum: 0.9 },
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.02, momentum: 0, driver: { id: 'gam', rho: 0.02 } },
      maxEvaluations: 800,
      target: 1e-2,
    },
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, momentum: 0, driver: { id: 'gam', mode: 'hvp', rho: 0.02 } },
      maxEvaluations: 800,
      target: 1e-2,
    },
  ],
})
