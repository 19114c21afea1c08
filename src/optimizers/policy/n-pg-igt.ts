/**
 * Stochastic policy gradients whose error shrinks by transport: I. Fatkhullin, A. Barakat, A. Kireeva, N. He, "Stochastic
 * Policy Gradient Methods: Improved Sample Complexity for Fisher-non-degenerate Policies", ICML 2023 (arXiv:2302.01734),
 * algorithms 1 (n-pg-igt) and 2 (harpg, n-harpg).
 *
 * The direction d estimates the gradient at x_t by old samples too. n-pg-igt asks ahead of x_t, so that the mean of old and
 * new has the gradient of x_t to second order; harpg moves d along by a product with the Hessian between x_{t-1} and x_t.
 * Queries with the purpose `transport` or `step` are for a gradient estimate of one trajectory, those with `curvature` for
 * an estimate of the Hessian at their first point, of a trajectory drawn there, times the second. No importance weights.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { norm, plus } from '../flat.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'

const config = z.strictObject({
  variant: field(
    z.enum(['n-pg-igt', 'harpg', 'n-harpg']).default('n-pg-igt'),
    'Normalized with implicit gradient transport, Hessian-aided, or Hessian-aided and normalized.',
    { source: 'paper, algorithms 1 and 2' },
  ),
  gamma0: field(
    z.number().positive().default(1),
    'Scale of the decreasing steps: gamma0*2/(t + 2) for n-pg-igt, gamma0*sqrt(2/(t + 2)) for harpg, and ' +
      'gamma0*2/(t + 2) for n-harpg. For policies whose score has the norm M and whose Fisher matrix is at least muF, ' +
      'about 3*M/muF.',
    { source: 'ours', log: true, mutable: true },
  ),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  before: Float64Array
  /** The estimated gradient of a loss to minimize; null until the first is told. */
  d: Float64Array | null
  /** harpg: the gradient at x_t, told ahead of the product. */
  gradient: Float64Array | null
  /** harpg: where between x_{t-1} and x_t the Hessian is asked. */
  q: number
  rng: RngState
  t: number
}

/** Share of the new gradient in d, and the length of the step, or its factor to d, at t from 0. */
export function rates({ variant, gamma0 }: Config, t: number): { share: number; step: number } {
  const slow = 2 / (t + 2)
  switch (variant) {
    case 'n-pg-igt':
      return { share: slow ** 0.8, step: gamma0 * slow }
    case 'harpg':
      return { share: slow, step: gamma0 * Math.sqrt(slow) }
    case 'n-harpg':
      return { share: slow, step: gamma0 * slow }
  }
}

/** Where n-pg-igt asks: ahead of x by the last step, the more the less weight the new gradient has. */
function ahead(config: Config, { x, before, t }: State): Float64Array {
  const { share } = rates(config, t)
  return plus(x, (1 - share) / share, plus(x, -1, before))
}

/** The new direction: `moved` is the old one, brought to x_t. */
function move(config: Config, state: State, moved: Float64Array, g: Float64Array) {
  const { share, step } = rates(config, state.t)
  const d = moved.map((value, i) => (1 - share) * value + share * g[i])
  const length = config.variant === 'harpg' ? 1 : norm(d)
  state.d = d
  state.before = state.x
  state.x = length > 0 ? plus(state.x, -step / length, d) : state.x
  state.gradient = null
  state.t++
}

export const method = turnsMethod<Config, State>({
  id: 'n-pg-igt',
  family: 'gradient',
  title: 'Policy gradients by transport',
  summary:
    'Gradient estimates of single trajectories, combined over the steps as if all were of the present policy: by asking ' +
    'ahead and a normalized step (purpose `transport`), or with gradients at the iterate (`step`) and products with the ' +
    'Hessian at a point before it, estimated by a trajectory that is drawn there (`curvature`).',
  references: [
    {
      authors: 'I. Fatkhullin, A. Barakat, A. Kireeva, N. He',
      title: 'Stochastic Policy Gradient Methods: Improved Sample Complexity for Fisher-non-degenerate Policies',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.01734',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { gamma0: 2 }, maxEvaluations: 600, target: 1e-2 },
    { problem: 'quadratic', config: { variant: 'harpg', gamma0: 0.2 }, maxEvaluations: 600, target: 1e-2 },
    { problem: 'quadratic', config: { variant: 'n-harpg', gamma0: 2 }, maxEvaluations: 1200, target: 1e-2 },
  ],
  equations: ({ variant }) =>
    variant === 'n-pg-igt'
      ? [
          String.raw`d_t = (1 - \eta_t) d_{t-1} + \eta_t g\left(x_t + \tfrac{1 - \eta_t}{\eta_t} (x_t - x_{t-1})\right)`,
          String.raw`x_{t+1} = x_t + \gamma_t \frac{d_t}{\|d_t\|}, \quad \eta_t = \left(\tfrac{2}{t + 2}\right)^{4/5}, \; \gamma_t = \tfrac{2\gamma_0}{t + 2}`,
        ]
      : [
          String.raw`\tilde{x} = q x_t + (1 - q) x_{t-1}, \quad q \sim U(0, 1)`,
          String.raw`d_t = (1 - \eta_t) \left(d_{t-1} + B(\tilde{x}) (x_t - x_{t-1})\right) + \eta_t g(x_t), \quad \eta_t = \tfrac{2}{t + 2}`,
          variant === 'harpg'
            ? String.raw`x_{t+1} = x_t + \gamma_0 \sqrt{\eta_t}\, d_t`
            : String.raw`x_{t+1} = x_t + \gamma_0 \eta_t \frac{d_t}{\|d_t\|}`,
        ],
  invariances: ['translation'],
  needs: ({ variant }) => (variant === 'n-pg-igt' ? ['gradient'] : ['gradient', 'hvp']),
  check: (_, problem) => checkUnbounded('n-pg-igt', problem),
  init(_, flat, seed) {
    const x = flat.start()
    return { x, before: x, d: null, gradient: null, q: 0, rng: rngStream(seed, 'between'), t: 0 }
  },
  ask({ config }, _, state) {
    const { x, before, gradient, q } = state
    const wants = [{ kind: 'gradient' } as const]
    if (config.variant === 'n-pg-igt') return { points: [ahead(config, state)], wants, purpose: 'transport' }
    if (!gradient) return { points: [x], wants, purpose: 'step' }
    const moved = plus(x, -1, before)
    return {
      points: [plus(before, q, moved), moved],
      wants: [{ kind: 'hvp', curvature: 'hessian' }],
      purpose: 'curvature',
    }
  },
  learn({ config, problem }, flat, state, { gradients, products }) {
    const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
    const told = flat.vector((gradients ?? products)![0]).map((value) => sign * value)
    if (config.variant === 'n-pg-igt') return move(config, state, state.d ?? told, told)
    if (products) return move(config, state, plus(state.d!, 1, told), state.gradient!)
    // Nothing is transported at the start.
    if (state.t === 0) return move(config, state, state.d ?? told, told)
    state.gradient = told
    state.q = new Rng(state.rng).uniform()
  },
  estimate: ({ config }, { x, d, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { ...rates(config, t), ...(d && { direction: norm(d) }) },
  }),
})
