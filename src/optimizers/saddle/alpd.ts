/**
 * Primal-dual methods for min over x, max over y of f(x) + phi(x, y) - g(y), with f convex and smooth and g strongly convex:
 * M. Khalafi, D. Boob, "Accelerated Primal-Dual Methods for Convex-Strongly-Concave Saddle Point Problems", ICML 2023
 * (arXiv:2209.04604), algorithms 1 to 3.
 *
 * Linearized (lpd), accelerated (alpd, for couplings linear in x), and with an inner loop for any coupling (alpd-inexact).
 * Queries with the purpose `smooth` are for the gradient of f by x, those with `coupling` for the gradients of phi by x and
 * of -phi by y, each player's own loss. g is mu/2 |y|^2 and known; x may have an l1 penalty.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type Flat, norm, plus } from '../flat.js'
import { type Ask, checkNames, checkUnbounded, stepsMethod } from './steps.js'

const config = z.strictObject({
  variant: field(z.enum(['alpd', 'lpd', 'alpd-inexact']).default('alpd'), 'Which of the three methods.', {
    source: 'paper, algorithms 1 to 3',
  }),
  lipschitz: field(z.number().min(0).default(1), 'Lipschitz constant L_f of the gradient of f.', {
    source: 'ours',
    log: true,
  }),
  coupling: field(z.number().min(0).default(1), 'L_xy, the norm of the coupling.', { source: 'ours', log: true }),
  mu: field(z.number().positive().default(1), 'Strong convexity of g(y) = mu/2 |y|^2.', { source: 'ours', log: true }),
  l1: field(z.number().min(0).default(0), 'Weight of a penalty |x|_1.', { source: 'ours', log: true }),
  curvature: field(
    z.number().min(0).default(0),
    'alpd-inexact: Lipschitz constant of the gradient of phi by x for fixed y, for its inner loop.',
    { source: 'ours', log: true },
  ),
  innerSteps: field(z.int().min(1).default(500), 'alpd-inexact: most steps of an inner loop.', { source: 'ours' }),
  maximizers: field(z.array(z.string()).default(['y']), 'Names of the tensors of y.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

/** Vectors hold both players; x and y are their parts. */
type State = {
  z: Float64Array
  average: Float64Array
  /** The coupling's gradient (by x, and -by y) at the last pair (x_t, y_{t-1}). */
  before: Float64Array | null
  phase: 'dual' | 'smooth' | 'primal'
  /** The gradient of f at x_md. */
  f: Float64Array
  /** alpd-inexact: the inner iterate, the one before, and the number of inner steps. */
  inner: Float64Array
  innerBefore: Float64Array
  innerSteps: number
  t: number
}

/** The constants of step t. */
function rates({ variant, lipschitz: Lf, coupling: L, mu }: Config, t: number) {
  const linear = variant === 'lpd' ? Lf + (8 * L ** 2) / (mu * t) : (2 * Lf + (8 * L ** 2) / mu) / t
  return { beta: (t + 1) / 2, theta: (t - 1) / t, tau: 4 / (mu * (t + 1)), eta: 1 / linear }
}

const mix = (p: number, x: Float64Array, q: number, z: Float64Array) => x.map((value, i) => p * value + q * z[i])

function maxMask({ maximizers }: Config, flat: Flat): Uint8Array {
  const mask = new Uint8Array(flat.dimension)
  for (const name of maximizers) mask.fill(1, ...flat.range(name)!)
  return mask
}

const shrink = (x: number, by: number): number => Math.sign(x) * Math.max(Math.abs(x) - by, 0)

/** Where the inner loop asks next: ahead of its iterate by Nesterov's momentum. */
const innerPoint = ({ inner, innerBefore, innerSteps: k }: State) =>
  plus(inner, k / (k + 3), plus(inner, -1, innerBefore))

function askOf(config: Config, state: State): Ask {
  if (state.phase !== 'smooth')
    return {
      at: state.phase === 'primal' && config.variant === 'alpd-inexact' ? innerPoint(state) : state.z,
      purpose: 'coupling',
    }
  const { beta } = rates(config, state.t + 1)
  return {
    at: config.variant === 'lpd' ? state.z : mix(1 - 1 / beta, state.average, 1 / beta, state.z),
    purpose: 'smooth',
  }
}

/** y_t = argmin g(y) - <s, y> + |y - y_{t-1}|^2/(2 tau). */
function dual(config: Config, mask: Uint8Array, state: State, now: Float64Array) {
  const { theta, tau } = rates(config, state.t + 1)
  const before = state.before ?? now
  state.z = state.z.map((y, i) => {
    if (!mask[i]) return y
    const s = -((1 + theta) * now[i] - theta * before[i])
    return (s + y / tau) / (config.mu + 1 / tau)
  })
  state.before = now
  state.phase = 'smooth'
}

/** x_{t+1} is known: the averages, and the next step. */
function finish(config: Config, state: State, z: Float64Array) {
  const { beta } = rates(config, state.t + 1)
  state.z = z
  state.average = mix(1 - 1 / beta, state.average, 1 / beta, z)
  state.phase = 'dual'
  state.t++
}

/** One step of the inner loop, until the gradient of the proximal problem is below 1/t^2. */
function innerStep(config: Config, mask: Uint8Array, state: State, coupling: Float64Array) {
  const t = state.t + 1
  const { eta } = rates(config, t)
  const at = innerPoint(state)
  const g = at.map((x, i) => (mask[i] ? 0 : state.f[i] + coupling[i] + (x - state.z[i]) / eta))
  const step = 1 / (config.curvature + 1 / eta)
  const next = at.map((x, i) => (mask[i] ? x : shrink(x - step * g[i], step * config.l1)))
  // With a penalty, the gradient mapping takes the place of the gradient.
  const size = norm(plus(next, -1, at)) / step
  state.innerBefore = state.inner
  state.inner = next
  state.innerSteps++
  if (size <= 1 / t ** 2 || state.innerSteps >= config.innerSteps) finish(config, state, next)
}

export const method = stepsMethod<Config, State>({
  id: 'alpd',
  title: 'Accelerated linearized primal-dual method',
  summary: 'Convex-strongly-concave saddle points at the rate of accelerated descent in the smooth part.',
  references: [
    {
      authors: 'M. Khalafi, D. Boob',
      title: 'Accelerated Primal-Dual Methods for Convex-Strongly-Concave Saddle Point Problems',
      year: 2022,
      url: 'https://arxiv.org/abs/2209.04604',
    },
  ],
  config,
  // The oracle answers both purposes with the gradient of the loss, which so counts twice; there is no y.
  recipes: [
    {
      problem: 'quadratic',
      config: { variant: 'alpd-inexact', lipschitz: 10, coupling: 0, curvature: 10, maximizers: [] },
      maxEvaluations: 1000,
      target: 1e-2,
    },
    {
      problem: 'quadratic',
      config: { variant: 'lpd', lipschitz: 20, coupling: 0, maximizers: [] },
      maxEvaluations: 900,
      target: 1e-2,
    },
  ],
  equations: ({ variant }) => [
    String.raw`s = (1 + \theta_t) \nabla_y \phi(x_t, y_{t-1}) - \theta_t \nabla_y \phi(x_{t-1}, y_{t-2})`,
    String.raw`y_t = \arg\min_y g(y) - \langle s, y \rangle + \frac{1}{2\tau_t} \|y - y_{t-1}\|^2`,
    variant === 'alpd-inexact'
      ? String.raw`x_{t+1} \approx \arg\min_x \langle \nabla f(x^{md}), x \rangle + \phi(x, y_t) + \frac{1}{2\eta_t} \|x - x_t\|^2`
      : String.raw`x_{t+1} = \mathrm{prox}(x_t - \eta_t (\nabla f(x^{md}) + \nabla_x \phi(x_t, y_t)))`,
  ],
  check({ maximizers, coupling, lipschitz, variant }, problem) {
    const issues = [...checkNames(maximizers, problem, 'config.maximizers'), ...checkUnbounded('alpd', problem)]
    if (lipschitz === 0 && coupling === 0)
      issues.push({ path: 'config.lipschitz', message: `${variant} needs a positive lipschitz or coupling` })
    return issues
  },
  init(_, flat) {
    const z = flat.start()
    const zero = new Float64Array(flat.dimension)
    return { z, average: z, before: null, phase: 'dual', f: zero, inner: z, innerBefore: z, innerSteps: 0, t: 0 }
  },
  ask: ({ config }, _, state) => askOf(config, state),
  learn({ config }, flat, state, g) {
    const mask = maxMask(config, flat)
    if (state.phase === 'dual') dual(config, mask, state, g)
    else if (state.phase === 'smooth') {
      state.f = g
      state.inner = state.z
      state.innerBefore = state.z
      state.innerSteps = 0
      state.phase = 'primal'
    } else if (config.variant === 'alpd-inexact') innerStep(config, mask, state, g)
    else {
      const { eta } = rates(config, state.t + 1)
      const step = (x: number, i: number) => shrink(x - eta * (state.f[i] + g[i]), eta * config.l1)
      finish(
        config,
        state,
        state.z.map((x, i) => (mask[i] ? x : step(x, i))),
      )
    }
  },
  estimate: (_, { average, t }) => ({ x: average, kind: 'average', step: t }),
})
