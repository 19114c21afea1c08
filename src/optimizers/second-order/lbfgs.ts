/**
 * Limited-memory BFGS: J. Nocedal, S. Wright, "Numerical Optimization", 2nd ed., algorithms 7.5 and, for the line search,
 * 3.5 and 3.6. Without a line search, the steps are those of torch.optim.LBFGS.
 *
 * All queries of an iteration have one sample key: gradients of one loss are compared.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { dot, plus } from '../flat.js'
import { inverseTimes, type Pair, remember } from '../limited-memory.js'
import { checkUnbounded, stepsMethod } from '../saddle/steps.js'
import { type Point, type Search, searchFrom, searchOn } from './wolfe.js'

const config = z.strictObject({
  learningRate: field(
    z.number().positive().default(1),
    'First step length of an iteration, in the unit of its direction.',
    {
      source: 'torch.optim.LBFGS',
      mutable: true,
      log: true,
    },
  ),
  memory: field(z.int().min(1).default(10), 'Steps that the curvature is known by.', {
    source: 'section 7.2: 3 to 20',
  }),
  lineSearch: field(
    z.enum(['strong-wolfe', 'none']).default('strong-wolfe'),
    'Looks for a length with sufficient decrease and a flatter slope, by values and gradients; or takes the first.',
    { source: 'section 7.2' },
  ),
  decrease: field(
    z.number().positive().lt(0.5).default(1e-4),
    'c1: least share of the decrease that the slope promises.',
    {
      source: 'section 3.1',
    },
  ),
  flatness: field(z.number().positive().lt(1).default(0.9), 'c2: largest slope at the end, over that at the start.', {
    source: 'section 3.1',
  }),
  trials: field(z.int().min(1).default(25), 'Most lengths that are tried.', { source: 'torch.optim.LBFGS' }),
  tolerance: field(z.number().min(0).default(0), 'Largest element of a gradient at which the session is done.', {
    source: 'ours; 1e-7 in torch',
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** Loss and gradient at x, once told; without a line search, the loss is 0. */
  value: number
  gradient: Float64Array | null
  direction: Float64Array
  pairs: Pair[]
  /** Length to be tried next, and the search that it is part of. */
  length: number
  search: Search | null
  /** Whether no length along the gradient itself lowers the loss. */
  stuck: boolean
  /** Iterations. */
  t: number
}

/** Starts an iteration from x, whose gradient is known. */
function begin({ learningRate, lineSearch }: Config, state: State) {
  const g = state.gradient!
  state.direction = inverseTimes(state.pairs, g).map((value) => -value)
  const first = state.pairs.length === 0 && state.t === 0
  // A gradient says little of the length of a first step.
  const size = g.reduce((sum, value) => sum + Math.abs(value), 0)
  state.length = learningRate * (first && size > 0 ? Math.min(1, 1 / size) : 1)
  state.search =
    lineSearch === 'none' ? null : searchFrom({ length: 0, value: state.value, slope: dot(g, state.direction) })
}

/** Moves x to a point whose gradient is known. */
function move(config: Config, state: State, length: number, value: number, gradient: Float64Array) {
  const s = state.direction.map((d) => length * d)
  const y = gradient.map((g, i) => g - state.gradient![i])
  state.pairs = remember(state.pairs, { s, y }, config.memory)
  state.x = plus(state.x, 1, s)
  state.value = value
  state.gradient = gradient
  state.t++
  begin(config, state)
}

export const method = stepsMethod<Config, State>({
  id: 'lbfgs',
  title: 'L-BFGS',
  summary: 'A quasi-Newton method: the curvature is that of the last steps, lengths are found by a line search.',
  references: [
    {
      authors: 'D. C. Liu, J. Nocedal',
      title: 'On the limited memory BFGS method for large scale optimization',
      year: 1989,
      url: 'https://doi.org/10.1007/BF01589116',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', maxEvaluations: 60, target: 1e-6 },
    { problem: 'rosenbrock', maxEvaluations: 120, target: 1e-8 },
  ],
  equations: () => [
    String.raw`d_t = -H_t \nabla f(x_t),\quad x_{t+1} = x_t + \alpha_t d_t`,
    String.raw`H_{t+1} = (I - \rho s y') H_t (I - \rho y s') + \rho s s',\quad \rho = 1/\langle s, y \rangle`,
  ],
  needs: ({ lineSearch }) => (lineSearch === 'none' ? ['gradient'] : ['gradient', 'value']),
  check: (_, problem) => checkUnbounded('lbfgs', problem),
  init: (_, flat) => ({
    x: flat.start(),
    ...{ value: 0, gradient: null, direction: new Float64Array(flat.dimension) },
    ...{ pairs: [], length: 0, search: null, stuck: false, t: 0 },
  }),
  ask: ({ config }, _, { x, direction, length, search, t }) => ({
    at: plus(x, length, direction),
    purpose: search ? 'search' : 'step',
    sampleKey: `s${t}`,
    value: config.lineSearch !== 'none',
  }),
  learn({ config }, _, state, gradient, value = 0) {
    if (state.gradient === null) {
      state.gradient = gradient
      state.value = value
      begin(config, state)
      return
    }
    if (!state.search) {
      move(config, state, state.length, value, gradient)
      return
    }
    const tried: Point = { length: state.length, value, slope: dot(gradient, state.direction), gradient }
    const next = searchOn(state.search, tried, config)
    if (next.accepted?.gradient) {
      const { length, value, gradient } = next.accepted
      move(config, state, length, value, gradient)
    } else if (next.accepted) {
      // No length helps: what is known of the curvature does not hold here.
      state.stuck = state.pairs.length === 0
      state.pairs = []
      begin(config, state)
      state.length = Math.min(state.length, 1e-3)
    } else {
      state.search = next.search
      state.length = next.length
    }
  },
  finished({ config }, { gradient, stuck }) {
    if (stuck) return 'no length along the gradient lowers the loss'
    return gradient?.every((g) => Math.abs(g) <= config.tolerance) ? 'the gradient vanishes' : undefined
  },
  estimate: (_, { x, value, gradient, length, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { length, ...(gradient && { value, gradientNorm: Math.sqrt(dot(gradient, gradient)) }) },
  }),
})
