/** Settings of accel-cubic-inexact.ts. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { hessianField } from './local.js'

export const config = z.strictObject({
  order: field(
    z.union([z.literal(2), z.literal(3)]).default(2),
    'Order of the model: 3 takes third derivatives too, and the fourth power of the step.',
    { source: 'Agafonov et al. 2024, section 6' },
  ),
  L2: real('Lipschitz constant of the Hessian.', { default: 1, above: 0, source: 'ours', log: true }),
  L3: real('Order 3: Lipschitz constant of the third derivative.', {
    default: 1,
    above: 0,
    source: 'ours',
    log: true,
  }),
  delta2: real('Error of the told Hessian: the norm of its difference from the true one.', {
    default: 0,
    min: 0,
    source: 'Agafonov et al. 2024, assumption 2',
  }),
  sigma1: real('Standard deviation of the noise of the told gradient.', {
    default: 0,
    min: 0,
    source: 'Agafonov et al. 2024, assumption 2',
  }),
  R: real('Distance from the start to a minimum.', { default: 1, above: 0, source: 'ours', log: true }),
  multiplierM: real('M of the model: times L2, where 2 is safe; for order 3 times 3*L3.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  multiplierN: real('N of the estimating sequence, times L2, where 12 is safe, or L3.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  subsolver: field(
    z.enum(['exact', 'krylov', 'first-order']).default('exact'),
    'exact: eigenvalues of the whole Hessian. krylov: products one by one, until the model is solved. first-order: no Hessian, for delta2 of half the largest eigenvalue.',
    { source: 'Agafonov et al. 2024, section 4' },
  ),
  accuracy: real(
    'krylov: norm of the gradient of the model, relative to that of the objective, at which it is solved.',
    {
      default: 1e-3,
      min: 0,
      source: 'Agafonov et al. 2024, definition 4.1',
      log: true,
    },
  ),
  products: field(z.int().min(1).default(50), 'krylov: most products of one step.', { source: 'ours' }),
  hessian: hessianField(),
})
export type Config = z.infer<typeof config>
