/** Lau, Liu, Kolar, "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods", 2024. */
import { gradientMethod } from '../gradient.js'
import { adagrad } from './adagrad.js'

export const adadagradReference = {
  authors: 'T. T.-K. Lau, H. Liu, M. Kolar',
  title: 'AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods',
  year: 2024,
  url: 'https://arxiv.org/abs/2402.11215',
}

export const method = gradientMethod<typeof adagrad.fields>({
  ...adagrad,
  id: 'adadagrad',
  title: 'AdAdaGrad',
  summary:
    'AdaGrad on batches that grow as the noise of their gradient does. The driver `batch-size` does it for any rule.',
  references: [adadagradReference, ...adagrad.references],
  defaults: { driver: { id: 'batch-size' } },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 1 }, maxEvaluations: 2000, target: 1e-6 }],
})
