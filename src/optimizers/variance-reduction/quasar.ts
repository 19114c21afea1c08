/** The numbers of the methods for quasar-convex functions: Fu, Xu, Wilson, ICML 2023, tables of sections 3 and 4. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'

export const config = z.strictObject({
  variant: field(
    z.enum(['qasvrg', 'qasgd', 'qagd']).default('qasvrg'),
    'Gradients of the whole sum (qagd), of batches (qasgd), or of batches with a snapshot (qasvrg).',
    { source: 'algorithms 1 to 3' },
  ),
  form: field(
    z.enum(['general', 'sgc', 'strong']).default('general'),
    'general; of qasgd also sgc, for gradients with strong growth; strong, for strongly quasar-convex functions.',
    { source: 'algorithms 1 to 3' },
  ),
  gamma: real('Quasar-convexity; 1 is that of star-convex functions.', {
    default: 0.5,
    above: 0,
    max: 1,
    source: 'ours',
  }),
  smoothness: real('Lipschitz constant L of the gradient.', { default: 1, above: 0, log: true, source: 'ours' }),
  mu: real('strong: strong quasar-convexity.', { default: 0.1, above: 0, log: true, source: 'ours' }),
  rho: real('sgc: E|g|^2 is at most rho times |grad f|^2.', { default: 1, min: 1, source: 'ours' }),
  tolerance: real('What the inequality of the search may fail by.', {
    default: 1e-9,
    min: 0,
    log: true,
    source: 'ours',
  }),
  distance: real('qasgd, general: half the squared distance of the start from the solution, D.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  noise: real('qasgd, general: bound on E|g|^2; with 0, steps are of 1/L.', { default: 0, min: 0, source: 'ours' }),
  horizon: field(z.int().min(1).default(1000), 'qasgd, general: number of steps that its step size is made for, K.', {
    source: 'ours',
  }),
  examples: field(
    z.int().min(1).optional(),
    'qasvrg: examples of the sum, n, of which the session reports the size of batches; without it, the client picks.',
  ),
  optimum: field(
    z.number().default(0),
    'qasvrg, general: least value of the function, from which stages are measured.',
    {
      source: 'section 4',
    },
  ),
  radius: real('qasvrg, general: lower bound on the square of the distance to the solution.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  stageSteps: field(z.int().min(1).optional(), 'qasvrg: steps of a stage, in place of those of the theory.'),
})
export type Config = z.infer<typeof config>

/** Weights of the strongly quasar-convex step: those of x and of z. */
function strong({ gamma, mu, smoothness }: Config) {
  return { a: (gamma * mu) / 2, beta: Math.sqrt(2 * smoothness * mu), kappa: smoothness / mu }
}

/**
 * What the search of step k is for: c*f(x) + tau*(<grad f(x), y - z> - tau*b*|y - z|^2) <= c*f(y) + tolerance; and the tau
 * that is tried first.
 */
export function coupling(config: Config, k: number): { c: number; b: number; guess: number } {
  const { variant, form, gamma, mu } = config
  if (form === 'strong') {
    const { a, beta, kappa } = strong(config)
    return { c: Math.sqrt(2 * kappa), b: (gamma * mu) / 4, guess: beta / (a + beta) }
  }
  if (variant === 'qasvrg')
    return { c: (gamma * (k + 1) ** 2) / (4 * k + 6), b: 0, guess: 1 - (2 * k + 3) / (k + 2) ** 2 }
  return { c: (gamma * (k + 1) ** 2) / (2 * k + 3), b: 0, guess: 1 - 2 / (k + 2) }
}

/** The next y and z, of step k, from the gradient g at x. */
export function move(config: Config, k: number, x: Float64Array, z: Float64Array, g: Float64Array) {
  const { variant, form, gamma, smoothness: L, rho } = config
  const step = (from: Float64Array, size: number) => from.map((value, i) => value - size * g[i])
  const weight = 2 * k + 3
  if (form === 'strong') {
    const { a, beta } = strong(config)
    return { y: step(x, 1 / L), z: z.map((value, i) => (beta * value + a * x[i] - g[i]) / (a + beta)) }
  }
  if (variant === 'qasvrg') return { y: step(x, 1 / L), z: step(z, (gamma * weight) / (8 * L)) }
  if (variant === 'qagd') return { y: step(x, 1 / L), z: step(z, (gamma * weight) / (4 * L)) }
  if (form === 'sgc') return { y: step(x, 1 / (rho * L)), z: step(z, (gamma * weight) / (4 * L * rho ** 2)) }
  return { y: x, z: step(z, (rate(config) * weight) / gamma) }
}

/** Step size of qasgd; without noise, 1/L. */
function rate({ smoothness, distance, noise, gamma, horizon }: Config): number {
  const most = Math.sqrt((4 * distance) / noise) * (gamma / (horizon + 1) ** 1.5)
  return Math.min(1 / smoothness, most)
}

/** Examples of the batch of step k of a stage; undefined where the client picks. */
export function batchOf(config: Config, k: number): number | undefined {
  const { examples: n, form, gamma, smoothness, variant } = config
  if (n === undefined || variant !== 'qasvrg') return undefined
  // Of the strong form, 2k + 3 is what gives the same step of z.
  const { a, beta } = strong(config)
  const weight = form === 'strong' ? (8 * smoothness) / (gamma * (a + beta)) : 2 * k + 3
  return Math.ceil((n * weight) / ((n - 1) / 8 + weight))
}

/** Steps of a stage from a snapshot w of value fw; without end where that is the least value. */
export function stageLength(config: Config, square: number, fw: number): number {
  const { form, gamma, smoothness, radius, optimum, stageSteps } = config
  if (stageSteps !== undefined) return stageSteps
  if (form === 'strong') {
    return Math.ceil(Math.log(8 / gamma) / Math.log(1 + gamma / Math.sqrt(8 * strong(config).kappa)))
  }
  const gap = fw - optimum
  if (!(gap > 0)) return Number.POSITIVE_INFINITY
  const start = (gamma ** 2 / 16 + 1) * 0.5 * Math.max(square, radius)
  return Math.ceil(Math.sqrt(start / ((gamma ** 2 / (16 * smoothness)) * 0.25 * gap)))
}
