/** Karakida et al., "Understanding Gradient Regularization in Deep Learning: ...", ICML 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'fd-gr',
  title: 'Gradient regularization by finite differences',
  summary:
    'SGD on the loss with a penalty on the norm of its gradient; the driver `fd-gr` does it, and flooding, for any rule.',
  references: [
    {
      authors: 'R. Karakida, T. Takase, T. Hayase, K. Osawa',
      title:
        'Understanding Gradient Regularization in Deep Learning: Efficient Finite-Difference Computation and Implicit Bias',
      year: 2022,
      url: 'https://arxiv.org/abs/2210.02720',
    },
    {
      authors: 'T. Ishida, I. Yamane, T. Sakai, G. Niu, M. Sugiyama',
      title: 'Do We Need Zero Training Loss After Achieving Zero Training Error?',
      year: 2020,
      url: 'https://arxiv.org/abs/2002.08709',
    },
  ],
  defaults: { driver: { id: 'fd-gr' } },
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.05 }, maxEvaluations: 400, target: 1e-4 },
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, driver: { id: 'fd-gr', mode: 'exact' } },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
})
