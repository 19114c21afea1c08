/** Kundu, Mellempudi, Vooturi, Kaul, Dubey, "AUTOSPARSE: Towards Automated Sparse Training of Deep Neural Networks", 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'autosparse',
  title: 'AutoSparse',
  summary: 'SGD with momentum on weights that are handed out sparse, and on the thresholds that make them so.',
  references: [
    {
      authors: 'A. Kundu, N. K. Mellempudi, D. T. Vooturi, B. Kaul, P. Dubey',
      title: 'AUTOSPARSE: Towards Automated Sparse Training of Deep Neural Networks',
      year: 2023,
      url: 'https://arxiv.org/abs/2304.06941',
    },
    ...sgd.references,
  ],
  defaults: {
    parametrization: { id: 'autosparse' },
    schedule: { id: 'cosine', steps: 1000 },
    learningRate: 0.1,
    momentum: 0.9,
  },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, momentum: 0.5, schedule: { id: 'constant' } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
