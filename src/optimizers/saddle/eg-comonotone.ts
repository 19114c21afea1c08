/**
 * Proximal point, extragradient and past extragradient with separate steps for extrapolation and update:
 * E. Gorbunov, A. Taylor, S. Horvath, G. Gidel, "Convergence of Proximal Point and Extragradient-Based Methods Beyond
 * Monotonicity: the Case of Negative Comonotonicity", ICML 2023 (arXiv:2210.13831).
 *
 * F is rho-negative comonotone when <F(x) - F(y), x - y> >= -rho |F(x) - F(y)|^2. The told values of F bound rho and the
 * Lipschitz constant L from below, and with them say whether the steps lie in the range of a convergence theorem.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { dot, norm, plus } from '../flat.js'
import { type Ask, checkUnbounded, stepsMethod } from './steps.js'

const config = z.strictObject({
  variant: field(
    z.enum(['eg', 'og', 'prox-point']).default('eg'),
    'Two values of F per step (eg), one (og, past extragradient), or an implicit step by an inner loop (prox-point).',
    { source: 'paper, sections 2 to 4' },
  ),
  extrapolation: field(z.number().positive().default(0.1), 'Step gamma1 to the point ahead.', {
    source: 'ours; theory: near 1/L',
    mutable: true,
    log: true,
  }),
  learningRate: field(z.number().positive().default(0.1), 'Step gamma2 of the update; of prox-point, its only one.', {
    source: 'ours; theory: at most gamma1 - 2 rho, of prox-point above 2 rho',
    mutable: true,
    log: true,
  }),
  tau: field(z.number().positive().max(1).default(0.5), 'Step of the inner loop of prox-point.', { source: 'ours' }),
  innerSteps: field(z.int().min(1).default(50), 'Most steps of the inner loop of prox-point.', { source: 'ours' }),
  innerTolerance: field(z.number().min(0).default(1e-12), 'Residual at which the inner loop of prox-point ends.', {
    source: 'ours',
    log: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** The point ahead; of prox-point, the inner iterate u. */
  ahead: Float64Array
  /** Whether `ahead` is asked next, and not x. */
  leading: boolean
  inner: number
  /** The last told pair. */
  told: { at: Float64Array; F: Float64Array } | null
  rho: number
  L: number
  last: number
  best: number
  t: number
}

/** The least rho and L that two values of F allow: -<dF, dx>/|dF|^2, which is negative on monotone F, and |dF|/|dx|. */
export function pairConstants(dx: Float64Array, dF: Float64Array): { rho: number; L: number } {
  const square = dot(dF, dF)
  return { rho: square > 0 ? -dot(dF, dx) / square : 0, L: norm(dx) > 0 ? Math.sqrt(square) / norm(dx) : 0 }
}

/** Whether a theorem of the paper covers the steps on an operator of these constants. */
export function guaranteed({ variant, extrapolation: g1, learningRate: g2 }: Config, rho: number, L: number): boolean {
  if (variant === 'prox-point') return g2 > 2 * rho
  const equal = g1 === g2
  if (variant === 'og') return equal && rho <= 5 / (62 * L) && 4 * rho <= g1 && g1 <= 10 / (31 * L)
  const last = equal && rho <= 1 / (8 * L) && 4 * rho <= g1 && g1 <= 1 / (2 * L)
  return last || (2 * rho < g1 && g1 <= 1 / L && g2 <= g1 - 2 * rho)
}

function askOf({ variant }: Config, { x, ahead, leading }: State): Ask {
  if (variant === 'eg' && !leading) return { at: x, purpose: 'extrapolation' }
  return { at: ahead, purpose: variant === 'prox-point' ? 'inner' : 'leading' }
}

function observe(state: State, at: Float64Array, F: Float64Array) {
  if (state.told) {
    const pair = pairConstants(plus(at, -1, state.told.at), plus(F, -1, state.told.F))
    state.rho = Math.max(state.rho, pair.rho)
    state.L = Math.max(state.L, pair.L)
  }
  state.told = { at, F }
  state.last = dot(F, F)
  state.best = Math.min(state.best, state.last)
}

function advance(
  { variant, extrapolation, learningRate, tau, innerSteps, innerTolerance }: Config,
  state: State,
  F: Float64Array,
) {
  const done = (x: Float64Array) => {
    state.x = x
    state.t++
  }
  if (variant === 'eg') {
    if (state.leading) done(plus(state.x, -learningRate, F))
    else state.ahead = plus(state.x, -extrapolation, F)
    state.leading = !state.leading
  } else if (variant === 'og') {
    done(plus(state.x, -learningRate, F))
    state.ahead = plus(state.x, -extrapolation, F)
  } else {
    const residual = state.ahead.map((u, i) => u + learningRate * F[i] - state.x[i])
    state.ahead = plus(state.ahead, -tau, residual)
    state.inner++
    if (state.inner < innerSteps && norm(residual) > innerTolerance) return
    done(state.ahead)
    state.inner = 0
  }
}

export const method = stepsMethod<Config, State>({
  id: 'eg-comonotone',
  title: 'Extragradient for negative comonotone operators',
  summary: 'Games beyond monotonicity: extragradient with two step sizes, or proximal point, and a check of the steps.',
  references: [
    {
      authors: 'E. Gorbunov, A. Taylor, S. Horvath, G. Gidel',
      title:
        'Convergence of Proximal Point and Extragradient-Based Methods Beyond Monotonicity: the Case of Negative Comonotonicity',
      year: 2022,
      url: 'https://arxiv.org/abs/2210.13831',
    },
  ],
  config,
  recipes: [
    {
      problem: 'bilinear-game',
      config: { extrapolation: 0.5, learningRate: 0.5 },
      maxEvaluations: 400,
      target: 1e-6,
    },
    {
      problem: 'bilinear-game',
      config: { variant: 'prox-point', learningRate: 1 },
      maxEvaluations: 2000,
      target: 1e-3,
    },
  ],
  equations: ({ variant }) =>
    variant === 'prox-point'
      ? [String.raw`x_{k+1} = x_k - \gamma F(x_{k+1})`, String.raw`u \leftarrow u - \tau (u + \gamma F(u) - x_k)`]
      : [
          variant === 'eg'
            ? String.raw`\tilde x_k = x_k - \gamma_1 F(x_k)`
            : String.raw`\tilde x_k = x_k - \gamma_1 F(\tilde x_{k-1})`,
          String.raw`x_{k+1} = x_k - \gamma_2 F(\tilde x_k)`,
        ],
  invariances: ['translation'],
  init(_, flat) {
    const x = flat.start()
    return { x, ahead: x, leading: false, inner: 0, told: null, rho: 0, L: 0, last: 0, best: Infinity, t: 0 }
  },
  check: (_, problem) => checkUnbounded('eg-comonotone', problem),
  ask: ({ config }, _, state) => askOf(config, state),
  learn({ config }, _, state, F) {
    observe(state, askOf(config, state).at, F)
    advance(config, state, F)
  },
  estimate: ({ config }, { x, rho, L, last, best, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: {
      rho,
      lipschitz: L,
      squaredNorm: last,
      ...(best < Infinity && { bestSquaredNorm: best }),
      guaranteed: Number(guaranteed(config, rho, L)),
    },
  }),
})
