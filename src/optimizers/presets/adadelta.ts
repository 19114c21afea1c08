/** Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Factor on the step size that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'algorithm 1 has none',
  }),
  rho: real('Decay of both means of squares.', { default: 0.9, min: 0, below: 1, source: 'torch.optim.Adadelta' }),
  eps: real('Added under both roots; it sets the first steps.', { default: 1e-6, above: 0, source: 'section 4.1' }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.Adadelta',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'adadelta',
  title: 'AdaDelta',
  summary: 'Steps of the root mean square of past steps, over that of gradients, element by element.',
  references: [
    {
      authors: 'M. D. Zeiler',
      title: 'ADADELTA: An Adaptive Learning Rate Method',
      year: 2012,
      url: 'https://arxiv.org/abs/1212.5701',
    },
  ],
  fields,
  rule: ({ rho, eps, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'E = rho*E + (1 - rho)*g^2',
      'd = sqrt(U + eps)/sqrt(E + eps)*g',
      'U = rho*U + (1 - rho)*d^2',
      'x = x - lr*d',
    ].join('\n'),
    slots: { E: { kind: 'tensor' }, U: { kind: 'tensor' } },
    scalars: () => ({ rho, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 10, rho: 0.95 }, maxEvaluations: 1000, target: 1e-4 }],
})
