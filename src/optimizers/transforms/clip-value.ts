import { real } from '../parts.js'
import { defineTransform } from './transform.js'

export const clipValue = defineTransform({
  id: 'clip-value',
  summary: 'Clips every element of the gradient to [-threshold, threshold].',
  fields: { threshold: real('Largest magnitude of an element.', { default: 1, above: 0, source: 'ours' }) },
  piece: ({ threshold }) => ({
    text: 'g = clip(g, -threshold, threshold)',
    scalars: () => ({ threshold }),
  }),
})
