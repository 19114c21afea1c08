/**
 * Separable natural evolution strategies: T. Schaul, T. Glasmachers, J. Schmidhuber, "High Dimensions and Heavy Tails for
 * Natural Evolution Strategies", GECCO 2011. Linear in the number of coordinates.
 */
import { diagonalMethod } from './diagonal-method.js'

export const method = diagonalMethod({
  id: 'snes',
  title: 'SNES',
  summary:
    'Follows the natural gradient of the mean and of each deviation of a normal distribution, from ranks of values.',
  references: [
    {
      authors: 'T. Schaul, T. Glasmachers, J. Schmidhuber',
      title: 'High Dimensions and Heavy Tails for Natural Evolution Strategies',
      year: 2011,
      url: 'https://doi.org/10.1145/2001576.2001692',
    },
  ],
  recipes: [
    { problem: 'sphere-5d', maxEvaluations: 1500, target: 1e-6 },
    { problem: 'branin', config: { populationSize: 16 }, maxEvaluations: 1000, target: 0.41 },
  ],
  equations: [
    String.raw`x_k = m + \sigma \odot z_k, \quad z_k \sim \mathcal{N}(0, I)`,
    String.raw`m \leftarrow m + \sigma \odot \sum_k u_k z_k`,
    String.raw`\sigma \leftarrow \sigma \odot \exp\left(\tfrac{\eta_\sigma}{2} \sum_k u_k (z_k^2 - 1)\right), \quad \eta_\sigma = \frac{3 + \ln n}{5 \sqrt n}`,
  ],
})
