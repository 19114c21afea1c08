/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { gradientMethod } from '../gradient.js'
import { lars } from './lars.js'
import { vrgdReference } from './vr-sgd.js'

export const method = gradientMethod<typeof lars.fields>({
  ...lars,
  id: 'vr-lars',
  title: 'VR-LARS',
  summary: 'LARS on the mean gradient of the shards of a batch, scaled by its signal-to-noise ratio.',
  references: [vrgdReference, ...lars.references],
  defaults: { driver: { id: 'shards', shards: 8 }, transforms: [{ id: 'vrgd' }] },
  invariances: [],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 1, trust: 0.02, weightDecay: 0, momentum: 0.5, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 4000,
      target: 1e-3,
    },
  ],
})
