/** Nguyen, Nguyen, "Subset-Norm and Subspace-Momentum", 2024, algorithm 2 with the second moment of algorithm 1. */
import { gradientMethod } from '../gradient.js'
import { adamsn } from './adamsn.js'

export const method = gradientMethod<typeof adamsn.fields>({
  ...adamsn,
  id: 'adamsnsm',
  title: 'AdamSNSM',
  summary: 'AdamSN whose momentum lies in the leading subspace of the gradients.',
  defaults: { rank: 8 },
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, rank: 1, updateEvery: 20, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
})
