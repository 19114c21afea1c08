/** Quinton, Rey, "Jacobian Descent for Multi-Objective Optimization", 2024. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'upgrad',
  title: 'Jacobian descent',
  summary:
    'SGD on several objectives at once, by an update that is worse for none of them; the driver `objectives` does it for ' +
    'any rule, and has other aggregators of gradients.',
  references: [
    {
      authors: 'P. Quinton, V. Rey',
      title: 'Jacobian Descent for Multi-Objective Optimization',
      year: 2024,
      url: 'https://arxiv.org/abs/2406.16232',
    },
  ],
  defaults: { driver: { id: 'objectives' }, learningRate: 0.01 },
  invariances: [],
  recipes: [
    {
      problem: 'shared-minimum',
      config: { learningRate: 0.1, driver: { id: 'objectives', objectives: 2 } },
      maxEvaluations: 300,
      target: 1e-6,
    },
    {
      problem: 'shared-minimum',
      config: {
        learningRate: 0.1,
        driver: { id: 'objectives', aggregator: 'dualproj', told: 'gramian', objectives: 2 },
      },
      maxEvaluations: 600,
      target: 1e-6,
    },
  ],
})
