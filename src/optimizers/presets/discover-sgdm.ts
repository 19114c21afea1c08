/** Tondji, Kashubin, Cisse, "Variance Reduction in Deep Learning: More Momentum is All You Need", 2021. */
import { gradientMethod, type Preset } from '../gradient.js'
import { qhm } from './qhm.js'

export const discover = {
  ...qhm,
  id: 'discover-sgdm',
  title: 'Discover with momentum',
  summary: 'SGD with momentum, whose gradients have the momenta of their clusters as control variates.',
  references: [
    {
      authors: 'L. Tondji, S. Kashubin, M. Cisse',
      title: 'Variance Reduction in Deep Learning: More Momentum is All You Need',
      year: 2021,
      url: 'https://arxiv.org/abs/2111.11828',
    },
    ...qhm.references,
  ],
  defaults: { driver: { id: 'discover', clusters: 10 }, nu: 1 },
  recipes: [
    {
      problem: 'clusters',
      config: { learningRate: 0.2, driver: { id: 'discover', clusters: 3 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
} satisfies Preset<typeof qhm.fields>

export const method = gradientMethod<typeof qhm.fields>(discover)
