/** Sivan, Gabel, Schuster, "FOSI: Hybrid First and Second Order Optimization", ICLR 2024. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'fosi',
  title: 'FOSI',
  summary:
    'Newton steps on the extreme eigenvectors of the Hessian and SGD with momentum on the rest; the driver `fosi` does it ' +
    'for any rule.',
  references: [
    {
      authors: 'H. Sivan, M. Gabel, A. Schuster',
      title: 'FOSI: Hybrid First and Second Order Optimization',
      year: 2024,
      url: 'https://arxiv.org/abs/2302.08484',
    },
  ],
  defaults: { driver: { id: 'fosi', variant: 'momentum' }, momentum: 0.9 },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, driver: { id: 'fosi', k: 2, variant: 'momentum', warmup: 10 } },
      maxEvaluations: 400,
      target: 1e-6,
    },
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.2,
        momentum: 0,
        driver: { id: 'fosi', k: 2, l: 1, alpha: 1, warmup: 0, refreshEvery: 20, products: 'difference', step: 1e-2 },
      },
      maxEvaluations: 200,
      target: 1e-6,
    },
  ],
})
