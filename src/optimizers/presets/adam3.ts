/** Wang et al., "Momentum is All You Need for Data-Driven Adaptive Optimization", ICDM 2023, algorithm 1 (AdaM3). */
import { gradientMethod } from '../gradient.js'
import { adabelief } from './adabelief.js'

export const method = gradientMethod<typeof adabelief.fields>({
  ...adabelief,
  id: 'adam3',
  title: 'AdaM3',
  summary: 'Adam whose second moment is that of the mean of gradients: long steps where their noise cancels.',
  references: [
    {
      authors: 'Y. Wang, Y. Kang, C. Qin, H. Wang, Y. Xu, Y. Zhang, Y. Fu',
      title: 'Momentum is All You Need for Data-Driven Adaptive Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2106.11514',
    },
    ...adabelief.references,
  ],
  defaults: { second: 'momentum' },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.02 }, maxEvaluations: 800, target: 1e-4 }],
})
