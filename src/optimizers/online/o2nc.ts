/**
 * Online-to-non-convex conversion: A. Cutkosky, H. Mehta, F. Orabona, "Optimal Stochastic Non-smooth Non-convex Optimization
 * through Online-to-Non-convex Conversion", ICML 2023 (arXiv:2302.03775)
 *
 * An online learner plays the update Delta_n and is charged <g_n, Delta_n>, g_n a gradient at a random point between x_{n-1}
 * and x_n, so that the charge is F(x_n) - F(x_{n-1}) in expectation. The mean of an epoch's T points is a (delta, c)-stationary
 * point in the sense of Goldstein, c the norm of the mean of its gradients, up to their noise.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { accumulate, norm, plus } from '../flat.js'
import { checkUnbounded, stepsMethod } from '../saddle/steps.js'

const config = z.strictObject({
  learner: field(
    z.enum(['ogd', 'optimistic-ogd']).default('ogd'),
    'Online gradient descent; or with the last gradient as a hint of the next, for smooth deterministic losses.',
    { source: 'arXiv:2302.03775' },
  ),
  delta: field(z.number().positive().default(0.1), 'Radius within which a point is certified as stationary.', {
    source: 'ours',
    log: true,
  }),
  epochSteps: field(z.int().min(1).default(100), 'Steps T of an epoch; each moves by at most delta/T.', {
    source: 'ours',
  }),
  gradientBound: field(
    z.number().positive().optional(),
    'Bound G on the norm of gradients; the largest seen when absent.',
    { source: 'arXiv:2302.03775' },
  ),
  learningRate: field(z.number().positive().optional(), 'Step size eta of the learner; D/(G sqrt(T)) when absent.', {
    source: 'arXiv:2302.03775',
    log: true,
  }),
  sampling: field(
    z.enum(['uniform', 'midpoint']).default('uniform'),
    'Where between two iterates the gradient is asked: anywhere, or in the middle (exact for quadratics).',
    { source: 'arXiv:2302.03775' },
  ),
  reset: field(z.boolean().default(true), 'The learner begins anew with each epoch.', {
    source: 'arXiv:2302.03775',
  }),
  output: field(
    z.enum(['best', 'random']).default('best'),
    'The mean of the epoch with the smallest certificate, or of a uniformly drawn epoch.',
    { source: 'arXiv:2302.03775' },
  ),
})
type Config = z.infer<typeof config>

type Certified = { x: Float64Array; radius: number; certificate: number }

type State = {
  /** x_{n-1}, Delta_n and where the gradient is asked, w_n. */
  x: Float64Array
  delta: Float64Array
  w: Float64Array
  /** The learner's point before the hint. */
  z: Float64Array
  largest: number
  /** Points asked in this epoch, one after the other, and the sum of their gradients. */
  points: Float64Array
  gradients: Float64Array
  n: number
  epochs: number
  last: Certified | null
  chosen: Certified | null
  rng: RngState
}

/** v, shortened to at most D. */
function shorten(v: Float64Array, D: number): Float64Array {
  const length = norm(v)
  return length > D ? v.map((x) => (x * D) / length) : v
}

/** Draws the point w_n = x_{n-1} + s Delta_n. */
function place({ sampling }: Config, state: State): void {
  const s = sampling === 'midpoint' ? 0.5 : new Rng(state.rng).uniform()
  state.w = plus(state.x, s, state.delta)
}

/** The mean of an epoch's points, how far they are from it, and the norm of the mean gradient. */
function certify({ epochSteps: T }: Config, { points, gradients }: State): Certified {
  const d = gradients.length
  const x = new Float64Array(d)
  for (let i = 0; i < points.length; i++) x[i % d] += points[i] / T
  let radius = 0
  for (let k = 0; k < T; k++) radius = Math.max(radius, norm(plus(x, -1, points.subarray(k * d, (k + 1) * d))))
  return { x, radius, certificate: norm(gradients) / T }
}

export const method = stepsMethod<Config, State>({
  id: 'o2nc',
  title: 'Online-to-non-convex conversion',
  summary:
    'An online learner chooses the updates; every epoch ends with a point and a certificate of its stationarity.',
  references: [
    {
      authors: 'A. Cutkosky, H. Mehta, F. Orabona',
      title: 'Optimal Stochastic Non-smooth Non-convex Optimization through Online-to-Non-convex Conversion',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.03775',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { delta: 0.5, epochSteps: 10 }, maxEvaluations: 1500, target: 0.05 },
    {
      problem: 'quadratic',
      config: { learner: 'optimistic-ogd', delta: 0.5, epochSteps: 10, sampling: 'midpoint' },
      maxEvaluations: 1500,
      target: 0.05,
    },
  ],
  equations: ({ learner }) => [
    String.raw`w_n = x_{n-1} + s_n \Delta_n, \quad s_n \sim U[0, 1], \quad g_n = \nabla f(w_n; \xi_n)`,
    String.raw`x_n = x_{n-1} + \Delta_n`,
    ...(learner === 'ogd'
      ? [String.raw`\Delta_{n+1} = \mathrm{clip}_D(\Delta_n - \eta g_n), \quad D = \delta/T`]
      : [
          String.raw`Z_{n+1} = \mathrm{clip}_D(Z_n - \eta g_n), \quad D = \delta/T`,
          String.raw`\Delta_{n+1} = \mathrm{clip}_D(Z_{n+1} - \eta g_n)`,
        ]),
    String.raw`\bar w = \frac{1}{T} \sum_n w_n, \quad c = \Bigl\|\frac{1}{T} \sum_n g_n\Bigr\|`,
  ],
  check: (_, problem) => checkUnbounded('o2nc', problem),
  init({ config }, flat, seed) {
    const zeros = () => new Float64Array(flat.dimension)
    const state: State = {
      x: flat.start(),
      delta: zeros(),
      w: zeros(),
      z: zeros(),
      largest: 0,
      points: new Float64Array(flat.dimension * config.epochSteps),
      gradients: zeros(),
      n: 0,
      epochs: 0,
      last: null,
      chosen: null,
      rng: rngStream(seed, 'o2nc'),
    }
    place(config, state)
    return state
  },
  ask: (_, __, { w }) => ({ at: w, purpose: 'between' }),
  learn({ config }, _, state, g) {
    const { epochSteps: T, delta, gradientBound, learner, reset, output } = config
    const D = delta / T
    state.points.set(state.w, (state.n % T) * g.length)
    accumulate(state.gradients, 1, g)
    state.largest = Math.max(state.largest, norm(g))
    const G = gradientBound ?? state.largest
    // Gradients of zero so far: no step, whatever its size.
    const eta = config.learningRate ?? (G > 0 ? D / (G * Math.sqrt(T)) : 0)
    state.x = plus(state.x, 1, state.delta)
    if (learner === 'ogd') state.delta = shorten(plus(state.delta, -eta, g), D)
    else {
      state.z = shorten(plus(state.z, -eta, g), D)
      state.delta = shorten(plus(state.z, -eta, g), D)
    }
    if (++state.n % T === 0) {
      const epoch = certify(config, state)
      state.last = epoch
      state.epochs++
      const better =
        output === 'best'
          ? epoch.certificate < (state.chosen?.certificate ?? Number.POSITIVE_INFINITY)
          : new Rng(state.rng).integer(state.epochs) === 0
      if (better) state.chosen = epoch
      state.gradients.fill(0)
      if (reset) {
        state.delta.fill(0)
        state.z.fill(0)
      }
    }
    place(config, state)
  },
  estimate: (_, { x, n, epochs, last, chosen }) => ({
    x: chosen?.x ?? x,
    kind: 'average',
    step: n,
    metrics: {
      epochs,
      ...(last ? { radius: last.radius, certificate: last.certificate } : {}),
      ...(chosen ? { chosenRadius: chosen.radius, chosenCertificate: chosen.certificate } : {}),
    },
  }),
})
