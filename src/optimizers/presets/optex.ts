/** Shu et al., "OptEx: Expediting First-Order Optimization with Approximately Parallelized Iterations", NeurIPS 2024. */
import { gradientMethod } from '../gradient.js'
import { adam, type adamFields } from './adam.js'

export const method = gradientMethod<typeof adamFields>({
  ...adam,
  id: 'optex',
  title: 'OptEx',
  summary:
    'Adam that asks several gradients at once, at the points where it is expected to come next; the driver `optex` does it ' +
    'for any rule.',
  references: [
    {
      authors: 'Y. Shu, J. Fang, Y. T. He, S.-K. Ng, B. K. H. Low',
      title: 'OptEx: Expediting First-Order Optimization with Approximately Parallelized Iterations',
      year: 2024,
      url: 'https://arxiv.org/abs/2402.11427',
    },
  ],
  defaults: { driver: { id: 'optex' } },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 100, target: 1e-4 }],
})
