/**
 * Policy gradients with parameter-based exploration, symmetric sampling: F. Sehnke, C. Osendorfer, T. Rückstieß, A. Graves,
 * J. Peters, J. Schmidhuber, "Parameter-exploring policy gradients", Neural Networks 23, 2010. Rewards are ranks.
 */
import { diagonalMethod } from './diagonal-method.js'

export const method = diagonalMethod({
  id: 'pgpe',
  title: 'PGPE',
  summary:
    'Likelihood gradients of the mean and of each deviation from mirrored pairs: robust to noise, many parameters.',
  references: [
    {
      authors: 'F. Sehnke, C. Osendorfer, T. Rückstieß, A. Graves, J. Peters, J. Schmidhuber',
      title: 'Parameter-exploring policy gradients',
      year: 2010,
      url: 'https://doi.org/10.1016/j.neunet.2009.12.004',
    },
  ],
  recipes: [
    { problem: 'sphere-5d', maxEvaluations: 2000, target: 1e-3 },
    { problem: 'branin', config: { populationSize: 16 }, maxEvaluations: 1500, target: 0.45 },
  ],
  equations: [
    String.raw`x_k^\pm = m \pm \epsilon_k, \quad \epsilon_k \sim \mathcal{N}(0, \mathrm{diag}(\sigma^2))`,
    String.raw`m \leftarrow m + \alpha \Bigl\langle \tfrac{r_k^+ - r_k^-}{2} \epsilon_k \Bigr\rangle`,
    String.raw`\sigma \leftarrow \sigma + \alpha_\sigma \Bigl\langle \tfrac{r_k^+ + r_k^-}{2} \tfrac{\epsilon_k^2 - \sigma^2}{\sigma} \Bigr\rangle`,
  ],
})
