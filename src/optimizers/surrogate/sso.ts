/**
 * Surrogates in the space of a model's outputs: one gradient of an expensive loss pays for many cheap steps of the model.
 * J. W. Lavington, S. Vaswani, R. Babanezhad, M. Schmidt, N. Le Roux, "Target-based Surrogates for Stochastic
 * Optimization", ICML 2023 (arXiv:2302.02607), algorithm 1 and section 3.
 *
 * With z_i the outputs on example i of a batch, z0_i those at theta_t, and q_i the gradient of the loss of example i by
 * them, an outer step takes steps on g(theta) = mean_i <q_i, z_i(theta) - z0_i> + D(z_i(theta), z0_i)/eta_t.
 *
 * The tensor `outputs` of the space, [batch, outputs of an example], is not optimized: it carries weights to the client.
 * Queries with the purpose `loss` (expensive) are for the outputs and the gradient q of the sum of the losses by them, those
 * with `outputs` for the outputs alone, and those with `model` for the gradient of <c, z(theta)> by theta, c being the value
 * of the carrier at the point. All of one outer step are of one batch.
 */
import type { Run } from '../../core/method.js'
import type { Quantity } from '../../core/query.js'
import { elements, type TensorSpec } from '../../core/tensor.js'
import { adamStep } from '../adam-step.js'
import { dot, plus, spaceOf } from '../flat.js'
import { checkNames, checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { type Config, config, etas, type State, surrogate } from './target.js'

/** Below this, armijo takes no step. */
const SMALLEST = 1e-12

const carrierOf = ({ config, problem }: Run<Config>): TensorSpec =>
  spaceOf(problem).tensors.find(({ name }) => name === config.outputs)!

/** The next inner point is known, and after a search its outputs too. */
function finishInner(config: Config, state: State, theta: Float64Array, z?: Float64Array) {
  state.theta = theta
  if (z) state.z = z
  state.phase = z ? 'model' : 'outputs'
  if (++state.inner < config.innerSteps) return
  state.t++
  state.phase = 'loss'
}

/** A step along the gradient of the surrogate; armijo first asks where it would lead. */
function innerStep(config: Config, state: State) {
  const { learningRate, inner } = config
  const { theta, gradient: g } = state
  if (inner === 'gd') {
    // Of several rates, the least is safe for all outputs.
    const eta = Math.min(...etas(config, state))
    return finishInner(config, state, plus(theta, -learningRate * eta, g))
  }
  if (inner === 'armijo') {
    state.step = config.armijoStart
    state.phase = 'search'
    return
  }
  finishInner(config, state, plus(theta, -1, adamStep(state, g, state.inner + 1, config)))
}

/** Outputs at theta - step*gradient are known. */
function search(config: Config, state: State, batch: number, z: Float64Array) {
  const { value } = surrogate(config, state, z)
  const before = surrogate(config, state, state.z).value
  const wanted = config.armijoSlope * state.step * dot(state.gradient, state.gradient) * batch
  if (value <= before - wanted || state.step < SMALLEST) {
    if (state.step < SMALLEST) return finishInner(config, state, state.theta, state.z)
    return finishInner(config, state, plus(state.theta, -state.step, state.gradient), z)
  }
  state.step *= config.armijoShrink
}

const OUTPUTS = 'outputs of the model on the batch'
const GRADIENT = 'gradient of the sum of the losses of the batch by the outputs'

function turn(run: Run<Config>, range: readonly [number, number], state: State): Turn {
  const { config } = run
  const { phase, theta, step, gradient } = state
  const sampleKey = `batch${state.t}`
  if (phase === 'model') {
    const at = theta.slice()
    at.set(surrogate(config, state, state.z).slope, range[0])
    return { points: [at], wants: [{ kind: 'gradient' }], purpose: 'model', sampleKey }
  }
  const { shape } = carrierOf(run)
  const quantities: Quantity[] = [{ name: 'outputs', shape, description: OUTPUTS }]
  if (phase === 'loss') quantities.push({ name: 'gradient', shape, description: GRADIENT })
  const at = phase === 'search' ? plus(theta, -step, gradient) : theta
  const purpose = phase === 'loss' ? 'loss' : 'outputs'
  return { points: [at], wants: [{ kind: 'quantities', quantities }], purpose, sampleKey }
}

export const method = turnsMethod<Config, State>({
  id: 'sso',
  family: 'gradient',
  title: 'Target-based surrogate optimization',
  summary:
    'One expensive gradient by the outputs of a model pays for many cheap steps of its parameters. A tensor of the space, ' +
    '[batch, outputs of an example], carries weights c to the client. Queries with the purpose `loss` are for the outputs on ' +
    'a batch and the gradient of the sum of its losses by them, those with `outputs` for the outputs alone, and those with ' +
    '`model` for the gradient of <c, outputs> by all other tensors, its own being of no use.',
  references: [
    {
      authors: 'J. W. Lavington, S. Vaswani, R. Babanezhad, M. Schmidt, N. Le Roux',
      title: 'Target-based Surrogates for Stochastic Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.02607',
    },
  ],
  config,
  recipes: [
    { problem: 'model-outputs', config: { eta: 4, learningRate: 0.7 }, maxEvaluations: 600, target: 0.39 },
    { problem: 'model-outputs', config: { eta: 4, inner: 'armijo' }, maxEvaluations: 2000, target: 0.39 },
  ],
  equations: ({ divergence }) => [
    String.raw`q_i = \nabla_z \ell_i(z_i(\theta_t))`,
    divergence === 'kl'
      ? String.raw`g_t(\theta) = \frac{1}{B} \sum_i \langle q_i, z_i(\theta) - z_i(\theta_t) \rangle + \frac{1}{\eta_t} \mathrm{KL}(z_i(\theta), z_i(\theta_t))`
      : String.raw`g_t(\theta) = \frac{1}{B} \sum_i \langle q_i, z_i(\theta) - z_i(\theta_t) \rangle + \frac{1}{2\eta_t} \|z_i(\theta) - z_i(\theta_t)\|^2`,
    String.raw`\theta_{t+1} \approx \arg\min_\theta g_t(\theta)`,
  ],
  check({ outputs }, problem) {
    const issues = [...checkNames([outputs], problem, 'config.outputs'), ...checkUnbounded('sso', problem)]
    const { tensors } = spaceOf(problem)
    if (issues.length === 0 && tensors.length === 1)
      issues.push({ path: 'space.tensors', message: `"${outputs}" stands for outputs; nothing is left to optimize` })
    return issues
  },
  needs: () => ['quantities', 'gradient'],
  init(run, flat) {
    const theta = flat.start()
    const [from, to] = flat.range(run.config.outputs)!
    theta.fill(0, from, to)
    const zero = new Float64Array(flat.dimension)
    const none = new Float64Array(to - from)
    return {
      phase: 'loss',
      theta,
      z0: none,
      q: none,
      z: none,
      gradient: zero,
      step: 0,
      squares: new Float64Array(elements(carrierOf(run).shape.slice(1))),
      m: zero,
      v: zero,
      inner: 0,
      t: 0,
      losses: 0,
      models: 0,
    }
  },
  ask: (run, flat, state) => turn(run, flat.range(run.config.outputs)!, state),
  learn(run, flat, state, { quantities, gradients }) {
    const { config, problem } = run
    const [batch = 1] = carrierOf(run).shape
    const outputs = quantities && Float64Array.from(quantities[0].outputs)
    switch (state.phase) {
      case 'loss': {
        const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
        state.q = Float64Array.from(quantities![0].gradient, (q) => sign * q)
        const kinds = state.squares.length
        state.squares = state.squares.slice()
        for (let i = 0; i < state.q.length; i++) state.squares[i % kinds] += state.q[i] ** 2 / batch
        state.z0 = outputs!
        state.z = outputs!
        state.m = state.m.map(() => 0)
        state.v = state.m
        state.inner = 0
        state.losses++
        state.phase = 'model'
        return
      }
      case 'outputs':
        state.models++
        state.z = outputs!
        state.phase = 'model'
        return
      case 'model':
        state.models++
        state.gradient = flat.vector(gradients![0]).map((g) => g / batch)
        state.gradient.fill(0, ...flat.range(config.outputs)!)
        return innerStep(config, state)
      case 'search':
        state.models++
        return search(config, state, batch, outputs!)
    }
  },
  estimate: (_, { theta, t, losses, models }) => ({
    x: theta,
    kind: 'iterate',
    step: t,
    metrics: { lossGradients: losses, modelCalls: models },
  }),
})
