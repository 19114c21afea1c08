/** Xu, Xu, Qian, Li, Jin, "Towards Understanding Label Smoothing", 2020: SGD around the driver `tsla`. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'tsla',
  title: 'Two-stage label smoothing',
  summary:
    'SGD on smoothed labels, and from some step on with true ones: the smoothing speeds up the first stage, and dropping it ' +
    'removes its bias.',
  references: [
    {
      authors: 'Y. Xu, Y. Xu, Q. Qian, H. Li, R. Jin',
      title: 'Towards Understanding Label Smoothing',
      year: 2020,
      url: 'https://arxiv.org/abs/2006.11653',
    },
    ...sgd.references,
  ],
  defaults: { driver: { id: 'tsla' } },
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 300, target: 1e-4 },
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.1,
        driver: { id: 'tsla', labels: 'combined', switch: 'fraction', totalSteps: 20, diagnoseEvery: 15 },
      },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
