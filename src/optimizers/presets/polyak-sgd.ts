/**
 * The step size of Polyak, "Introduction to Optimization", 1987, section 5.3; bounded, for stochastic gradients: Loizou, Vaswani,
 * Laradji, Lacoste-Julien, "Stochastic Polyak Step-size for SGD", AISTATS 2021.
 */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Times the step size.', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'optax.polyak_sgd',
  }),
  maxRate: real('Largest step size.', {
    default: 1,
    above: 0,
    mutable: true,
    log: true,
    source: 'section 2.1: SPS_max',
  }),
  optimum: real('The least value of the loss; of a maximized objective, of its negative.', {
    default: 0,
    source: 'optax.polyak_sgd: f_min',
  }),
  eps: real('Added to the square of the gradient.', { default: 0, min: 0, source: 'optax.polyak_sgd' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'polyak-sgd',
  title: 'SGD with the Polyak step size',
  summary: 'SGD as far as the loss is above its least value, which is known: no rate to be tuned.',
  references: [
    {
      authors: 'N. Loizou, S. Vaswani, I. Laradji, S. Lacoste-Julien',
      title: 'Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence',
      year: 2021,
      url: 'https://arxiv.org/abs/2002.10542',
    },
  ],
  fields,
  beside: () => ['value'],
  rule: ({ maxRate, optimum, eps }: PresetConfig<typeof fields>) => ({
    text: [
      'square = dot(g, g, all) + eps',
      'length = square > 0 ? min(max(gap, 0)/select(square > 0, square, 1), maxRate) : 0',
      'x = x - lr*length*g',
      'report stepSize = length',
    ].join('\n'),
    scalars: ({ told }) => ({ gap: told.value - optimum, maxRate, eps }),
  }),
  recipes: [{ problem: 'quadratic', maxEvaluations: 200, target: 1e-6 }],
})
