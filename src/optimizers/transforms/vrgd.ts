/** Jiang et al., "Accelerating Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023. */
import { real } from '../parts.js'
import { defineTransform } from './transform.js'

export const vrgd = defineTransform({
  id: 'vrgd',
  summary:
    'Scales every element of the gradient by its signal-to-noise ratio among the shards of a batch, relative to the mean ' +
    'ratio of its tensor and between gamma and 1. Needs the driver `shards`.',
  fields: {
    gamma: real('Smallest factor; 1 changes nothing.', { default: 0.1, above: 0, max: 1, source: 'ours' }),
    beta3: real('Decay of the mean of factors over the steps, corrected for its start; 0 takes those of the step.', {
      default: 0,
      min: 0,
      below: 1,
      source: 'ours; 0.9 in VR-Adam and VR-LAMB',
    }),
    varianceEps: real('Added to the variance.', { default: 1e-12, above: 0, source: 'ours' }),
  },
  piece: ({ gamma, beta3, varianceEps }) => ({
    text: [
      'ratio = g^2/(spread + varianceEps)',
      'typical = mean(ratio)',
      'factor = select(typical > 0, clip(ratio/select(typical > 0, typical, 1), gamma, 1), 1)',
      'report factor = mean(factor, all)',
      ...(beta3 > 0 ? ['smooth = beta3*smooth + (1 - beta3)*factor', 'g = smooth/(1 - beta3^t)*g'] : ['g = factor*g']),
    ].join('\n'),
    slots: beta3 > 0 ? { smooth: { kind: 'tensor' as const } } : undefined,
    scalars: () => ({ gamma, beta3, varianceEps }),
    inputs: ['spread'],
  }),
})
