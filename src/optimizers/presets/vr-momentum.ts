/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'
import { vrgdReference } from './vr-sgd.js'

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'vr-momentum',
  title: 'VR-Momentum',
  summary: 'SGD with momentum on the mean gradient of the shards of a batch, scaled by its signal-to-noise ratio.',
  references: [vrgdReference, ...sgd.references],
  defaults: { momentum: 0.9, driver: { id: 'shards', shards: 8 }, transforms: [{ id: 'vrgd' }] },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1, momentum: 0.5 }, maxEvaluations: 4000, target: 1e-6 }],
})
