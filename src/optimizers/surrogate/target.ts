/**
 * The surrogate of a loss in the space of a model's outputs: Lavington et al. 2023, "Target-based Surrogates for Stochastic
 * Optimization", section 3. Its config, the state of its minimization, and its value and slope.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { adamFields } from '../adam-step.js'

export const config = z.strictObject({
  outputs: field(z.string().default('z'), 'Name of the tensor that carries weights of the outputs.', {
    source: 'ours',
  }),
  innerSteps: field(z.int().min(1).default(10), 'Steps m on a surrogate. One is (stochastic) gradient descent.', {
    source: 'ours',
  }),
  eta: field(
    z.number().positive().default(1),
    'Step size in the outputs. Up to 1/L, L being the smoothness of the loss in them (1/4 logistic, 1/2 softmax, 1 ' +
      'squared), the surrogate of a full batch bounds the loss.',
    { source: 'ours', log: true, mutable: true },
  ),
  schedule: field(
    z.enum(['constant', 'root', 'exponential']).default('constant'),
    'eta_t: eta, eta/sqrt(t), or eta*(1/T)^(t/T) with T the horizon.',
    { source: 'paper, section 5' },
  ),
  horizon: field(z.int().min(1).default(1000), 'T of the exponential schedule.', { source: 'ours' }),
  scaling: field(
    z.enum(['none', 'scalar', 'diagonal']).default('none'),
    'Divides eta_t by the root of the accumulated mean of |q_i|^2 (AdaGrad), or output by output.',
    { source: 'paper, section 3' },
  ),
  divergence: field(
    z.enum(['squared', 'kl']).default('squared'),
    'D(z, z0): |z - z0|^2/2, or sum z*log(z/z0) - z + z0 for outputs that are probabilities.',
    { source: 'paper, section 3' },
  ),
  inner: field(z.enum(['gd', 'armijo', 'adam']).default('gd'), 'The steps on a surrogate.', { source: 'ours' }),
  learningRate: field(
    z.number().positive().default(1),
    "Step size of adam. That of gd is learningRate*eta_t: a learningRate of 1/(the top eigenvalue of J'J/batch, J being " +
      'the Jacobian of the outputs) never overshoots on a linear model.',
    { source: 'ours', log: true, mutable: true },
  ),
  armijoStart: field(z.number().positive().default(10), 'First step size that armijo tries.', {
    source: 'published code',
    log: true,
  }),
  armijoShrink: field(z.number().gt(0).lt(1).default(0.9), 'Factor from one try to the next.', {
    source: 'published code',
  }),
  armijoSlope: field(z.number().gt(0).lt(1).default(0.5), 'Share of the decrease to first order that armijo wants.', {
    source: 'published code',
  }),
  ...adamFields(1e-8, 'torch.optim.Adam'),
})
export type Config = z.infer<typeof config>

export type State = {
  phase: 'loss' | 'outputs' | 'model' | 'search'
  /** The parameters, and zero in the place of the carrier. */
  theta: Float64Array
  z0: Float64Array
  q: Float64Array
  /** Outputs at theta. */
  z: Float64Array
  /** The gradient of the surrogate at theta, and the step size that armijo tries. */
  gradient: Float64Array
  step: number
  /** Accumulated mean squares of q, output by output. */
  squares: Float64Array
  /** adam, begun anew with each surrogate. */
  m: Float64Array
  v: Float64Array
  inner: number
  t: number
  losses: number
  models: number
}

/** eta_t of each output, for the outer step under way. */
export function etas({ eta, schedule, horizon, scaling }: Config, { squares, t }: State): Float64Array {
  const factor = { constant: 1, root: 1 / Math.sqrt(t + 1), exponential: horizon ** (-(t + 1) / horizon) }[schedule]
  const total = squares.reduce((sum, s) => sum + s, 0)
  return squares.map((s) => {
    const square = { none: 1, scalar: total, diagonal: s }[scaling]
    return square > 0 ? (eta * factor) / Math.sqrt(square) : eta * factor
  })
}

/** Below this a probability has no logarithm worth keeping. */
const LEAST = 1e-300

/** Times the batch: the surrogate at outputs z, and its gradient by them. */
export function surrogate(config: Config, state: State, z: Float64Array): { value: number; slope: Float64Array } {
  const { z0, q } = state
  const eta = etas(config, state)
  const slope = new Float64Array(z.length)
  let value = 0
  for (let i = 0; i < z.length; i++) {
    const [moved, rate] = [z[i] - z0[i], eta[i % eta.length]]
    const kl = config.divergence === 'kl'
    const log = kl ? Math.log(Math.max(z[i], LEAST) / Math.max(z0[i], LEAST)) : 0
    value += q[i] * moved + (kl ? z[i] * log - moved : moved ** 2 / 2) / rate
    slope[i] = q[i] + (kl ? log : moved) / rate
  }
  return { value, slope }
}
