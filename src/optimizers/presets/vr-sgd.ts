/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { gradientMethod } from '../gradient.js'
import { sgd } from './sgd.js'

export const vrgdReference = {
  authors: 'G.-q. Jiang, J. Liu, Z. Ding, L. Guo, W. Lin',
  title: 'Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)',
  year: 2023,
  url: 'https://arxiv.org/abs/2309.13681',
}

export const method = gradientMethod<typeof sgd.fields>({
  ...sgd,
  id: 'vr-sgd',
  title: 'VR-SGD',
  summary: 'SGD on the mean gradient of the shards of a batch, scaled by its signal-to-noise ratio.',
  references: [vrgdReference, ...sgd.references],
  defaults: { driver: { id: 'shards', shards: 8 }, transforms: [{ id: 'vrgd' }] },
  invariances: [],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 4000, target: 1e-6 }],
})
