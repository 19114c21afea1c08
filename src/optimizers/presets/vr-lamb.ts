/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { gradientMethod } from '../gradient.js'
import { lamb } from './lamb.js'
import { vrgdReference } from './vr-sgd.js'

export const method = gradientMethod<typeof lamb.fields>({
  ...lamb,
  id: 'vr-lamb',
  title: 'VR-LAMB',
  summary: 'LAMB on the mean gradient of the shards of a batch, scaled by its signal-to-noise ratio.',
  references: [vrgdReference, ...lamb.references],
  defaults: { eps: 1e-8, driver: { id: 'shards', shards: 8 }, transforms: [{ id: 'vrgd', beta3: 0.9 }] },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, weightDecay: 0, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 4000,
      target: 1e-3,
    },
  ],
})
