/** Bolte, Boustany, Pauwels, Purica, "A second-order-like optimizer with adaptive gradient scaling for deep learning", 2024, algorithm 1. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields } from './adam.js'

const { learningRate, eps } = adamFields
const fields = {
  learningRate,
  alpha: real('Viscous damping.', { default: 0.1, min: 0, source: 'section 3; 2.0 is the other preset' }),
  beta: real('Damping along the Hessian.', { default: 0.9, above: 0, source: 'section 3; 2.0 is the other preset' }),
  sigma: real('Decay of the mean of squared gradients.', { default: 0.999, min: 0, below: 1, source: 'algorithm 1' }),
  eps,
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0.01,
    min: 0,
    mutable: true,
    source: 'algorithm 1',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'innaprop',
  title: 'INNAprop',
  summary:
    'Inertial dynamics damped along the Hessian, which is never asked for, over the root mean square of gradients.',
  references: [
    {
      authors: 'J. Bolte, R. Boustany, E. Pauwels, A. Purica',
      title: 'A second-order-like optimizer with adaptive gradient scaling for deep learning',
      year: 2024,
      url: 'https://arxiv.org/abs/2410.05871',
    },
  ],
  fields,
  rule: ({ alpha, beta, sigma, eps, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      'psi = t == 1 ? (1 - alpha*beta)*x : psi',
      ...(weightDecay > 0 ? ['x = (1 - lr*weightDecay)*x'] : []),
      'v = sigma*v + (1 - sigma)*g^2',
      'psi = (1 - lr/beta)*psi + lr*(1/beta - alpha)*x',
      'x = (1 + lr*(1 - alpha*beta)/(beta - lr))*x - lr/(beta - lr)*psi - lr*beta*g/(sqrt(v/(1 - sigma^t)) + eps)',
    ].join('\n'),
    slots: { psi: { kind: 'tensor' }, v: { kind: 'tensor' } },
    scalars: () => ({ alpha, beta, sigma, eps, weightDecay }),
  }),
  check: ({ learningRate, beta }) =>
    learningRate >= beta ? [{ path: 'config.learningRate', message: `expected less than beta, ${beta}` }] : [],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, weightDecay: 0 },
      maxEvaluations: 500,
      target: 1e-3,
    },
  ],
})
