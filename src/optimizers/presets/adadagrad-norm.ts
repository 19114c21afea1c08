/** Lau, Liu, Kolar, "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods", 2024. */
import { gradientMethod } from '../gradient.js'
import { adadagradReference } from './adadagrad.js'
import { adagradNorm } from './adagrad-norm.js'

export const method = gradientMethod<typeof adagradNorm.fields>({
  ...adagradNorm,
  id: 'adadagrad-norm',
  title: 'AdAdaGradNorm',
  summary:
    'AdaGrad-Norm on batches that grow as the noise of their gradient does. The driver `batch-size` does it for any rule.',
  references: [adadagradReference, ...adagradNorm.references],
  defaults: { driver: { id: 'batch-size' } },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 3 }, maxEvaluations: 2000, target: 1e-6 }],
})
