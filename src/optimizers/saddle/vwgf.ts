/**
 * Variational Wasserstein gradient flow: a cloud of particles follows the JKO scheme of a divergence.
 * J. Fan, Q. Zhang, A. Taghvaei, Y. Chen, "Variational Wasserstein gradient flow", ICML 2022 (arXiv:2112.02424), section 4.
 *
 * A JKO step of size a solves min over T, max over h of E|x - T(x)|^2/(2 a) + A_h(T); particles then move to T(x). For the KL
 * divergence to exp(-V)/Z the best h is P/Gamma, Gamma the Gaussian of the particles' mean and covariance, and the particles
 * descend (T_i - x_i)/a + grad [log h + log Gamma](T_i) + grad V(T_i).
 *
 * The tensor of shape [n, d] holds n particles. Queries with the purpose `potential` are for the gradient of V at each of
 * them; with the critic `client`, those with `critic` are for grad [log h + log Gamma] of a network that the client trains.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { spaceOf } from '../flat.js'
import { checkUnbounded, stepsMethod } from './steps.js'

const config = z.strictObject({
  step: field(z.number().positive().default(0.5), 'Size a of a JKO step.', { source: 'ours', log: true }),
  learningRate: field(z.number().positive().default(0.1), 'Step size of the inner loop.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  innerSteps: field(z.int().min(1).default(200), 'Steps J of the inner loop.', { source: 'ours' }),
  critic: field(
    z.enum(['exp-quadratic', 'client', 'none']).default('exp-quadratic'),
    'The max player: the Gaussian of the particles in closed form, told by the client, or none: plain descent in V.',
    { source: 'paper, section 4.3' },
  ),
  ridge: field(z.number().min(0).default(1e-9), 'Added to the diagonal of the covariance.', {
    source: 'ours',
    advanced: true,
    log: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  /** The particles at the start of the JKO step, and as moved so far. */
  x: Float64Array
  T: Float64Array
  /** The gradient of V at T, while that of the critic is awaited. */
  potential: Float64Array | null
  inner: number
  /** Half the mean squared distance over a of the last JKO step. */
  cost: number
  t: number
}

/** Mean and covariance (row-major, divided by n) of n particles in d dimensions. */
export function moments(x: Float64Array, n: number, d: number): { mean: Float64Array; covariance: Float64Array } {
  const mean = new Float64Array(d)
  for (let i = 0; i < x.length; i++) mean[i % d] += x[i] / n
  const covariance = new Float64Array(d * d)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      for (let k = 0; k < d; k++) covariance[j * d + k] += ((x[i * d + j] - mean[j]) * (x[i * d + k] - mean[k])) / n
  return { mean, covariance }
}

/** The inverse of a symmetric positive definite matrix, by Gauss-Jordan. */
function inverse(S: Float64Array, d: number): Float64Array {
  const a = S.slice()
  const b = new Float64Array(d * d)
  for (let k = 0; k < d; k++) b[k * d + k] = 1
  for (let k = 0; k < d; k++) {
    const pivot = a[k * d + k]
    for (let j = 0; j < d; j++) {
      a[k * d + j] /= pivot
      b[k * d + j] /= pivot
    }
    for (let i = 0; i < d; i++) {
      const factor = a[i * d + k]
      if (i === k || factor === 0) continue
      for (let j = 0; j < d; j++) {
        a[i * d + j] -= factor * a[k * d + j]
        b[i * d + j] -= factor * b[k * d + j]
      }
    }
  }
  return b
}

/** The gradient of log N(.; m, S) at each particle, m and S their own moments: -S^-1 (T_i - m). */
function gaussianScore(T: Float64Array, n: number, d: number, ridge: number): Float64Array {
  const { mean, covariance } = moments(T, n, d)
  for (let k = 0; k < d; k++) covariance[k * d + k] += ridge
  const precision = inverse(covariance, d)
  const score = new Float64Array(T.length)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++)
      for (let k = 0; k < d; k++) score[i * d + j] -= precision[j * d + k] * (T[i * d + k] - mean[k])
  return score
}

function move(
  { step, learningRate, innerSteps }: Config,
  state: State,
  potential: Float64Array,
  critic: Float64Array | null,
) {
  state.T = state.T.map(
    (T, i) => T - learningRate * ((T - state.x[i]) / step + (critic ? critic[i] : 0) + potential[i]),
  )
  state.potential = null
  if (++state.inner < innerSteps) return
  const moved = state.T.reduce((sum, T, i) => sum + (T - state.x[i]) ** 2, 0)
  state.cost = moved / (2 * step)
  state.x = state.T
  state.inner = 0
  state.t++
}

export const method = stepsMethod<Config, State>({
  id: 'vwgf',
  title: 'Variational Wasserstein gradient flow',
  summary: 'Moves particles towards a density known up to a constant, along the JKO scheme of the KL divergence.',
  references: [
    {
      authors: 'J. Fan, Q. Zhang, A. Taghvaei, Y. Chen',
      title: 'Variational Wasserstein gradient flow',
      year: 2021,
      url: 'https://arxiv.org/abs/2112.02424',
    },
  ],
  config,
  recipes: [{ problem: 'particles', config: { innerSteps: 50 }, maxEvaluations: 600, target: 0.05 }],
  equations: () => [
    String.raw`P_{k+1} = \arg\min_P \frac{1}{2a} W_2^2(P, P_k) + \mathrm{KL}(P \| Q)`,
    String.raw`T_i \leftarrow T_i - \eta \left(\frac{T_i - x_i}{a} + \nabla [\log h + \log \Gamma](T_i) + \nabla V(T_i)\right)`,
  ],
  check(_, problem) {
    const { tensors } = spaceOf(problem)
    const cloud = tensors.length === 1 && tensors[0].shape.length === 2
    const issue = { path: 'space.tensors', message: 'expected one tensor of shape [particles, dimensions]' }
    return [...(cloud ? [] : [issue]), ...checkUnbounded('vwgf', problem)]
  },
  init(_, flat) {
    const x = flat.start()
    return { x, T: x, potential: null, inner: 0, cost: 0, t: 0 }
  },
  ask: ({ config }, _, { T, potential }) => ({
    at: T,
    purpose: config.critic === 'client' && potential ? 'critic' : 'potential',
  }),
  learn({ config, problem }, _, state, g) {
    const [{ shape }] = spaceOf(problem).tensors
    if (config.critic === 'client') {
      if (state.potential) move(config, state, state.potential, g)
      else state.potential = g
    } else if (config.critic === 'none') move(config, state, g, null)
    else move(config, state, g, gaussianScore(state.T, shape[0], shape[1], config.ridge))
  },
  estimate({ problem }, { x, cost, t }) {
    const [{ shape }] = spaceOf(problem).tensors
    return { x, kind: 'iterate', step: t, metrics: { transportCost: cost / shape[0] } }
  },
})
