/** Yuan et al., "MARS: Unleashing the Power of Variance Reduction for Training Large Models", 2024, algorithms 1 to 3. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', { default: 0.003, min: 0, mutable: true, log: true, source: 'AGI-Arena/MARS' }),
  variant: field(
    z.enum(['adamw', 'lion', 'sgd']).default('adamw'),
    'What steps are made of the mean of corrected gradients: divided by their second moment, by its sign, or as it is ' +
      '(with gamma 1 and the driver `previous`: STORM).',
    { source: 'algorithms 2 and 3' },
  ),
  gamma: real('Strength of the correction; 0 is the rule by itself.', { default: 0.025, min: 0, source: 'section 4' }),
  beta1: real('Decay of the mean of corrected gradients.', { default: 0.95, min: 0, below: 1, source: 'section 4' }),
  beta2: real('Decay of the mean of their squares.', { default: 0.99, min: 0, below: 1, source: 'section 4' }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, min: 0, source: 'AGI-Arena/MARS' }),
  clip: field(z.boolean().default(true), 'Clips corrected gradients to norm 1, tensor by tensor.', {
    source: 'algorithm 1',
  }),
  start: field(z.enum(['gradient', 'zero']).default('gradient'), 'The past gradient of the first step.', {
    source: 'algorithm 1; zero in AGI-Arena/MARS',
  }),
  optimize1d: field(
    z.boolean().default(true),
    'Off: tensors of rank below 2 are left to AdamW with betas 0.9 and 0.95.',
    {
      source: 'ours; AGI-Arena/MARS has it off',
    },
  ),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'AGI-Arena/MARS',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({ variant, gamma, beta1, beta2, eps, clip, start, optimize1d, weightDecay, driver }: Config): Piece {
  const exact = driver.id === 'previous'
  const past = exact ? 'past' : start === 'gradient' ? '(t == 1 ? g : last)' : 'last'
  const second = variant === 'adamw' || !optimize1d
  const each = (matrix: string, other: string) => (optimize1d ? matrix : `(matrix ? ${matrix} : ${other})`)
  const adamw = ratio(`(m/(1 - ${each('beta1', '0.9')}^t))`, `sqrt(v/(1 - ${each('beta2', '0.95')}^t))`, eps)
  const direction = { adamw, lion: each('sign(m)', adamw), sgd: each('m', adamw) }[variant]
  return {
    text: [
      `c = g + gamma*beta1/(1 - beta1)*(g - ${past})`,
      ...(clip ? ['c = c/max(1, norm(c))'] : []),
      ...(exact ? [] : ['last = g']),
      ...(optimize1d ? [] : ['c = matrix ? c : g']),
      `m = ${each('beta1', '0.9')}*m + (1 - ${each('beta1', '0.9')})*c`,
      ...(second ? [`v = ${each('beta2', '0.95')}*v + (1 - ${each('beta2', '0.95')})*c^2`] : []),
      `x = x - lr*${weightDecay > 0 ? `(${direction} + weightDecay*x)` : direction}`,
    ].join('\n'),
    slots: {
      m: { kind: 'tensor' },
      ...(second ? { v: { kind: 'tensor' } } : {}),
      ...(exact ? {} : { last: { kind: 'tensor' } }),
    },
    inputs: exact ? ['past'] : [],
    scalars: () => ({ gamma, beta1, beta2, eps, weightDecay }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'mars',
  title: 'MARS',
  summary:
    'AdamW or Lion on gradients with reduced variance. By itself it corrects with the last gradient; with the driver ' +
    '`previous`, with the gradient of the same sample at the last iterate.',
  references: [
    {
      authors: 'H. Yuan, Y. Liu, S. Wu, X. Zhou, Q. Gu',
      title: 'MARS: Unleashing the Power of Variance Reduction for Training Large Models',
      year: 2024,
      url: 'https://arxiv.org/abs/2411.10438',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
    {
      problem: 'quadratic',
      config: { variant: 'sgd', gamma: 1, beta1: 0.9, clip: false, learningRate: 0.1, driver: { id: 'previous' } },
      maxEvaluations: 400,
      target: 1e-6,
    },
  ],
})
