/**
 * Accelerated cubic Newton that stays stable with noisy gradients and wrong Hessians: A. Agafonov, D. Kamzolov, A. Gasnikov,
 * A. Kavis, K. Antonakopoulos, V. Cevher, M. Takac, "Advancing the lower bounds: An accelerated, stochastic, second-order
 * method with optimal adaptation to inexactness", ICLR 2024 (arXiv:2309.01570).
 *
 * v = (A*x + a*y)/A' with a = (k+1)(k+2)/2 and A' = A + a. x = v + u, u = argmin <g, u> + <H*u, u>/2 + dl*|u|^2/2 + M*|u|^3/6
 * with the damping dl = 2*delta2 + sigma1/R*(k+3)^1.5. s += a*grad f(x); y = argmin <s, y> + kap*|y - x0|^2/2 + N*|y - x0|^3/6.
 * f - f* = O(sigma1*R/sqrt(T) + delta2*R^2/T^2 + L2*R^3/T^3). Without noise it is the accelerated cubic Newton of Nesterov 2008.
 * Order 3 has a = (k+1)(k+2)(k+3)/6, third derivatives and M*|u|^4/24 in the model, and N*|y - x0|^4/24 (section 6).
 */
import type { Run } from '../../core/method.js'
import type { Observation, WantKind } from '../../core/query.js'
import { beginLanczos, extendLanczos, type Lanczos } from '../diagnostics/lanczos.js'
import { accumulate, type Flat, norm, plus } from '../flat.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { type Config, config } from './accel-cubic-config.js'
import { signOf } from './curvature.js'
import { checkDimension, isKnown, kindsOf, type Local, learnLocal, turnOf, unknown, type Wish } from './local.js'
import { cubicModel, gradientModel, krylovModel, quarticModel, type Solved } from './models.js'

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

/** a of step k: (k + 1)...(k + order)/order!, which makes a/A' = (order + 1)/(k + order + 1). */
const weight = ({ order }: Config, k: number) => (((k + 1) * (k + 2)) / 2) * (order === 3 ? (k + 3) / 3 : 1)
/** Three times L3 and more make the model of third order convex. */
const modelConstant = ({ order, multiplierM, L2, L3 }: Config) => multiplierM * (order === 2 ? L2 : 3 * L3)
const dampingOf = ({ order, delta2, sigma1, R }: Config, k: number) =>
  2 * delta2 + (sigma1 / R) * (k + order + 1) ** 1.5
/** Gradient of a solved model of third order, relative to that of the objective. */
const EXACT = 1e-12

const wishOf = ({ subsolver, hessian }: Config, phase: State['phase']): Wish => ({
  gradient: true,
  hessian: phase === 'model' && subsolver === 'exact' && hessian,
})

const thirdDerivatives = (d: number) => ({
  name: 'third',
  shape: [d, d, d],
  description: 'third derivatives of the objective, by all parameters',
})

/** Where the next model is made. */
function mix(config: Config, { x, y, A, k }: State): Float64Array {
  const a = weight(config, k)
  return x.map((value, i) => (A * value + a * y[i]) / (A + a))
}

/** The model at v is solved: x moves, and its gradient is wanted. */
function leave(own: State, { u, residual }: Solved): void {
  const x = plus(own.local.at, 1, u)
  if (!x.every(Number.isFinite)) {
    own.stopped = `step ${own.k + 1} leads beyond all numbers`
    return
  }
  Object.assign(own, { x, residual, lanczos: null, local: unknown(x), phase: 'step' })
}

/** The gradient at v, and what else there is of it, is known. */
function model(config: Config, own: State, third?: Float64Array): void {
  const { gradient, hessian } = own.local
  const g = gradient!
  own.damping = dampingOf(config, own.k)
  const { damping } = own
  const M = modelConstant(config)
  if (config.subsolver === 'krylov' && norm(g) > 0) {
    own.lanczos = beginLanczos(g.map((value) => value / norm(g)))
    own.phase = 'products'
  } else if (third) leave(own, quarticModel(g, hessian!, third, { M, damping, accuracy: EXACT }))
  else leave(own, hessian ? cubicModel(g, hessian, M, damping) : gradientModel(g, M, damping))
}

/** A product with the last vector of the basis came. */
function extend(config: Config, own: State, product: Float64Array): void {
  const lanczos = own.lanczos!
  const g = own.local.gradient!
  const more = extendLanczos(lanczos, product) && lanczos.diagonal.length < config.products
  const solved = krylovModel(lanczos, g, modelConstant(config), own.damping)
  if (!more || solved.residual <= config.accuracy * norm(g)) leave(own, solved)
}

/** kap*r + N*r^order/order! = length, for r: by bisection. */
export function distanceOf(kap: number, N: number, order: 2 | 3, length: number): number {
  const scale = order === 2 ? 2 : 6
  let [from, to] = [0, ((scale * length) / N) ** (1 / order)]
  for (;;) {
    const middle = (from + to) / 2
    if (middle <= from || middle >= to) return to
    if (kap * middle + (N * middle ** order) / scale < length) from = middle
    else to = middle
  }
}

/** The gradient at the new x is known. */
function estimateOf(config: Config, own: State): void {
  const a = weight(config, own.k)
  own.A += a
  own.kap = Math.max(own.kap, (0.5 * own.damping * a * a) / own.A)
  accumulate(own.s, a, own.local.gradient!)
  const length = norm(own.s)
  const N = config.multiplierN * (config.order === 2 ? config.L2 : config.L3)
  const r = distanceOf(own.kap, N, config.order, length)
  own.y = length > 0 ? plus(own.start, -r / length, own.s) : own.start.slice()
  own.k++
  own.local = unknown(mix(config, own))
  own.phase = 'model'
}

function learn({ config, problem }: Run<Config>, flat: Flat, own: State, told: Observation): void {
  const sign = signOf(problem)
  if (own.phase === 'products') {
    return extend(
      config,
      own,
      flat.vector(told.products![0]).map((value) => sign * value),
    )
  }
  learnLocal(own.local, problem, flat, told)
  if (!isKnown(own.local, wishOf(config, own.phase))) return
  if (own.phase === 'step') return estimateOf(config, own)
  const third = config.order === 3 ? Float64Array.from(told.quantities![0].third, (value) => sign * value) : undefined
  model(config, own, third)
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
    { problem: 'quadratic', config: { order: 3, L3: 0.1 }, maxEvaluations: 300, target: 1e-5 },
  ],
  equations({ order }) {
    const [a, power, model, bound] =
      order === 2
        ? [
            String.raw`\tfrac{(k+1)(k+2)}{2}`,
            '(k+3)',
            String.raw`\tfrac{M}{6}\lVert u\rVert^3`,
            String.raw`\tfrac{N}{6}\lVert y - x_0\rVert^3`,
          ]
        : [
            String.raw`\tfrac{(k+1)(k+2)(k+3)}{6}`,
            '(k+4)',
            String.raw`\tfrac16 D[u]^3 + \tfrac{M}{24}\lVert u\rVert^4`,
            String.raw`\tfrac{N}{24}\lVert y - x_0\rVert^4`,
          ]
    return [
      String.raw`v = \frac{A x + a y}{A + a},\quad a = ${a},\quad \delta = 2\delta_2 + \tfrac{\sigma_1}{R}${power}^{3/2}`,
      String.raw`x \leftarrow v + \arg\min_u \langle g, u\rangle + \tfrac12\langle H u, u\rangle + \tfrac{\delta}{2}\lVert u\rVert^2 + ${model}`,
      String.raw`s \leftarrow s + a \nabla f(x),\quad \kappa \leftarrow \max\left(\kappa, \tfrac{\delta a^2}{2 (A + a)}\right)`,
      String.raw`y \leftarrow \arg\min_y \langle s, y\rangle + \tfrac{\kappa}{2}\lVert y - x_0\rVert^2 + ${bound}`,
    ]
  },
  needs({ subsolver, hessian }): WantKind[] {
    if (subsolver === 'krylov') return ['gradient', 'hvp']
    return kindsOf({ gradient: true, hessian: subsolver === 'exact' && hessian })
  },
  check({ order, subsolver, hessian }, problem) {
    const issues = checkUnbounded('accel-cubic-inexact', problem)
    if (subsolver === 'exact')
      issues.push(...checkDimension('accel-cubic-inexact', problem, order === 3 ? 100 : undefined))
    if (order === 3 && (subsolver !== 'exact' || hessian !== 'matrix'))
      issues.push({ path: 'config.order', message: '3 goes with subsolver "exact" and hessian "matrix"' })
    return issues
  },
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
    const turn = turnOf(local, wishOf(config, phase), phase)
    const wants = turn.wants.map((want) =>
      want.kind === 'quantities' && config.order === 3
        ? { ...want, quantities: [...want.quantities, thirdDerivatives(local.at.length)] }
        : want,
    )
    return { ...turn, wants, sampleKey }
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
