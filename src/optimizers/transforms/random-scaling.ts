/** Zhang, Cutkosky, "Random Scaling and Momentum for Non-smooth Non-convex Optimization", ICML 2024, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { defineTransform } from './transform.js'

const scale = {
  exponential: ({ uniform }: At) => -Math.log1p(-uniform),
  uniform: ({ uniform }: At) => 2 * uniform,
  one: () => 1,
}

export const randomScaling = defineTransform({
  id: 'random-scaling',
  summary: 'Multiplies every step of the rule by a random number of mean 1, the same for all tensors.',
  fields: {
    distribution: field(
      z.enum(['exponential', 'uniform', 'one']).default('exponential'),
      'Of the number: exponential, uniform on [0, 2], or always 1. The guarantees need the first.',
      { source: 'section 3.1' },
    ),
  },
  piece: () => ({ text: 'start = x' }),
  after: ({ distribution }) => ({
    text: 'x = start + scale*(x - start)\nreport scale = scale',
    scalars: (at) => ({ scale: scale[distribution](at) }),
  }),
})
