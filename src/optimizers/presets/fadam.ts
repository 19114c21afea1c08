/** Hwang, "FAdam: Adam is a natural gradient optimizer using diagonal empirical Fisher information", 2024, algorithm 1. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, beta1, beta2, eps } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  clip: real('Largest root mean square of the natural gradient of a tensor.', {
    default: 1,
    above: 0,
    source: 'algorithm 1',
  }),
  power: real('Exponent of the Fisher information.', { default: 0.5, above: 0, source: 'algorithm 1' }),
  weightDecay: real('Strength of the decay, which the Fisher information preconditions like the gradient.', {
    default: 0.1,
    min: 0,
    mutable: true,
    source: 'algorithm 1',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({ beta1, beta2, eps, clip, power, weightDecay }: Config) {
  // Elements that never had a gradient have no direction, and no decay.
  const natural = (name: string, of: string) => [
    `${name} = D > 0 ? ${of}/D : 0`,
    `${name} = ${name}/(max(1, sqrt(mean(${name}^2)))/c)`,
  ]
  return {
    text: [
      'b = beta2*(1 - beta2^(t - 1))/(1 - beta2^t)',
      'F = b*F + (1 - b)*g^2',
      `D = ${power === 0.5 ? 'sqrt(F)' : 'F^power'} + eps*min(1, sqrt(mean(g^2)))`,
      ...natural('n', 'g'),
      'm = beta1*m + (1 - beta1)*n',
      ...(weightDecay > 0 ? [...natural('r', 'x'), 'x = x - lr*(m + weightDecay*r)'] : ['x = x - lr*m']),
    ].join('\n'),
    slots: { m: { kind: 'tensor' as const }, F: { kind: 'tensor' as const } },
    scalars: () => ({ beta1, beta2, eps, c: clip, weightDecay, ...(power === 0.5 ? {} : { power }) }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'fadam',
  title: 'FAdam',
  summary:
    'Adam as natural gradient descent: momentum of the clipped natural gradient, and decay preconditioned alike.',
  references: [
    {
      authors: 'D. Hwang',
      title: 'FAdam: Adam is a natural gradient optimizer using diagonal empirical Fisher information',
      year: 2024,
      url: 'https://arxiv.org/abs/2405.12807',
    },
  ],
  fields,
  rule,
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, weightDecay: 0, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
