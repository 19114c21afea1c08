/** Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep Networks", 2015, equation 1. */
import { real } from '../parts.js'
import { defineTransform } from './transform.js'

export const gradientNoise = defineTransform({
  id: 'gradient-noise',
  summary: 'Adds normal noise of variance eta/(1 + t)^gamma, t from 0, to every element of the gradient.',
  fields: {
    eta: real('Variance at the first step.', { default: 0.01, min: 0, source: 'section 2' }),
    gamma: real('Exponent of the annealing.', { default: 0.55, min: 0, source: 'section 2' }),
  },
  piece: ({ eta, gamma }) => ({
    text: 'g = g + sd*normal()\nreport noise = sd',
    scalars: ({ t }) => ({ sd: Math.sqrt(eta / t ** gamma) }),
  }),
})
