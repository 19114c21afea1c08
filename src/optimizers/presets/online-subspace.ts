/** Liang, Liu, Chen, Liu, "Memory-Efficient LLM Training with Online Subspace Descent", NeurIPS 2024. */
import { gradientMethod } from '../gradient.js'
import { adam } from './adam.js'

export const method = gradientMethod<typeof adam.fields>({
  ...adam,
  id: 'online-subspace',
  title: 'Online subspace descent',
  summary: 'Adam whose state of each matrix lies in a subspace that follows the gradient.',
  references: [
    {
      authors: 'K. Liang, B. Liu, L. Chen, Q. Liu',
      title: 'Memory-Efficient LLM Training with Online Subspace Descent',
      year: 2024,
      url: 'https://arxiv.org/abs/2408.12857',
    },
    ...adam.references,
  ],
  defaults: { parametrization: { id: 'online-subspace' }, eps: 1e-6 },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.05,
        schedule: { id: 'linear', steps: 600 },
        parametrization: { id: 'online-subspace', rank: 1, projectorRate: 0.05 },
      },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
})
