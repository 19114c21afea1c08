/**
 * Flatness of order zero and one of a loss at a point: X. Zhang, R. Xu, H. Yu, H. Zou, P. Cui, "Gradient Norm Aware
 * Minimization Seeks First-Order Flatness and Improves Generalization", CVPR 2023, definitions 3.1 and 3.2. They are what the
 * drivers `sam` and `gam` minimize. At the minimum of a quadratic, order one is rho^2 times the largest curvature.
 *
 * Both maxima are sought by projected ascent with steps of length rho, from a random point at distance rho/10.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { type Flat, norm, plus, sphere } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded, stepsMethod } from '../saddle/steps.js'

const config = z.strictObject({
  rho: real('Radius of the neighbourhood.', { default: 0.2, above: 0, source: 'xxgege/GAM' }),
  steps: field(z.int().min(1).default(20), 'Steps of ascent to each maximum.', { source: 'ours' }),
  difference: real('Times rho, the length of the differences of gradients that give the slope of their norm.', {
    default: 1e-3,
    above: 0,
    source: 'ours',
  }),
})
type Config = z.infer<typeof config>

type State = {
  w: Float64Array
  value: number
  /** Where the neighbourhood is looked at. */
  e: Float64Array
  /** The gradient at w + e, while that a little ahead along it is awaited. */
  gradient: Float64Array | null
  phase: 'start' | 'order-zero' | 'order-one' | 'done'
  zero: number
  one: number
  k: number
  rng: RngState
}

/** A random point of the sphere of radius rho/10. */
function begin({ rho }: Config, state: State, phase: State['phase']) {
  state.phase = phase
  state.k = 0
  state.e = sphere(new Rng(state.rng), state.w.length).map((v) => (v * rho) / 10)
}

/** A step uphill, back into the neighbourhood; after the last, what comes next. */
function climb(config: Config, state: State, uphill: Float64Array) {
  const { rho, steps } = config
  const size = norm(uphill)
  if (size === 0 || state.k++ === steps) {
    if (state.phase === 'order-zero') begin(config, state, 'order-one')
    else state.phase = 'done'
    return
  }
  const e = plus(state.e, rho / size, uphill)
  state.e = e.map((v) => v * Math.min(1, rho / norm(e)))
}

/** w + e; or ahead of it, where the change of the gradient is the slope of its norm. */
function place({ rho, difference }: Config, { w, e, gradient }: State): Float64Array {
  const point = plus(w, 1, e)
  return gradient ? plus(point, (rho * difference) / norm(gradient), gradient) : point
}

export const method = stepsMethod<Config, State>({
  id: 'flatness',
  title: 'Flatness of a minimum',
  summary:
    'Measures how far the loss rises near the start of the space, as `flatness0`, and rho times the largest norm of its ' +
    'gradient there, as `flatness1`. The parameters stay as they are.',
  references: [
    {
      authors: 'X. Zhang, R. Xu, H. Yu, H. Zou, P. Cui',
      title: 'Gradient Norm Aware Minimization Seeks First-Order Flatness and Improves Generalization',
      year: 2023,
      url: 'https://arxiv.org/abs/2303.03108',
    },
  ],
  config,
  recipes: [{ problem: 'rosenbrock', config: {}, maxEvaluations: 100, target: 25 }],
  equations: () => [
    String.raw`R^{(0)}_\rho(w) = \max_{\|e\| \le \rho} f(w + e) - f(w)`,
    String.raw`R^{(1)}_\rho(w) = \rho \max_{\|e\| \le \rho} \|\nabla f(w + e)\|`,
  ],
  needs: () => ['gradient', 'value'],
  check: (_, problem) => checkUnbounded('flatness', problem),
  init(_, flat: Flat, seed) {
    const w = flat.start()
    const e = new Float64Array(w.length)
    return { w, value: 0, e, gradient: null, phase: 'start', zero: 0, one: 0, k: 0, rng: rngStream(seed, 'flatness') }
  },
  ask: ({ config }: Run<Config>, _, state) => ({
    at: place(config, state),
    purpose: state.gradient ? 'slope' : state.phase,
    sampleKey: 'flatness',
    value: state.phase === 'start' || state.phase === 'order-zero',
  }),
  learn({ config }, _, state, gradient, value) {
    switch (state.phase) {
      case 'start':
        state.value = value!
        state.one = config.rho * norm(gradient)
        return begin(config, state, 'order-zero')
      case 'order-zero':
        state.zero = Math.max(state.zero, value! - state.value)
        return climb(config, state, gradient)
      default: {
        const { gradient: here } = state
        if (here) {
          state.gradient = null
          return climb(config, state, plus(gradient, -1, here))
        }
        const size = norm(gradient)
        state.one = Math.max(state.one, config.rho * size)
        if (size > 0 && state.k < config.steps) state.gradient = gradient
        else climb(config, state, new Float64Array(gradient.length))
      }
    }
  },
  finished: (_, { phase }) => (phase === 'done' ? 'both orders of flatness are measured' : undefined),
  estimate: (_, { w, zero, one, k }) => ({
    x: w,
    kind: 'iterate',
    step: k,
    metrics: { flatness0: zero, flatness1: one },
  }),
})
