/** Koloskova, Hendrikx, Stich, "Revisiting Gradient Clipping: Stochastic bias and tight convergence guarantees", ICML 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'clipped-sgd',
  title: 'Clipped SGD',
  summary: 'SGD on gradients whose norm is clipped. The transform `clip-norm` does it for any rule.',
  references: [
    {
      authors: 'A. Koloskova, H. Hendrikx, S. U. Stich',
      title: 'Revisiting Gradient Clipping: Stochastic bias and tight convergence guarantees',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.01588',
    },
    ...sgd.references,
  ],
  defaults: { transforms: [{ id: 'clip-norm', threshold: 1 }] },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1, momentum: 0.5 }, maxEvaluations: 200, target: 1e-6 }],
})
