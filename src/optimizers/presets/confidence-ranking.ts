/** Zhu, Liu, Wang, Zhao, Lin, Shao, "Confidence Ranking for CTR Prediction", WWW 2023. */
import { gradientMethod } from '../gradient.js'
import { adam } from './adam.js'

export const method = gradientMethod<typeof adam.fields>({
  ...adam,
  id: 'confidence-ranking',
  title: 'Confidence ranking',
  summary:
    'Adam on a classifier that replaces a deployed one: the cross-entropy, and a ranking loss that makes it more confident ' +
    'in the truth than the old; the driver `confidence-ranking` does it for any rule.',
  references: [
    {
      authors: 'J. Zhu, C. Liu, P. Wang, X. Zhao, Z. Lin, J. Shao',
      title: 'Confidence Ranking for CTR Prediction',
      year: 2023,
      url: 'https://arxiv.org/abs/2307.01206',
    },
  ],
  defaults: { driver: { id: 'confidence-ranking' }, learningRate: 0.05 },
  invariances: [],
  recipes: [
    {
      problem: 'clicks',
      config: { driver: { id: 'confidence-ranking' } },
      maxEvaluations: 1000,
      target: 0.737,
    },
    {
      problem: 'clicks',
      config: { driver: { id: 'confidence-ranking', metric: 'auc', surrogate: 'hinge', window: 10 } },
      maxEvaluations: 200,
      target: 1.2,
    },
  ],
})
