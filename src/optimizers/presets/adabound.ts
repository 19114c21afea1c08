/** Luo, Xiong, Liu, Sun, "Adaptive Gradient Methods with Dynamic Bound of Learning Rate", ICLR 2019, algorithms 2 and 3. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, beta1, beta2, eps } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps,
  finalRate: real('Learning rate that all elements end at; the schedule scales it too.', {
    default: 0.1,
    above: 0,
    source: 'Luolc/AdaBound',
  }),
  gamma: real('How fast the bounds close.', { default: 1e-3, above: 0, source: 'Luolc/AdaBound' }),
  amsbound: field(z.boolean().default(false), 'Divides by the largest second moment so far.', {
    source: 'algorithm 3',
  }),
  theorySqrt: field(z.boolean().default(false), 'Divides the learning rates by sqrt(t), as the theory does.', {
    source: 'section 4',
  }),
  weightDecay: real('Strength of the weight decay.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'Luolc/AdaBound',
  }),
  decoupled: field(z.boolean().default(false), 'Subtracts lr*weightDecay*x from x; else it is added to the gradient.', {
    source: 'Luolc/AdaBound, AdaBoundW',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({
  learningRate,
  beta1,
  beta2,
  eps,
  finalRate,
  gamma,
  amsbound,
  theorySqrt,
  weightDecay,
  decoupled,
}: Config) {
  return {
    text: [
      ...(weightDecay > 0 ? [decoupled ? 'x = x - lr*weightDecay*x' : 'g = g + weightDecay*x'] : []),
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*g^2',
      ...(amsbound ? ['vmax = max(vmax, v)'] : []),
      // What the schedule has made of the learning rate, it makes of the final one.
      'final = baseRate > 0 ? finalRate*(lr/baseRate) : 0',
      'lower = final*(1 - 1/(gamma*t + 1))',
      'upper = final*(1 + 1/(gamma*t))',
      `rate = lr*sqrt(1 - beta2^t)/(1 - beta1^t)/(sqrt(${amsbound ? 'vmax' : 'v'}) + eps)`,
      `eta = clip(rate, lower, upper)${theorySqrt ? '/sqrt(t)' : ''}`,
      'x = x - eta*m',
      'report atLower = sum(rate <= lower, all)/sizeAll',
      'report atUpper = sum(rate >= upper, all)/sizeAll',
    ].join('\n'),
    slots: {
      m: { kind: 'tensor' as const },
      v: { kind: 'tensor' as const },
      ...(amsbound ? { vmax: { kind: 'tensor' as const } } : {}),
    },
    scalars: () => ({ beta1, beta2, eps, finalRate, gamma, weightDecay, baseRate: learningRate }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'adabound',
  title: 'AdaBound',
  summary: 'Adam whose learning rates, element by element, are clipped between bounds that close on that of SGD.',
  references: [
    {
      authors: 'L. Luo, Y. Xiong, Y. Liu, X. Sun',
      title: 'Adaptive Gradient Methods with Dynamic Bound of Learning Rate',
      year: 2019,
      url: 'https://arxiv.org/abs/1902.09843',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
})
