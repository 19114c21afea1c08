/** Jiang et al., "Learning Unnormalized Statistical Models via Compositional Optimization", ICML 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'meco',
  title: 'Compositional optimization of unnormalized models',
  summary:
    'Maximum likelihood of a model without its normalizer, which is tracked by samples of a noise law; the driver `meco` ' +
    'does it for any rule, and says what its queries are for.',
  references: [
    {
      authors: 'W. Jiang, J. Qin, L. Wu, C. Chen, T. Yang, L. Zhang',
      title: 'Learning Unnormalized Statistical Models via Compositional Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.07485',
    },
  ],
  defaults: { driver: { id: 'meco' }, learningRate: 0.01 },
  // The oracle answers both purposes with the loss and its gradient.
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.02 }, maxEvaluations: 600, target: 1e-3 }],
})
