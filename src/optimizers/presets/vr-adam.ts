/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { gradientMethod } from '../gradient.js'
import { adam } from './adam.js'
import { vrgdReference } from './vr-sgd.js'

export const method = gradientMethod<typeof adam.fields>({
  ...adam,
  id: 'vr-adam',
  title: 'VR-Adam',
  summary: 'Adam on the mean gradient of the shards of a batch, scaled by its signal-to-noise ratio.',
  references: [vrgdReference, ...adam.references],
  defaults: { driver: { id: 'shards', shards: 8 }, transforms: [{ id: 'vrgd', beta3: 0.9 }] },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 4000, target: 1e-6 }],
})
