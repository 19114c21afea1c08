/** Nguyen, Nguyen, "Subset-Norm and Subspace-Momentum", 2024, algorithm 1 with sums: between AdaGrad and AdaGrad-Norm. */
import { gradientMethod } from '../gradient.js'
import { adamsn } from './adamsn.js'

export const method = gradientMethod<typeof adamsn.fields>({
  ...adamsn,
  id: 'adagrad-sn',
  title: 'AdaGrad-SN',
  summary: 'AdaGrad with one sum of squared gradients per subset of a tensor.',
  defaults: { secondMoment: 'sum', beta1: 0 },
  recipes: [{ problem: 'quadratic', config: { learningRate: 1 }, maxEvaluations: 500, target: 1e-6 }],
})
