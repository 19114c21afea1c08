/**
 * A cheap proxy of an expensive objective: one gradient of the target pays for a proximal step on the proxy.
 * B. Woodworth, K. Mishchenko, F. Bach, "Two Losses Are Better Than One: Faster Optimization Using a Cheaper Proxy",
 * ICML 2023 (arXiv:2302.03542), algorithm 1.
 *
 * With f the target and h the proxy, an outer step minimizes phi_k(x) = h(x) + <b, x> + |x - x_k|^2/(2 eta) about, where
 * b = grad f(x_k) - grad h(x_k). Queries with the purpose `target` are for f, those with `proxy` for h; the proxy queries of
 * an outer step share their sample.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { norm, plus } from '../flat.js'
import { checkUnbounded, stepsMethod } from '../saddle/steps.js'

const config = z.strictObject({
  delta: field(z.number().positive().default(1), 'Smoothness constant of the difference f - h.', {
    source: 'ours',
    log: true,
  }),
  eta: field(z.number().positive().optional(), 'Size of the proximal step. Without it, 1/delta.', {
    source: 'paper, theorem 1',
    log: true,
  }),
  inner: field(z.enum(['gd', 'agd']).default('gd'), 'The inner loop: gradient descent, or with momentum by Nesterov.', {
    source: 'ours',
  }),
  smoothness: field(
    z.number().min(0).optional(),
    'Smoothness constant of h: the inner step size is 1/(smoothness + 1/eta). Without it and innerStep, backtracking ' +
      'halves the step until the gradient changes by no more than it says.',
  ),
  innerStep: field(z.number().positive().optional(), 'Inner step size.', { log: true }),
  innerTolerance: field(
    z.number().min(0).default(0.25),
    'An inner loop ends at u when |grad phi(u)| is at most this times |u - x_k|/eta.',
    { source: 'ours', log: true },
  ),
  innerMax: field(z.int().min(1).default(200), 'Most proxy gradients of an outer step.', { source: 'ours' }),
  output: field(
    z.enum(['last', 'random']).default('last'),
    'The estimate: the last outer iterate, or one drawn uniformly from all, for objectives that are not convex.',
    { source: 'paper, theorem 2' },
  ),
})
type Config = z.infer<typeof config>

/** The gradient of phi_k at a point. */
type Known = { u: Float64Array; gradient: Float64Array }

type State = {
  phase: 'target' | 'proxy'
  x: Float64Array
  /** The gradient of f at x_k, then the correction b. */
  b: Float64Array
  /** Where the proxy is asked. */
  trial: Float64Array
  /** The last inner point that was taken; null until the first gradient of the proxy. */
  known: Known | null
  /** agd: the last point behind a gradient step. */
  stepped: Float64Array
  step: number
  inner: number
  t: number
  targets: number
  proxies: number
  output: Float64Array
  rng: RngState
}

const BACKTRACK = 0.5

const etaOf = ({ eta, delta }: Config): number => eta ?? 1 / delta
const backtracks = ({ innerStep, smoothness }: Config): boolean => innerStep === undefined && smoothness === undefined

function stepOf(config: Config): number {
  const { innerStep, smoothness = 0 } = config
  return innerStep ?? 1 / (smoothness + 1 / etaOf(config))
}

/** Nesterov's momentum for a strongly convex function, which phi is by 1/eta. */
function momentumOf(config: Config, step: number): number {
  const root = Math.sqrt(Math.min(1, step / etaOf(config)))
  return (1 - root) / (1 + root)
}

/** The gradient of phi_k, from that of the proxy. */
function phi(config: Config, { x, b, trial: u }: State, g: Float64Array): Known {
  const eta = etaOf(config)
  return { u, gradient: g.map((h, i) => h + b[i] + (u[i] - x[i]) / eta) }
}

function finish(state: State, u: Float64Array) {
  state.x = u
  state.phase = 'target'
  state.t++
  if (new Rng(state.rng).uniform() * state.t < 1) state.output = u
}

/** The gradient of the proxy at the trial point is known. */
function proceed(config: Config, state: State, now: Known) {
  const { known, step, x } = state
  if (backtracks(config) && known) {
    const { gradient, u } = known
    const [change, moved] = [norm(plus(now.gradient, -1, gradient)), norm(plus(now.u, -1, u))]
    if (change > moved / step && state.inner < config.innerMax) {
      state.step *= BACKTRACK
      state.trial = plus(u, -state.step, gradient)
      return
    }
  }
  state.known = now
  const moved = norm(plus(now.u, -1, x))
  if (norm(now.gradient) <= (config.innerTolerance * moved) / etaOf(config)) return finish(state, now.u)
  const next = plus(now.u, -state.step, now.gradient)
  if (state.inner >= config.innerMax) return finish(state, next)
  state.trial = config.inner === 'gd' ? next : plus(next, momentumOf(config, state.step), plus(next, -1, state.stepped))
  state.stepped = next
}

export const method = stepsMethod<Config, State>({
  id: 'proxyprox',
  title: 'Proximal steps on a proxy',
  summary:
    'An expensive objective with a cheap likeness: one gradient of the first per proximal step on the second. Queries with ' +
    'the purpose `target` are for gradients of the objective, those with `proxy` for gradients of its likeness.',
  references: [
    {
      authors: 'B. Woodworth, K. Mishchenko, F. Bach',
      title: 'Two Losses Are Better Than One: Faster Optimization Using a Cheaper Proxy',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.03542',
    },
  ],
  config,
  // The oracle answers both purposes with the gradient of the loss: a perfect proxy.
  recipes: [
    { problem: 'quadratic', config: { smoothness: 10 }, maxEvaluations: 300, target: 1e-4 },
    { problem: 'quadratic', config: { smoothness: 10, inner: 'agd', eta: 10 }, maxEvaluations: 300, target: 1e-4 },
    { problem: 'quadratic', maxEvaluations: 300, target: 1e-4 },
  ],
  equations: () => [
    String.raw`b = \nabla f(x_k) - \nabla h(x_k)`,
    String.raw`x_{k+1} \approx \arg\min_x h(x) + \langle b, x \rangle + \frac{1}{2\eta} \|x - x_k\|^2`,
  ],
  invariances: ['translation'],
  check(config, problem) {
    const issues = checkUnbounded('proxyprox', problem)
    if (config.inner === 'agd' && backtracks(config))
      issues.push({ path: 'config.inner', message: 'agd needs smoothness or innerStep' })
    return issues
  },
  init({ config }, flat, seed) {
    const x = flat.start()
    return {
      phase: 'target',
      x,
      b: x,
      trial: x,
      known: null,
      stepped: x,
      step: stepOf(config),
      inner: 0,
      t: 0,
      targets: 0,
      proxies: 0,
      output: x,
      rng: rngStream(seed, 'output'),
    }
  },
  ask(_, __, { phase, x, trial, t }) {
    if (phase === 'target') return { at: x, purpose: 'target' }
    return { at: trial, purpose: 'proxy', sampleKey: `proxy${t}` }
  },
  learn({ config }, _, state, g) {
    if (state.phase === 'target') {
      state.targets++
      state.b = g
      state.trial = state.x
      state.stepped = state.x
      state.known = null
      state.inner = 0
      // What was cut at one point may be too short at the next.
      state.step = backtracks(config) && state.t > 0 ? Math.min(state.step / BACKTRACK, stepOf(config)) : stepOf(config)
      state.phase = 'proxy'
      return
    }
    state.proxies++
    state.inner++
    if (state.inner === 1) state.b = plus(state.b, -1, g)
    proceed(config, state, phi(config, state, g))
  },
  estimate({ config }, { x, output, t, targets, proxies }) {
    const metrics = { targetGradients: targets, proxyGradients: proxies }
    return { x: config.output === 'last' ? x : output, kind: 'iterate', step: t, metrics }
  },
})
