/** Liu, Yang, Zhang, Lei, "Optimization for Amortized Inverse Problems", ICML 2023. */
import { gradientMethod } from '../gradient.js'
import { adam, type adamFields } from './adam.js'

export const method = gradientMethod<typeof adamFields>({
  ...adam,
  id: 'amortized-continuation',
  title: 'Continuation for inverse problems',
  summary:
    'Adam on a sequence of problems from an easy one to the hard one, as for the latent of a generative prior from its ' +
    'mode; the driver `continuation` does it for any rule.',
  references: [
    {
      authors: 'T. Liu, T. Yang, Q. Zhang, Q. Lei',
      title: 'Optimization for Amortized Inverse Problems',
      year: 2022,
      url: 'https://arxiv.org/abs/2210.13983',
    },
    ...adam.references,
  ],
  defaults: { driver: { id: 'continuation' }, learningRate: 0.05 },
  recipes: [
    {
      problem: 'smoothed-waves',
      config: {
        learningRate: 0.1,
        driver: { id: 'continuation', parameter: 'width', from: 1.5, to: 0, schedule: 'linear', stages: 16 },
      },
      maxEvaluations: 1200,
      target: 1e-3,
    },
  ],
})
