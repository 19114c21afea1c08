/**
 * The noise of a one-step generator by the rewards of its picture: L. Eyring, S. Karthik, K. Roth, A. Dosovitskiy, Z. Akata,
 * "ReNO: Enhancing One-step Text-to-Image Models through Reward-based Noise Optimization", NeurIPS 2024 (arXiv:2406.04312).
 *
 * Minimizes -sum_j w_j R_j(e) + lambda*(|e|^2/2 - (d - 1)*log|e|); the second term, up to a constant the negative log density
 * of the norm of a normal vector, keeps the noise on its shell. Of all iterates that with the most reward is the answer.
 *
 * The noise begins at the start values of the space, or where they are zero at random. One reward is the objective itself, with its gradient. Several are asked as the quantities `rewards` and `gradients`.
 */
import { z } from 'zod'
import type { Observation, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { adamFields, adamStep } from '../adam-step.js'
import { dot, type Flat, gaussian, norm, plus } from '../flat.js'
import { inverseTimes, type Pair, remember } from '../limited-memory.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { noiseOr } from './noise.js'

const config = z.strictObject({
  weights: field(
    z.array(z.number()).min(1).max(1000).default([1]),
    'Weight of each reward; the paper has 5, 1, 0.05 and 0.01 for HPSv2, ImageReward, PickScore and CLIP.',
    { source: 'ours' },
  ),
  optimizer: field(
    z.enum(['nesterov', 'adam', 'lbfgs', 'selection']).default('nesterov'),
    'selection, for comparison: fresh noise each time, the best of all.',
    { source: 'published code' },
  ),
  learningRate: field(z.number().min(0).default(5), 'Step size.', { source: 'published code', log: true }),
  momentum: field(z.number().min(0).lt(1).default(0.9), 'Of nesterov.', { source: 'published code' }),
  clip: field(
    z.number().positive().default(0.1),
    'Most length of the gradient; for lbfgs, of that of the first step.',
    {
      source: 'published code',
      log: true,
    },
  ),
  regularization: field(z.number().min(0).default(0.01), 'lambda; 0 leaves the norm of the noise free.', {
    source: 'published code',
  }),
  iterations: field(z.int().min(1).default(50), 'Evaluations in all; the last makes no step.', {
    source: 'published code',
  }),
  ...adamFields(1e-2, 'published code'),
  history: field(z.int().min(1).max(1000).default(10), 'lbfgs: steps that are remembered.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  e: Float64Array
  /** nesterov and adam: momentum; adam: mean square. */
  m: Float64Array
  v: Float64Array
  /** lbfgs. */
  pairs: Pair[]
  last: Pair | null
  best: Float64Array
  bestReward: number | null
  rewards: number[]
  rng: RngState
  t: number
}

/** Weighted sums: the reward, and its gradient where there is one. */
type Told = { rewards: number[]; reward: number; gradient: Float64Array | null }

function told({ weights }: Config, problem: Problem, flat: Flat, { values, gradients, quantities }: Observation): Told {
  const sign = problem.objectives[0].direction === 'maximize' ? 1 : -1
  const rewards = quantities ? Array.from(quantities[0].rewards) : [sign * values![0][0]]
  const rows = quantities?.[0].gradients ?? (gradients && flat.vector(gradients[0]).map((g) => sign * g))
  const reward = weights.reduce((sum, w, j) => sum + w * rewards[j], 0)
  if (!rows) return { rewards, reward, gradient: null }
  const gradient = new Float64Array(flat.dimension)
  for (let i = 0; i < rows.length; i++)
    gradient[i % flat.dimension] += weights[Math.floor(i / flat.dimension)] * rows[i]
  return { rewards, reward, gradient }
}

/** |e|^2/2 - (d - 1)*log|e|, and its gradient over e. */
export function shell(e: Float64Array): { value: number; factor: number } {
  const square = dot(e, e)
  // At the origin no direction leads to the shell.
  if (square === 0) return { value: Infinity, factor: 0 }
  return { value: square / 2 - ((e.length - 1) / 2) * Math.log(square), factor: 1 - (e.length - 1) / square }
}

/** A step against the gradient; `scale` is what clipping makes of it. */
function move(config: Config, state: State, raw: Float64Array, scale: number) {
  const { learningRate, momentum, history } = config
  const { e } = state
  const g = raw.map((value) => scale * value)
  switch (config.optimizer) {
    case 'nesterov':
      state.m = g.map((value, i) => momentum * state.m[i] + value)
      state.e = e.map((x, i) => x - learningRate * (g[i] + momentum * state.m[i]))
      return
    case 'adam':
      state.e = plus(e, -1, adamStep(state, g, state.t, config))
      return
    case 'lbfgs':
      // Clipped gradients have no curvature.
      if (state.last) {
        const pair = { s: plus(e, -1, state.last.s), y: plus(raw, -1, state.last.y) }
        state.pairs = remember(state.pairs, pair, history)
      }
      state.last = { s: e, y: raw }
      state.e = plus(e, -learningRate, state.pairs.length > 0 ? inverseTimes(state.pairs, raw) : g)
      return
    case 'selection':
      state.e = gaussian(new Rng(state.rng), e.length)
  }
}

function wants({ weights, optimizer }: Config, dimension: number): Want[] {
  const K = weights.length
  const steps = optimizer !== 'selection'
  if (K === 1) return steps ? [{ kind: 'value' }, { kind: 'gradient' }] : [{ kind: 'value' }]
  const rewards = { name: 'rewards', shape: [K], description: 'every reward, greater being better' }
  const gradients = {
    name: 'gradients',
    shape: [K, dimension],
    description: 'the gradient of each reward by the noise',
  }
  return [{ kind: 'quantities', quantities: steps ? [rewards, gradients] : [rewards] }]
}

export const method = turnsMethod<Config, State>({
  id: 'reno',
  family: 'gradient',
  title: 'Reward-based noise optimization',
  summary:
    'The noise of a generator by one or several rewards, in a few steps that keep its norm likely; the best is kept. ' +
    'One reward is the objective, asked with its gradient; several are asked as quantities. Zero start values stand for ' +
    'random noise.',
  references: [
    {
      authors: 'L. Eyring, S. Karthik, K. Roth, A. Dosovitskiy, Z. Akata',
      title: 'ReNO: Enhancing One-step Text-to-Image Models through Reward-based Noise Optimization',
      year: 2024,
      url: 'https://arxiv.org/abs/2406.04312',
    },
  ],
  config,
  recipes: [
    {
      problem: 'quadratic',
      config: { iterations: 1000, regularization: 0, learningRate: 0.1 },
      maxEvaluations: 400,
      target: 0.1,
    },
    {
      problem: 'quadratic',
      config: { optimizer: 'adam', iterations: 1000, regularization: 0, learningRate: 0.05, clip: 10 },
      maxEvaluations: 400,
      target: 0.1,
    },
    {
      problem: 'quadratic',
      config: { optimizer: 'lbfgs', iterations: 1000, regularization: 0, learningRate: 1, clip: 1 },
      maxEvaluations: 400,
      target: 0.1,
    },
    { problem: 'quadratic', config: { optimizer: 'selection', iterations: 2000 }, maxEvaluations: 1000, target: 10 },
    {
      problem: 'rewards',
      config: { weights: [1, 0.5], iterations: 1000, regularization: 0.001, learningRate: 0.5 },
      maxEvaluations: 400,
      target: 1.8,
    },
  ],
  equations: ({ optimizer }) => [
    String.raw`g = -\sum_j w_j \nabla R_j(\varepsilon) + \lambda \varepsilon \left(1 - \frac{d - 1}{\|\varepsilon\|^2}\right)`,
    String.raw`g \leftarrow g \min\left(1, \frac{c}{\|g\|}\right)`,
    {
      nesterov: String.raw`b \leftarrow \mu b + g, \quad \varepsilon \leftarrow \varepsilon - \eta (g + \mu b)`,
      adam: String.raw`\varepsilon \leftarrow \varepsilon - \eta\, \mathrm{Adam}(g)`,
      lbfgs: String.raw`\varepsilon \leftarrow \varepsilon - \eta H_t g`,
      selection: String.raw`\varepsilon \sim N(0, I)`,
    }[optimizer],
  ],
  needs: ({ weights, optimizer }) => {
    if (weights.length > 1) return ['quantities']
    return optimizer === 'selection' ? ['value'] : ['value', 'gradient']
  },
  check: (_, problem) => checkUnbounded('reno', problem),
  init(_, flat, seed) {
    const rng = rngStream(seed, 'noise')
    const e = noiseOr(flat.start(), new Rng(rng))
    const zero = new Float64Array(e.length)
    return { e, m: zero, v: zero, pairs: [], last: null, best: e, bestReward: null, rewards: [], rng, t: 0 }
  },
  ask: ({ config }, flat, { e }) => ({ points: [e], wants: wants(config, flat.dimension), purpose: 'reward' }),
  learn({ config, problem }, flat, state, observation) {
    const { rewards, reward, gradient } = told(config, problem, flat, observation)
    const { e } = state
    state.rewards = rewards
    state.t++
    if (state.bestReward === null || reward > state.bestReward) {
      state.best = e
      state.bestReward = reward
    }
    if (state.t === config.iterations) return
    const weight = config.regularization * shell(e).factor
    const g = e.map((x, i) => weight * x - (gradient?.[i] ?? 0))
    move(config, state, g, Math.min(1, config.clip / (norm(g) + 1e-6)))
  },
  // A refused point has no reward; fresh noise may have.
  refused(state) {
    state.e = gaussian(new Rng(state.rng), state.e.length)
  },
  finished: ({ config }, { t }) =>
    t >= config.iterations ? `all ${config.iterations} evaluations are used` : undefined,
  estimate({ config }, { best, bestReward, rewards, e, t }) {
    const traces = Object.fromEntries(rewards.map((reward, j) => [`reward${j + 1}`, reward]))
    const regularizer = config.regularization * shell(e).value
    const metrics = {
      ...traces,
      ...(bestReward !== null && { bestReward }),
      ...(Number.isFinite(regularizer) && { regularizer }),
      length: norm(e),
    }
    return { x: best, kind: 'iterate', step: t, metrics }
  },
})
