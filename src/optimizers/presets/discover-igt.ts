/** Tondji, Kashubin, Cisse, "Variance Reduction in Deep Learning: More Momentum is All You Need", 2021. */
import { gradientMethod } from '../gradient.js'
import { discover } from './discover-sgdm.js'
import type { qhm } from './qhm.js'

export const method = gradientMethod<typeof qhm.fields>({
  ...discover,
  id: 'discover-igt',
  title: 'Discover with implicit gradient transport',
  summary:
    'SGD with momentum by the mean of gradients that are asked ahead of the iterate, with the momenta of their clusters ' +
    'as control variates.',
  references: [
    ...discover.references,
    {
      authors: 'S. Arnold, P. Manzagol, R. Babanezhad, I. Mitliagkas, N. Le Roux',
      title: 'Reducing the variance in online optimization by transporting past gradients',
      year: 2019,
      url: 'https://arxiv.org/abs/1906.03532',
    },
  ],
  defaults: { ...discover.defaults, driver: { id: 'discover', clusters: 10, transport: true } },
  recipes: [
    {
      problem: 'clusters',
      config: { learningRate: 0.2, driver: { id: 'discover', clusters: 3, transport: true } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
})
