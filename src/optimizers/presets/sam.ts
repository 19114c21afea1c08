/** Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'sam',
  title: 'Sharpness-aware minimization',
  summary:
    'SGD with momentum by the gradient at the worst point near the iterate; the driver `sam` does it for any rule.',
  references: [
    {
      authors: 'P. Foret, A. Kleiner, H. Mobahi, B. Neyshabur',
      title: 'Sharpness-Aware Minimization for Efficiently Improving Generalization',
      year: 2021,
      url: 'https://arxiv.org/abs/2010.01412',
    },
  ],
  defaults: { driver: { id: 'sam', rho: 0.05 }, momentum: 0.9 },
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.02 }, maxEvaluations: 400, target: 1e-2 }],
})
