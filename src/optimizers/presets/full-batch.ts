/** Geiping, Goldblum, Pope, Moeller, Goldstein, "Stochastic Training is Not Necessary for Generalization", ICLR 2022, section 3. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'full-batch',
  title: 'Full-batch training',
  summary:
    'Descent on all of the data that generalizes as SGD with small batches does: a penalty on the gradient of each block, ' +
    'clipping, a long warm-up, and Nesterov momentum. Nothing in it is stochastic.',
  references: [
    {
      authors: 'J. Geiping, M. Goldblum, P. E. Pope, M. Moeller, T. Goldstein',
      title: 'Stochastic Training is Not Necessary for Generalization',
      year: 2021,
      url: 'https://arxiv.org/abs/2109.14119',
    },
    ...sgd.references,
  ],
  defaults: {
    driver: { id: 'grad-penalty', blocks: 32 },
    transforms: [{ id: 'clip-norm', threshold: 0.25 }],
    schedule: { id: 'cosine', steps: 4000, warmupSteps: 400 },
    learningRate: 0.8,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
  },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: {
        driver: { id: 'grad-penalty', blocks: 2 },
        schedule: { id: 'cosine', steps: 200, warmupSteps: 20 },
        learningRate: 0.1,
        weightDecay: 0,
      },
      maxEvaluations: 1000,
      target: 1e-4,
    },
  ],
})
