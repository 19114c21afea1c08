/**
 * Tyurin, "From Logistic Regression to the Perceptron Algorithm: Exploring Gradient Descent with Large Step Sizes", 2024,
 * section 5. For losses log(1 + exp(-z)) of examples with margins z, the weights of its gradient are p = 1 - exp(-loss);
 * dividing by their mean keeps the perceptron that the method becomes from slowing down as errors get rare.
 */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size; large ones make it a perceptron.', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'section 5: any works',
  }),
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const method = gradientMethod<typeof fields>({
  id: 'normalized-lr-gd',
  title: 'Normalized logistic regression gradient descent',
  summary:
    'For mean logistic losses: gradient descent divided by the mean weight of misclassification. Asks the loss of every ' +
    'example (as the examples of a score) with the gradient, and is done when every example is classified.',
  references: [
    {
      authors: 'A. Tyurin',
      title: 'From Logistic Regression to the Perceptron Algorithm: Exploring Gradient Descent with Large Step Sizes',
      year: 2024,
      url: 'https://arxiv.org/abs/2412.08424',
    },
  ],
  fields,
  beside: () => ['score'],
  finished: (_, { examples }) =>
    examples.length > 0 && examples.every((loss) => loss < Math.LN2)
      ? 'every example is classified: all losses are below log 2'
      : undefined,
  rule: (_: PresetConfig<typeof fields>) => ({
    text: 'x = x - lr*g/p',
    scalars: ({ told: { examples } }) => ({
      p: examples.length > 0 ? mean(examples.map((loss) => -Math.expm1(-loss))) : 1,
    }),
  }),
  check: (_, { objectives }) =>
    objectives[0].direction === 'maximize'
      ? [{ path: 'objectives[0].direction', message: 'losses are minimized' }]
      : [],
  recipes: [{ problem: 'separable', config: { learningRate: 100 }, maxEvaluations: 200, target: Math.LN2 }],
})
