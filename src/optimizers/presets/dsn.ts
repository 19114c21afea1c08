/** Lee, Xie, Gallagher, Zhang, Tu, "Deeply-Supervised Nets", AISTATS 2015. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'dsn',
  title: 'Deeply-supervised nets',
  summary:
    'SGD on an output loss and the companion losses of hidden levels, whose weights fall to zero; the driver ' +
    '`deep-supervision` does it for any rule.',
  references: [
    {
      authors: 'C.-Y. Lee, S. Xie, P. Gallagher, Z. Zhang, Z. Tu',
      title: 'Deeply-Supervised Nets',
      year: 2014,
      url: 'https://arxiv.org/abs/1409.5185',
    },
  ],
  defaults: { driver: { id: 'deep-supervision' }, learningRate: 0.1, momentum: 0.9 },
  invariances: [],
  // The oracle answers for all levels with the loss itself.
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.01, driver: { id: 'deep-supervision', levels: 2, steps: 100 } },
      maxEvaluations: 900,
      target: 1e-3,
    },
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.01,
        driver: { id: 'deep-supervision', levels: 1, steps: 100, decay: 'epoch', epoch: 20 },
      },
      maxEvaluations: 900,
      target: 1e-3,
    },
  ],
})
