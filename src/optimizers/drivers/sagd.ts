/**
 * Mishkin, Pilanci, Schmidt, "Faster Convergence of Stochastic Accelerated Gradient Descent under Interpolation", 2024:
 * Nesterov's scheme around a primal step, here the rule's. Where gradients have strong growth, E|g(w)|^2 <= rho*|grad f(w)|^2,
 * SGD of learning rate eta = 1/(rho*L) decreases the loss enough: E f(w_{k+1}) <= f(y_k) - eta/2*|grad f(y_k)|^2.
 *
 * With the full gradient in the momentum, E f(w_k) - f* <= prod(1 - alpha_i)*(f(w_0) - f* + lambda_0/2*|w_0 - w*|^2), in which
 * alpha is sqrt(mu/(rho*L)) for mu > 0. For the stochastic gradient in its place the first version of the paper claims the
 * same; a later one says that the proof is wrong. What is used here then is a momentum damped by rho, whose rate pays rho
 * in place of sqrt(rho).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { strongGrowth } from '../diagnostics/strong-growth.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  dual: field(
    z.enum(['full', 'stochastic']).default('full'),
    'The gradient in the momentum. full: that of the whole sum, asked at the same point with purpose "full". stochastic: ' +
      'that of the primal step.',
    { source: 'section 3; the authors on their proof of the second' },
  ),
  mu: real('Strong convexity; 0 for losses that are convex.', { default: 0, min: 0, source: 'ours' }),
  rho: real('stochastic: the constant of strong growth.', { default: 1, min: 1, source: 'ours' }),
}
type Config = PartConfig<typeof fields>

/** The positive root of a^2 = rate*((1 - a)*lambda + a*mu). */
function root(rate: number, lambda: number, mu: number): number {
  const linear = rate * (lambda - mu)
  const constant = rate * lambda
  return constant > 0 ? (2 * constant) / (linear + Math.sqrt(linear ** 2 + 4 * constant)) : 0
}

const LEAD = 'x = (alpha*lambda*v + next*w)/(lambda + alpha*mu)'
const DUAL = 'x = ((1 - alpha)*lambda*x + alpha*mu*y - alpha*g)/next'

/** The numbers of the step under way. */
function constants({ dual, mu, rho }: Config, { learningRate, state }: Drive) {
  const { lambda } = state.reports!
  const alpha = root(dual === 'full' ? learningRate : learningRate / rho, lambda, mu)
  return { alpha, lambda, mu, next: (1 - alpha) * lambda + alpha * mu }
}

function begin(config: Config, drive: Drive): Ask {
  const piece: Piece = { text: LEAD, inputs: ['v', 'w'], scalars: () => constants(config, drive) }
  drive.run(piece, 'leading', { v: drive.state.points.dual, w: drive.x })
  drive.state.phase = 'step'
  return { point: 'leading', purpose: 'step' }
}

function advance(config: Config, drive: Drive, primal: Tensors, dual: Tensors): Ask {
  const { reports, points } = drive.state
  const { alpha, lambda, mu, next } = constants(config, drive)
  const piece: Piece = { text: DUAL, inputs: ['y'], scalars: () => ({ alpha, lambda, mu, next }) }
  drive.run(piece, 'dual', { g: dual, y: points.leading }, { project: true })
  drive.copy(points.leading, 'x')
  drive.update(primal, { at: points.leading })
  drive.state.reports = { ...reports, alpha, lambda: next, bound: (1 - alpha) * reports!.bound }
  return begin(config, drive)
}

export const sagd = defineDriver({
  id: 'sagd',
  summary:
    'Nesterov acceleration around the steps of the rule, for sums whose terms have a common minimizer. Reports `alpha`, ' +
    '`lambda`, `bound`, the factor on the error of the start, and with the full gradient `strongGrowth`, an estimate of rho.',
  fields,
  leading: true,
  points: ({ dual }) => ['leading', 'dual', ...(dual === 'full' ? ['gradient'] : [])],
  begin(config, drive) {
    drive.copy(drive.x, 'dual')
    drive.state.reports = { lambda: config.mu > 0 ? config.mu : 1 / (drive.learningRate || 1), bound: 1 }
    return begin(config, drive)
  },
  advance(config, drive, told) {
    const { state } = drive
    if (config.dual === 'stochastic') return advance(config, drive, told, told)
    if (state.phase === 'step') {
      drive.copy(told, 'gradient')
      state.phase = 'full'
      return { point: 'leading', purpose: 'full', sample: '.full', aside: true }
    }
    const { gradient } = state.points
    const growth = strongGrowth([gradient], told)
    const mean = state.reports!.strongGrowth ?? growth
    if (Number.isFinite(growth)) state.reports!.strongGrowth = mean + (growth - mean) / ++state.shard
    return advance(config, drive, gradient, told)
  },
})
