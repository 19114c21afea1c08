/** Cao, Li, Song, "Grams: Gradient Descent with Adaptive Momentum Scaling", 2024: the sign of one rule, the length of another. */
import { defineTransform } from './transform.js'

export const grams = defineTransform({
  id: 'grams',
  summary: 'Moves every element against the sign of its gradient, as far as the rule would move it.',
  fields: {},
  piece: () => ({ text: 'start = x' }),
  after: () => ({ text: 'x = start - sign(g)*abs(x - start)' }),
})
