/**
 * T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever, "Evolution Strategies as a Scalable Alternative to Reinforcement
 * Learning", 2017 (arXiv:1703.03864): mirrored samples, centered ranks, Adam. The deviation stays as it is.
 */
import { diagonalMethod } from './diagonal-method.js'

export const method = diagonalMethod({
  id: 'open-es',
  title: 'OpenAI-ES',
  summary: 'Adam along the gradient of a smoothed objective, estimated from the ranks of mirrored samples.',
  references: [
    {
      authors: 'T. Salimans, J. Ho, X. Chen, S. Sidor, I. Sutskever',
      title: 'Evolution Strategies as a Scalable Alternative to Reinforcement Learning',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.03864',
    },
  ],
  recipes: [
    { problem: 'sphere-5d', config: { sigma: 0.02, populationSize: 20 }, maxEvaluations: 3000, target: 0.05 },
    { problem: 'branin', config: { sigma: 0.02, populationSize: 20 }, maxEvaluations: 3000, target: 0.45 },
  ],
  equations: [
    String.raw`x_k^\pm = m \pm \sigma z_k, \quad z_k \sim \mathcal{N}(0, I)`,
    String.raw`g = \frac{1}{n \sigma} \sum_k u_k z_k, \quad u = \text{ranks from } \tfrac12 \text{ to } -\tfrac12`,
    String.raw`m \leftarrow m + \mathrm{Adam}(g)`,
  ],
})
