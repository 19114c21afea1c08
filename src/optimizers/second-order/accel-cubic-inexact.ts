/**
 * Accelerated cubic Newton that stays stable with noisy gradients and wrong Hessians: A. Agafonov, D. Kamzolov, A. Gasnikov,
 * A. Kavis, K. Antonakopoulos, V. Cevher, M. Takac, "Advancing the lower bounds: An accelerated, stochastic, second-order
 * method with optimal adaptation to inexactness", ICLR 2024 (arXiv:2309.01570).
 *
 * v = (A*x + a*y)/A' with a = (k+1)(k+2)/2 and A' = A + a. x = v + u, u = argmin <g, u> + <H*u, u>/2 + dl*|u|^2/2 + M*|u|^3/6
 * with the damping dl = 2*delta2 + sigma1/R*(k+3)^1.5. s += a*grad f(x); y = argmin <s, y> + kap*|y - x0|^2/2 + N*|y - x0|^3/6.
 * f - f* = O(sigma1*R/sqrt(T) + delta2*R^2/T^2 + L2*R^3/T^3). Without noise it is the accelerated cubic Newton of Nesterov 2008.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, WantKind } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { beginLanczos, extendLanczos, type Lanczos } from '../diagnostics/lanczos.js'
import { accumulate, type Flat, norm, plus } from '../flat.js'
import { real } from '../parts.js'
import { turnsMethod } from '../turns.js'
import { cubicStep } from './cubic.js'
import {
  checkDimension,
  hessianField,
  isKnown,
  kindsOf,
  type Local,
  learnLocal,
  signOf,
  turnOf,
  unknown,
  type Wish,
} from './local.js'
import { type Spectrum, spectrumOf } from './spectrum.js'

const config = z.strictObject({
  L2: real('Lipschitz constant of the Hessian.', { default: 1, above: 0, source: 'ours', log: true }),
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
  multiplierM: real('M of the model, in L2; 2 is safe.', { default: 1, above: 0, source: 'ours' }),
  multiplierN: real('N of the estimating sequence, in L2; 12 is safe.', { default: 1, above: 0, source: 'ours' }),
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
type Config = z.infer<typeof config>

type State = {
  start: Float64Array
  x: Float64Array
  y: Float64Array
  /** Sum of a*grad f(x). */
  s: Float64Array
  A: number
  kap: number
  k: number
  /** What is known at v, or of the new x. */
  local: Local
  phase: 'model' | 'products' | 'step'
  lanczos: Lanczos | null
  damping: number
  /** Norm of the gradient of the model at u. */
  residual: number
  stopped: string | null
}

const weight = (k: number) => ((k + 1) * (k + 2)) / 2
const dampingOf = ({ delta2, sigma1, R }: Config, k: number) => 2 * delta2 + (sigma1 / R) * (k + 3) ** 1.5

const wishOf = ({ subsolver, hessian }: Config, phase: State['phase']): Wish => ({
  gradient: true,
  hessian: phase === 'model' && subsolver === 'exact' && hessian,
})

/** Where the next model is made. */
function mix({ x, y, A, k }: State): Float64Array {
  const a = weight(k)
  return x.map((value, i) => (A * value + a * y[i]) / (A + a))
}

/** Norm of g + H*u + (dl + M*|u|/2)*u */
export function modelResidual(
  product: ArrayLike<number>,
  g: ArrayLike<number>,
  u: Float64Array,
  M: number,
  damping: number,
): number {
  const shift = damping + (M * norm(u)) / 2
  return norm(u.map((value, i) => g[i] + product[i] + shift * value))
}

/** A tridiagonal matrix from Lanczos steps, and how far it reaches out of its basis. */
function projected({ diagonal, beside }: Lanczos): { spectrum: Spectrum; out: number } {
  const n = diagonal.length
  const T = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    T[i * n + i] = diagonal[i]
    if (i + 1 < n) T[i * n + i + 1] = T[(i + 1) * n + i] = beside[i]
  }
  return { spectrum: spectrumOf(T, n), out: beside[n - 1] ?? 0 }
}

/** The solution within the basis, or undefined while it is not good enough and there is more to ask. */
function krylovStep(config: Config, own: State, more: boolean): Float64Array | undefined {
  const lanczos = own.lanczos!
  const g = own.local.gradient!
  const { spectrum, out } = projected(lanczos)
  const n = spectrum.values.length
  const first = new Float64Array(n)
  first[0] = norm(g)
  const c = cubicStep(spectrum, first, config.multiplierM * config.L2, own.damping)
  // Within the basis the model is solved; what is left of its gradient is along the next vector.
  own.residual = Math.abs(out * c[n - 1])
  if (more && own.residual > config.accuracy * norm(g) && n < config.products) return undefined
  const u = new Float64Array(g.length)
  c.forEach((value, i) => {
    accumulate(u, value, lanczos.basis[i])
  })
  return u
}

function leave(own: State, u: Float64Array): void {
  const x = plus(own.local.at, 1, u)
  if (!x.every(Number.isFinite)) {
    own.stopped = `step ${own.k + 1} leads beyond all numbers`
    return
  }
  own.x = x
  own.lanczos = null
  own.local = unknown(x)
  own.phase = 'step'
}

/** The gradient at v, and what else there is of it, is known. */
function solve(config: Config, own: State): void {
  const { gradient, hessian } = own.local
  const g = gradient!
  const M = config.multiplierM * config.L2
  own.damping = dampingOf(config, own.k)
  if (config.subsolver === 'krylov' && norm(g) > 0) {
    own.lanczos = beginLanczos(g.map((value) => value / norm(g)))
    own.phase = 'products'
    return
  }
  const n = g.length
  const matrix = hessian ?? new Float64Array(n * n)
  const u = hessian
    ? cubicStep(spectrumOf(matrix, n), g, M, own.damping)
    : plus(new Float64Array(n), -1 / shiftWithout(norm(g), M, own.damping), g)
  const product = hessian
    ? g.map((_, i) => u.reduce((sum, value, j) => sum + matrix[i * n + j] * value, 0))
    : u.map(() => 0)
  own.residual = modelResidual(product, g, u, M, own.damping)
  leave(own, u)
}

/** dl + M*|u|/2 for H = 0, where |u|*(dl + M*|u|/2) = |g|. */
const shiftWithout = (length: number, M: number, damping: number): number =>
  length === 0 ? 1 : (damping + Math.sqrt(damping * damping + 2 * M * length)) / 2

/** The gradient at the new x is known. */
function estimateOf(config: Config, own: State): void {
  const a = weight(own.k)
  own.A += a
  own.kap = Math.max(own.kap, (0.5 * own.damping * a * a) / own.A)
  accumulate(own.s, a, own.local.gradient!)
  const length = norm(own.s)
  const N = config.multiplierN * config.L2
  // |y - x0| = r solves kap*r + N*r^2/2 = |s|.
  const r = (2 * length) / (own.kap + Math.sqrt(own.kap ** 2 + 2 * N * length))
  own.y = length > 0 ? plus(own.start, -r / length, own.s) : own.start.slice()
  own.k++
  own.local = unknown(mix(own))
  own.phase = 'model'
}

function learn({ config, problem }: Run<Config>, flat: Flat, own: State, told: Observation): void {
  if (own.phase === 'products') {
    const sign = signOf(problem)
    const product = flat.vector(told.products![0]).map((value) => sign * value)
    const u = krylovStep(config, own, extendLanczos(own.lanczos!, product))
    if (u) leave(own, u)
    return
  }
  learnLocal(own.local, problem, flat, told)
  if (!isKnown(own.local, wishOf(config, own.phase))) return
  if (own.phase === 'model') solve(config, own)
  else estimateOf(config, own)
}

export const method = turnsMethod<Config, State>({
  id: 'accel-cubic-inexact',
  family: 'gradient',
  title: 'Accelerated cubic Newton for inexact derivatives',
  summary:
    'Second-order acceleration for convex objectives, damped by what is known of the noise in gradient and Hessian.',
  references: [
    {
      authors: 'A. Agafonov, D. Kamzolov, A. Gasnikov, A. Kavis, K. Antonakopoulos, V. Cevher, M. Takac',
      title:
        'Advancing the lower bounds: An accelerated, stochastic, second-order method with optimal adaptation to inexactness',
      year: 2023,
      url: 'https://arxiv.org/abs/2309.01570',
    },
    {
      authors: 'Y. Nesterov',
      title: 'Accelerating the cubic regularization of Newton’s method on convex problems',
      year: 2008,
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { L2: 0.1 }, maxEvaluations: 300, target: 1e-5 },
    { problem: 'quadratic', config: { L2: 0.1, subsolver: 'krylov' }, maxEvaluations: 1500, target: 1e-5 },
    {
      problem: 'quadratic',
      config: { L2: 0.1, subsolver: 'first-order', delta2: 5 },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
  equations: () => [
    String.raw`v = \frac{A x + a y}{A + a},\quad a = \tfrac{(k+1)(k+2)}{2},\quad \delta = 2\delta_2 + \tfrac{\sigma_1}{R}(k+3)^{3/2}`,
    String.raw`x \leftarrow v + \arg\min_u \langle g, u\rangle + \tfrac12\langle H u, u\rangle + \tfrac{\delta}{2}\lVert u\rVert^2 + \tfrac{M}{6}\lVert u\rVert^3`,
    String.raw`s \leftarrow s + a \nabla f(x),\quad \kappa \leftarrow \max\left(\kappa, \tfrac{\delta a^2}{2 (A + a)}\right)`,
    String.raw`y \leftarrow \arg\min_y \langle s, y\rangle + \tfrac{\kappa}{2}\lVert y - x_0\rVert^2 + \tfrac{N}{6}\lVert y - x_0\rVert^3`,
  ],
  needs({ subsolver, hessian }): WantKind[] {
    if (subsolver === 'krylov') return ['gradient', 'hvp']
    return kindsOf({ gradient: true, hessian: subsolver === 'exact' && hessian })
  },
  check: ({ subsolver }, problem) => (subsolver === 'exact' ? checkDimension('accel-cubic-inexact', problem) : []),
  init(_, flat) {
    const start = flat.start()
    return {
      start,
      x: start,
      y: start,
      s: new Float64Array(flat.dimension),
      A: 0,
      kap: 0,
      k: 0,
      local: unknown(start),
      phase: 'model',
      lanczos: null,
      damping: 0,
      residual: 0,
      stopped: null,
    }
  },
  ask({ config }, _, { local, phase, lanczos, k }) {
    if (phase === 'products')
      return {
        points: [local.at, lanczos!.basis[lanczos!.basis.length - 1]],
        wants: [{ kind: 'hvp', curvature: 'hessian' }],
        purpose: 'curvature',
        sampleKey: `m${k}`,
      }
    // The new gradient is on a sample of its own.
    const sampleKey = `${phase === 'model' ? 'm' : 's'}${k}`
    return { ...turnOf(local, wishOf(config, phase), phase), sampleKey }
  },
  learn,
  finished: (_, { stopped }) => stopped ?? undefined,
  estimate: (_, { x, damping, residual, kap, k }) => ({
    x,
    kind: 'iterate',
    step: k,
    metrics: { damping, residual, kap },
  }),
})
