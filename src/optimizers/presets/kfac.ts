/** Martens, Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", ICML 2015. */
import { spaceOf } from '../flat.js'
import { gradientMethod } from '../gradient.js'
import { checkRoles, initialDraw, mupFields, mupReference } from '../mup.js'
import { sgd } from './sgd.js'

const fields = { ...sgd.fields, ...mupFields }

export const method = gradientMethod<typeof fields>({
  ...sgd,
  id: 'kfac',
  title: 'K-FAC',
  summary:
    'SGD along the natural gradient of layers, by Kronecker factors of the Fisher matrix; the driver `kfac` does it for any ' +
    'rule. In mup the learning rate is the same at all widths and the damping goes by the trace.',
  references: [
    {
      authors: 'J. Martens, R. Grosse',
      title: 'Optimizing Neural Networks with Kronecker-factored Approximate Curvature',
      year: 2015,
      url: 'https://arxiv.org/abs/1503.05671',
    },
    mupReference,
  ],
  fields,
  defaults: { driver: { id: 'kfac' } },
  initial: initialDraw,
  check: (config, problem) => [
    ...sgd.check(config),
    ...checkRoles(config, spaceOf(problem).tensors),
    ...(config.parameterization === 'mup' && config.driver.damping === 'fixed'
      ? [{ path: 'config.driver.damping', message: 'mup needs a damping by the trace' }]
      : []),
  ],
  invariances: [],
  recipes: [
    {
      problem: 'layers',
      config: { learningRate: 0.3, driver: { id: 'kfac', ridge: 0.1 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
    {
      problem: 'layers',
      config: { learningRate: 0.1, momentum: 0.9, driver: { id: 'kfac', ridge: 0.1, told: 'activations', every: 5 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
})
