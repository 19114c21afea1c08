/**
 * Particle gradient descent for displacement convex functionals of a probability measure:
 * H. Daneshmand, J. D. Lee, C. Jin, "Efficient displacement convex optimization with particle gradient descent", ICML 2023
 * (arXiv:2302.04753).
 *
 * The tensor of shape [n, d] holds the particles of F_n(w_1..w_n) = F((1/n) sum delta_{w_i}). Of a functional that is
 * only Lipschitz, the gradient is asked at particles moved by a little noise: it parts those that sit on the same point,
 * between which the subgradient sees no force.
 */
import { z } from 'zod'
import type { Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { accumulate, gaussian, plus, spaceOf } from '../../optimizers/flat.js'
import { turnsMethod } from '../../optimizers/turns.js'
import { signOf } from '../space/progress.js'
import { addPull, energyDistance, energyGradient, meanDistance } from './functionals.js'

const config = z.strictObject({
  functional: field(
    z.enum(['client', 'energy-distance', 'potential-interaction']).default('client'),
    'The client tells the gradient of F_n; or the energy distance to a measure of which it tells samples; or a potential ' +
      'whose sum over the particles it tells the gradient of, with an interaction of pairs, which is added.',
    { source: 'arXiv:2302.04753' },
  ),
  regularity: field(
    z.enum(['lipschitz', 'smooth']).default('lipschitz'),
    'Noise and decreasing steps, or (smooth) neither.',
    { source: 'arXiv:2302.04753' },
  ),
  learningRate: field(z.number().positive().default(0.05), 'Step size gamma; of smooth functionals at most 1/L.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  decaySteps: field(z.number().positive().default(50), 'Steps k are gamma/sqrt(1 + k/decaySteps).', { source: 'ours' }),
  noise: field(z.number().min(0).default(1e-3), 'Standard deviation of the noise, nu.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  scaled: field(
    z.boolean().default(false),
    'Told gradients are n dF_n/dw_i already; otherwise dF_n/dw_i, and multiplied by n here.',
    { source: 'ours' },
  ),
  values: field(z.boolean().default(false), 'Ask for F_n too: the estimate is then the best of the points asked.', {
    source: 'ours',
  }),
  strength: field(z.number().default(1), "Weight of the interaction strength*|x - x'|^power/power of pairs.", {
    source: 'ours',
  }),
  power: field(z.number().min(1).default(2), 'Power of the interaction; convex from 1 on.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  w: Float64Array
  /** Where the gradient is asked: the particles with noise. */
  z: Float64Array
  k: number
  value: number | null
  best: { w: Float64Array; value: number } | null
  rng: RngState
}

const widthOf = (shape: readonly number[]) => shape.slice(1).reduce((n, d) => n * d, 1)
const asksValue = ({ functional, values }: Config) => values && functional !== 'energy-distance'

/** Draws the noise of the next step. */
function shake({ regularity, noise }: Config, state: State): void {
  const still = regularity === 'smooth' || noise === 0
  state.z = still ? state.w : plus(state.w, noise, gaussian(new Rng(state.rng), state.w.length))
}

/** Root mean squared distance of the particles to their mean. */
function spreadOf(w: Float64Array, d: number): number {
  const n = w.length / d
  const mean = new Float64Array(d)
  for (let i = 0; i < w.length; i++) mean[i % d] += w[i] / n
  return Math.sqrt(w.reduce((sum, x, i) => sum + (x - mean[i % d]) ** 2, 0) / n)
}

export const method = turnsMethod<Config, State>({
  id: 'particle-gd',
  family: 'evolution',
  title: 'Particle gradient descent',
  summary: 'Moves all particles of a probability measure along its functional, with noise that parts those that meet.',
  references: [
    {
      authors: 'H. Daneshmand, J. D. Lee, C. Jin',
      title: 'Efficient displacement convex optimization with particle gradient descent',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.04753',
    },
  ],
  config,
  recipes: [
    { problem: 'transport', config: { functional: 'energy-distance' }, maxEvaluations: 1000, target: 2e-3 },
    { problem: 'transport', config: { values: true }, maxEvaluations: 1000, target: 2e-3 },
  ],
  equations: ({ regularity }) =>
    regularity === 'smooth'
      ? [String.raw`w_i \leftarrow w_i - \gamma n \frac{\partial F_n}{\partial w_i}(w)`]
      : [
          String.raw`z_i = w_i + \xi_i, \quad \xi_i \sim \mathcal{N}(0, \nu^2 I)`,
          String.raw`w_i \leftarrow w_i - \frac{\gamma}{\sqrt{1 + k/K}} n \frac{\partial F_n}{\partial w_i}(z)`,
        ],
  needs: (config) =>
    config.functional === 'energy-distance' ? ['quantities'] : asksValue(config) ? ['gradient', 'value'] : ['gradient'],
  check(_, problem) {
    const { tensors, low, high } = spaceOf(problem)
    const cloud = tensors.length === 1 && tensors[0].shape.length === 2
    return [
      ...(cloud ? [] : [{ path: 'space.tensors', message: 'expected one tensor of shape [particles, dimensions]' }]),
      ...(low === undefined && high === undefined
        ? []
        : [{ path: low === undefined ? 'space.high' : 'space.low', message: 'particle-gd keeps to no bounds' }]),
    ]
  },
  init({ config }, flat, seed) {
    const w = flat.start()
    const state: State = { w, z: w, k: 0, value: null, best: null, rng: rngStream(seed, 'particle-gd') }
    shake(config, state)
    return state
  },
  ask({ config, problem }, _, { w, z }) {
    if (config.functional !== 'energy-distance') {
      const value: Want[] = asksValue(config) ? [{ kind: 'value' }] : []
      return { points: [z], wants: [{ kind: 'gradient' }, ...value], purpose: 'gradient' }
    }
    const width = widthOf(spaceOf(problem).tensors[0].shape)
    const description = 'Samples of the target measure, one a row: fresh ones or always the same.'
    const quantities = [{ name: 'samples', shape: [-1, width], description }]
    return { points: [w], wants: [{ kind: 'quantities', quantities }], purpose: 'samples' }
  },
  learn({ config, problem }, flat, state, { gradients, values, quantities }) {
    const { functional, regularity, learningRate, decaySteps, scaled, strength, power } = config
    const { w, z } = state
    const [{ shape }] = spaceOf(problem).tensors
    const d = widthOf(shape)
    const sign = signOf(problem)
    let gradient: Float64Array
    let at = z
    if (functional === 'energy-distance') {
      const samples = Float64Array.from(quantities![0].samples)
      gradient = energyGradient(z, samples, d)
      state.value = energyDistance(w, samples, d)
      at = w
    } else {
      const pairs = functional === 'potential-interaction'
      const n = scaled || pairs ? 1 : shape[0]
      gradient = flat.vector(gradients![0]).map((g) => sign * n * g)
      if (pairs) addPull(gradient, z, z, d, strength, power)
      if (asksValue(config) && values) {
        // Of a potential the sum over the particles is told.
        const told = sign * values[0][0]
        state.value = pairs ? told / shape[0] + (strength / (2 * power)) * meanDistance(z, z, d, power) : told
      }
    }
    if (state.value !== null && !(state.best && state.best.value <= state.value))
      state.best = { w: at.slice(), value: state.value }
    const decay = regularity === 'smooth' ? 1 : Math.sqrt(1 + state.k / decaySteps)
    state.w = w.slice()
    accumulate(state.w, -learningRate / decay, gradient)
    state.k++
    shake(config, state)
  },
  estimate({ problem }, { w, k, value, best }) {
    const spread = spreadOf(w, widthOf(spaceOf(problem).tensors[0].shape))
    const sign = signOf(problem)
    return {
      x: best?.w ?? w,
      kind: 'iterate',
      step: k,
      metrics: { spread, ...(best && value !== null ? { value: sign * value, best: sign * best.value } : {}) },
    }
  },
})
