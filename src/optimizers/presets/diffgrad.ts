/** Dubey et al., "diffGrad: An Optimization Method for Convolutional Neural Networks", 2019, equations 10 to 15 and section V. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2, eps, weightDecay } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  weightDecay,
  friction: field(
    z.enum(['absolute', 'signed', 'wide']).default('absolute'),
    'Factor on the step from the change d = past - g of the gradient. absolute: sigmoid(|d|), from 1/2 to 1. ' +
      'signed: sigmoid(d), from 0 to 1. wide: 9*sigmoid(|d|/2) - 4, from 1/2 to 5.',
    { source: 'equation 11; section V' },
  ),
}

const FRICTION = {
  absolute: '1/(1 + exp(-abs(past - g)))',
  signed: '1/(1 + exp(g - past))',
  wide: '9/(1 + exp(-abs(past - g)/2)) - 4',
}

export const method = gradientMethod<typeof fields>({
  id: 'diffgrad',
  title: 'diffGrad',
  summary: 'Adam with shorter steps, element by element, where the gradient changes little.',
  references: [
    {
      authors: 'S. R. Dubey, S. Chakraborty, S. K. Roy, S. Mukherjee, S. K. Singh, B. B. Chaudhuri',
      title: 'diffGrad: An Optimization Method for Convolutional Neural Networks',
      year: 2019,
      url: 'https://arxiv.org/abs/1909.11015',
    },
  ],
  fields,
  rule: ({ beta1, beta2, eps, weightDecay, friction }: PresetConfig<typeof fields>) => ({
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      `xi = ${FRICTION[friction]}`,
      'past = g',
      `x = x - lr*sqrt(1 - beta2^t)/(1 - beta1^t)*xi*${ratio('m', 'sqrt(v)', eps)}`,
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' }, past: { kind: 'tensor' } },
    scalars: () => ({ beta1, beta2, eps, weightDecay }),
  }),
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
})
