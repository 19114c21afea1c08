/**
 * Gradient methods behind a polynomial of a curvature matrix that cuts its largest eigenvalues: N. Doikov, A. Rodomanov,
 * "Polynomial Preconditioning for Gradient Methods", ICML 2023 (arXiv:2301.13194), algorithms 1 to 3.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import { spaceOf } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { curvatureField } from './curvature.js'
import { checkDimension } from './local.js'
import { ask, learn, type State, start, wantsValue } from './polynomial-steps.js'

const config = z.strictObject({
  variant: field(
    z.enum(['gradient', 'fast', 'krylov-adaptive']).default('gradient'),
    'Steps along P_tau g; the same with the momentum of Nesterov, restarted where the value rises; or the best step of all ' +
      'polynomials of that degree, by a small solve.',
    { source: 'algorithms 1 to 3' },
  ),
  tau: field(z.int().min(0).max(16).default(1), 'Degree: so many of the largest eigenvalues are cut.', {
    source: 'ours',
  }),
  curvature: curvatureField('hessian'),
  source: field(
    z.enum(['matrix', 'axes', 'products']).default('products'),
    'How the curvature matrix is known: told as a matrix, by its products with all axes, or only by the products that a step ' +
      'needs, where the traces of its powers are estimated from random directions.',
    { source: 'section 4' },
  ),
  curvatureEvery: field(
    z.int().min(0).default(0),
    'Steps from one matrix, or estimate of traces, to the next; 0: one for all.',
    {
      source: 'ours',
    },
  ),
  probes: field(z.int().min(1).default(4), 'Random directions of the estimate.', { source: 'ours' }),
  lanczosSteps: field(z.int().min(2).default(10), 'Products with each of them.', { source: 'ours' }),
  step: field(
    z.enum(['adaptive', 'fixed']).default('adaptive'),
    'The step constant M is doubled until the value falls by <g, Pg>/(2M), and halved after; or it stays.',
    { source: 'section 3' },
  ),
  stepConstant: field(
    z.number().positive().optional(),
    'M, at the start. Without it, lipschitz times the largest eigenvalue of P B, which is 1 for krylov-adaptive.',
    { source: 'theorem 3.1' },
  ),
  lipschitz: real('L of Hess f <= L*B.', { default: 1, above: 0, source: 'section 2', log: true }),
})
export type Config = z.infer<typeof config>

export const method = turnsMethod<Config, State>({
  id: 'polynomial-precond',
  family: 'gradient',
  title: 'Polynomial preconditioning',
  summary:
    'Cuts the few largest eigenvalues of the curvature by a polynomial of it, at the price of as many products per step; or ' +
    'finds the best polynomial for each step.',
  references: [
    {
      authors: 'N. Doikov, A. Rodomanov',
      title: 'Polynomial Preconditioning for Gradient Methods',
      year: 2023,
      url: 'https://arxiv.org/abs/2301.13194',
    },
  ],
  config,
  heavy: true,
  recipes: [
    { problem: 'quadratic', config: { source: 'matrix', tau: 3 }, maxEvaluations: 200, target: 1e-6 },
    { problem: 'quadratic', config: { variant: 'fast', tau: 2 }, maxEvaluations: 400, target: 1e-6 },
    {
      problem: 'quadratic',
      config: { variant: 'krylov-adaptive', step: 'fixed', tau: 2 },
      maxEvaluations: 60,
      target: 1e-6,
    },
  ],
  equations: ({ variant }) => [
    ...(variant === 'krylov-adaptive'
      ? [String.raw`K = [g, B g, \ldots, B^\tau g],\quad x \leftarrow x - \tfrac{1}{M} K (K^\top B K)^{-1} K^\top g`]
      : [
          String.raw`P_0 = I,\quad P_t = e_t(\lambda) I - B P_{t-1}`,
          String.raw`x \leftarrow y - \tfrac{1}{M} P_\tau \nabla f(y)`,
        ]),
    ...(variant === 'fast' ? [String.raw`y = x_k + \tfrac{k}{k+3} (x_k - x_{k-1})`] : []),
  ],
  needs: (config) => [
    'gradient',
    ...(wantsValue(config) ? (['value'] as const) : []),
    config.source === 'matrix' ? 'quantities' : 'hvp',
  ],
  check({ tau, variant, source }, problem) {
    const dimension = totalElements(spaceOf(problem).tensors)
    const issues = checkUnbounded('polynomial-precond', problem)
    if (source !== 'products') issues.push(...checkDimension('polynomial-precond', problem))
    if (variant !== 'krylov-adaptive' && tau >= dimension)
      issues.push({ path: 'config.tau', message: `expected less than ${dimension}, the parameters; got ${tau}` })
    return issues
  },
  init: ({ config }, flat, seed) => start(config, flat, seed),
  ask,
  learn,
  // Where there is no value, nearer by.
  refused(state) {
    if (state.phase === 'trial') state.M! *= 2
  },
  estimate: (_, { x, t, M, condition, last }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: {
      ...(M !== null && { stepConstant: M }),
      ...(condition !== null && { predictedCondition: condition }),
      ...(last !== null && { value: last }),
    },
  }),
})
