/** Li, "Stochastic Hessian Fittings with Lie Groups", 2024: the preconditioner itself, by the driver `psgd`. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { liReference } from './psgd.js'

const fields = {
  learningRate: real('Step size along the preconditioned gradient.', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'section 5',
  }),
  answer: field(
    z.enum(['iterate', 'direction']).default('iterate'),
    'iterate: x moves against the preconditioned gradient. direction: x stays, and the estimate is the gradient times the ' +
      'preconditioner.',
    { source: 'ours' },
  ),
}
type Config = PresetConfig<typeof fields>

const STEP: Piece = { text: 'x = x - lr*g' }
const DIRECTION: Piece = { text: 'direction = g\nx = x', slots: { direction: { kind: 'tensor' } }, answer: 'direction' }

export const method = gradientMethod<typeof fields>({
  id: 'hessian-fitting',
  title: 'Hessian fitting',
  summary:
    'Estimates the inverse of the absolute Hessian from products with random directions, on one of ten groups and manifolds, ' +
    'and reports how well it fits the pairs to come.',
  references: [liReference],
  fields,
  defaults: { driver: { id: 'psgd', group: 'gl', rate: 1, scale: 1, diagnose: true } },
  rule: ({ answer }: Config) => (answer === 'direction' ? DIRECTION : STEP),
  heavy: true,
  recipes: [
    { problem: 'quadratic', maxEvaluations: 300, target: 1e-9 },
    {
      problem: 'quadratic',
      config: { learningRate: 0.5, driver: { id: 'psgd', group: 'spd', rate: 1, pairs: 'difference', diagnose: true } },
      maxEvaluations: 300,
      target: 1e-6,
    },
  ],
})
