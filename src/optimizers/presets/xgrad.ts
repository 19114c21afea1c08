/** Guan et al., "XGrad: Boosting Gradient-Based Optimizers With Weight Prediction", 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'xgrad',
  title: 'XGrad',
  summary:
    'SGD with momentum by the gradient at the point that it is expected to reach; the driver `xgrad` does it for any rule.',
  references: [
    {
      authors: 'L. Guan, D. Li, Y. Shi, J. Meng',
      title: 'XGrad: Boosting Gradient-Based Optimizers With Weight Prediction',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.18240',
    },
  ],
  defaults: { driver: { id: 'xgrad', steps: 1 }, learningRate: 0.01, momentum: 0.9 },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.05 }, maxEvaluations: 200, target: 1e-4 }],
})
