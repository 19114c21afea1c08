/**
 * Jahani, Rusakov, Shi, Richtárik, Mahoney, Takáč, "Doubly Adaptive Scaled Algorithm for Machine Learning Using
 * Second-Order Information", ICLR 2022, algorithm 1; section 3.2 the stochastic setting, appendix the momentum.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Factor on the step size that the method finds; the step size itself where it is not adaptive.', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'ours',
  }),
  adaptive: field(
    z.boolean().default(true),
    'Finds the step size by the change of the gradient; with the `past` gradient of the driver where it gives one, both ' +
      'gradients are of one batch.',
    { source: 'algorithm 1' },
  ),
  initialStep: real('First step size of the adaptive ones, eta_0.', {
    default: 1e-3,
    above: 0,
    log: true,
    source: 'ours',
  }),
  beta1: real('Decay of the mean of gradients, which replaces the gradient; needs a fixed step size.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'appendix, momentum',
  }),
  beta2: real('Decay of the mean of Hessian diagonals; 0.99 for small problems.', {
    default: 0.999,
    min: 0,
    below: 1,
    source: 'section 4',
  }),
  alpha: real('Least element of the absolute diagonal.', { default: 1e-5, above: 0, source: 'equation 5' }),
}
type Config = PresetConfig<typeof fields>

const tensor = { kind: 'tensor' as const }
const global = { kind: 'global' as const }

/** Equation 9: the step size grows by sqrt(1 + theta) at most and stays below the local inverse smoothness. */
const adaptiveStep = (past: string): string[] => [
  'moved = sqrt(sum(d*(x - xLast)^2, all))',
  `changed = sqrt(sum((g - ${past})^2/d, all))`,
  'bound = changed > 0 ? moved/(2*changed) : Infinity',
  // theta_0 is infinite: the second step knows no growth.
  'next = t > 2 ? min(sqrt(1 + theta)*eta, bound) : bound',
  'next = t > 1 and isfinite(next) ? next : eta',
  'theta = next/eta',
  'eta = next',
  'xLast = x',
]

function rule({ adaptive, initialStep, beta1, beta2, alpha, driver }: Config): Piece {
  const sameBatch = driver.past === true
  return {
    text: [
      'D = t == 1 ? diagonal : beta2*D + (1 - beta2)*diagonal',
      'd = max(abs(D), alpha)',
      ...(adaptive ? adaptiveStep(sameBatch ? 'past' : 'gLast') : []),
      ...(adaptive && !sameBatch ? ['gLast = g'] : []),
      ...(beta1 > 0 ? ['m = beta1*m + (1 - beta1)*g', 'x = x - lr*m/d'] : []),
      ...(beta1 === 0 ? [`x = x - lr*${adaptive ? 'eta*' : ''}g/d`] : []),
      ...(adaptive ? ['report stepSize = lr*eta'] : []),
    ].join('\n'),
    slots: {
      D: tensor,
      ...(beta1 > 0 ? { m: tensor } : {}),
      ...(adaptive ? { xLast: tensor, eta: { ...global, initial: initialStep }, theta: global } : {}),
      ...(adaptive && !sameBatch ? { gLast: tensor } : {}),
    },
    inputs: ['diagonal', ...(adaptive && sameBatch ? ['past'] : [])],
    scalars: () => ({ beta1, beta2, alpha }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'oasis',
  title: 'OASIS',
  summary:
    'Steps scaled by the absolute Hessian diagonal, with a step size that finds itself: no learning rate to tune. Also on ' +
    'minibatches, with `past` of its driver, and with momentum at a fixed step size.',
  references: [
    {
      authors: 'M. Jahani, S. Rusakov, Z. Shi, P. Richtárik, M. W. Mahoney, M. Takáč',
      title: 'Doubly Adaptive Scaled Algorithm for Machine Learning Using Second-Order Information',
      year: 2022,
      url: 'https://arxiv.org/abs/2109.05198',
    },
  ],
  fields,
  defaults: { driver: { id: 'diagonal', warmup: 10 } },
  rule,
  check: ({ adaptive, beta1 }) =>
    adaptive && beta1 > 0
      ? [{ path: 'config.beta1', message: 'momentum needs a fixed step size: set adaptive to false' }]
      : [],
  recipes: [
    { problem: 'quadratic', maxEvaluations: 300, target: 1e-8 },
    {
      problem: 'quadratic',
      config: { driver: { id: 'diagonal', warmup: 10, past: true } },
      maxEvaluations: 400,
      target: 1e-8,
    },
    {
      problem: 'quadratic',
      config: { adaptive: false, beta1: 0.9, learningRate: 0.5 },
      maxEvaluations: 400,
      target: 1e-6,
    },
  ],
})
