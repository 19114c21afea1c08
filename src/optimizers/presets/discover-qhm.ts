/** Tondji, Kashubin, Cisse, "Variance Reduction in Deep Learning: More Momentum is All You Need", 2021. */
import { gradientMethod } from '../gradient.js'
import { discover } from './discover-sgdm.js'
import type { qhm } from './qhm.js'

export const method = gradientMethod<typeof qhm.fields>({
  ...discover,
  id: 'discover-qhm',
  title: 'Discover with quasi-hyperbolic momentum',
  summary: 'Quasi-hyperbolic momentum, whose gradients have the momenta of their clusters as control variates.',
  defaults: { ...discover.defaults, nu: 0.7 },
})
