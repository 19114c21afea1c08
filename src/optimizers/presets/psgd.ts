/**
 * Pooladzandi, Li, "Curvature-Informed SGD via General Purpose Lie-Group Preconditioners", 2024: steps along gradients that
 * the driver `psgd` preconditions.
 */
import type { Piece } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size; near a minimum of which H is known, 1 is the step of Newton.', {
    default: 0.1,
    min: 0,
    mutable: true,
    log: true,
    source: 'ours',
  }),
  momentum: real('Decay of the mean of preconditioned gradients; 0 keeps none.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'lixilinx/psgd_torch',
  }),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'ours',
  }),
}
type Config = PresetConfig<typeof fields>

export const liReference = {
  authors: 'X.-L. Li',
  title: 'Stochastic Hessian Fittings with Lie Groups',
  year: 2024,
  url: 'https://arxiv.org/abs/2402.11858',
}

export const psgd = {
  id: 'psgd',
  title: 'Preconditioned SGD on Lie groups',
  summary:
    'Fits a preconditioner near the inverse of the absolute Hessian, on the group that the driver names, and steps along the ' +
    'preconditioned gradient. Works where the Hessian is indefinite or noisy.',
  references: [
    {
      authors: 'O. Pooladzandi, X.-L. Li',
      title: 'Curvature-Informed SGD via General Purpose Lie-Group Preconditioners',
      year: 2024,
      url: 'https://arxiv.org/abs/2402.04553',
    },
    liReference,
  ],
  fields,
  defaults: { driver: { id: 'psgd' } },
  rule: ({ momentum, weightDecay }: Config): Piece => ({
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      ...(momentum > 0 ? ['m = momentum*m + (1 - momentum)*g', 'x = x - lr*m'] : ['x = x - lr*g']),
    ].join('\n'),
    slots: momentum > 0 ? { m: { kind: 'tensor' } } : {},
    scalars: () => ({ momentum, weightDecay }),
  }),
  heavy: true,
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.5 }, maxEvaluations: 300, target: 1e-6 },
    {
      problem: 'quadratic',
      config: { momentum: 0.5, driver: { id: 'psgd', group: 'low-rank', pairs: 'difference', rank: 2 } },
      maxEvaluations: 600,
      target: 1e-4,
    },
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, driver: { id: 'psgd', group: 'triangular', pairs: 'whitening', clip: 1 } },
      maxEvaluations: 1000,
      target: 1e-3,
    },
    {
      problem: 'rosenbrock',
      config: { learningRate: 0.5, driver: { id: 'psgd', group: 'gl', rate: 0.5, scale: 0.1, clip: 1 } },
      maxEvaluations: 800,
      target: 1e-6,
    },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(psgd)
