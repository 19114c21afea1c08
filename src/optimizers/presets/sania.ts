/** Abdukhakimov, Xiang, Kamzolov, Gower, Takáč, "SANIA: Polyak-type Optimization Framework Leads to Scale Invariant Stochastic Algorithms", 2023, sections 3 and 4. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const VARIANTS = ['adagrad-sqr', 'adam-sqr', 'adagrad', 'adam', 'hutchinson', 'newton', 'identity'] as const

const fields = {
  learningRate: real('Factor on the step that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'ours',
  }),
  variant: field(
    z.enum(VARIANTS).default('adagrad-sqr'),
    'The preconditioner B. adagrad-sqr, adam-sqr: sum or mean of squared gradients, and newton: the Hessian; the loss does ' +
      'not depend on the scale of the data. adagrad, adam: their roots. hutchinson: the diagonal of the Hessian. ' +
      'hutchinson and newton need the driver of that name.',
    { source: 'section 3' },
  ),
  fstar: real('The least value of the objective, or of its samples; of a maximized one, minus its greatest.', {
    default: 0,
    source: 'section 2',
  }),
  beta2: real('Decay of the means of the preconditioner.', { default: 0.999, min: 0, below: 1, source: 'section 5' }),
  eps: real('Least element of the preconditioner; tiny ones keep the invariance to scale.', {
    default: 0.1,
    above: 0,
    source: 'fxrshed/SANIA',
  }),
}
type Config = PresetConfig<typeof fields>

const SUM = 'S = S + g^2'
const MEAN = 'S = beta2*S + (1 - beta2)*g^2'
/** Lines that make the preconditioned gradient d. */
const DIRECTION: Record<Config['variant'], string[]> = {
  'adagrad-sqr': [SUM, 'd = g/max(S, eps)'],
  'adam-sqr': [MEAN, 'd = g/max(S/(1 - beta2^t), eps)'],
  adagrad: [SUM, 'd = g/max(sqrt(S), eps)'],
  adam: [MEAN, 'd = g/max(sqrt(S/(1 - beta2^t)), eps)'],
  hutchinson: ['S = beta2*S + (1 - beta2)*probe*along', 'd = g/max(abs(S/(1 - beta2^t)), eps)'],
  newton: ['d = direction'],
  identity: ['d = g'],
}
const INPUTS: Partial<Record<Config['variant'], string[]>> = { hutchinson: ['probe', 'along'], newton: ['direction'] }

function rule({ variant, fstar, beta2, eps }: Config): Piece {
  const stateless = variant === 'newton' || variant === 'identity'
  return {
    text: [
      ...DIRECTION[variant],
      // The smallest step, in the norm of B, to a root of f + <g, s> + s'Bs/2 = fstar; else to its least value.
      'square = dot(g, d, all)',
      'c = square > 0 ? 2*max(f - fstar, 0)/square : 1',
      'alpha = c < 1 ? 1 - sqrt(1 - c) : 1',
      'x = x - lr*alpha*d',
      'report alpha = alpha',
      'report gradientNormB = sqrt(max(square, 0))',
    ].join('\n'),
    slots: stateless ? {} : { S: { kind: 'tensor' } },
    inputs: INPUTS[variant],
    scalars: ({ told }) => ({ beta2, eps, fstar, f: told.value }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'sania',
  title: 'SANIA',
  summary:
    'Polyak’s step size for preconditioned gradients: asks the value with the gradient, and needs the least value in place ' +
    'of a learning rate.',
  references: [
    {
      authors: 'F. Abdukhakimov, C. Xiang, D. Kamzolov, R. M. Gower, M. Takáč',
      title: 'SANIA: Polyak-type Optimization Framework Leads to Scale Invariant Stochastic Algorithms',
      year: 2023,
      url: 'https://arxiv.org/abs/2312.17369',
    },
  ],
  fields,
  beside: () => ['value'],
  rule,
  recipes: [
    { problem: 'quadratic', config: { variant: 'identity' }, maxEvaluations: 300, target: 1e-3 },
    {
      problem: 'quadratic',
      config: { variant: 'newton', driver: { id: 'newton' } },
      maxEvaluations: 100,
      target: 1e-6,
    },
    {
      problem: 'quadratic',
      config: { variant: 'hutchinson', driver: { id: 'hutchinson', step: 1e-2 } },
      maxEvaluations: 100,
      target: 1e-6,
    },
  ],
})
