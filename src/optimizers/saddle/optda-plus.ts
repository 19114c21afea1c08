/**
 * Optimistic methods that separate the step of extrapolation from that of the update:
 * Y.-G. Hsieh, K. Antonakopoulos, V. Cevher, P. Mertikopoulos, "No-Regret Learning in Games with Noisy Feedback: Faster
 * Rates and Adaptivity via Learning Rate Separation", NeurIPS 2022 (arXiv:2206.06015).
 *
 * A player plays Z_t = X_t - gamma_t g_{t-1} and receives g_t there. The adaptive steps are each player's own; their sums
 * lag by two steps, so that a step does not depend on the newest noise.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { spaceOf } from '../flat.js'
import { stepsMethod } from './steps.js'

const config = z.strictObject({
  variant: field(
    z.enum(['optda-plus', 'og-plus']).default('optda-plus'),
    'Updates from the start by the sum of all gradients (dual averaging), or from the last base point.',
    { source: 'paper, section 3' },
  ),
  steps: field(
    z.enum(['adaptive', 'constant', 'additive']).default('adaptive'),
    'Steps from the gradients seen (needs no constants); constant, for multiplicative noise; or decreasing, for additive noise.',
    { source: 'paper, sections 4 and 5' },
  ),
  extrapolation: field(z.number().positive().default(0.3), 'Scale of gamma; adaptive steps have none.', {
    source: 'paper: 0.3/L',
    log: true,
  }),
  learningRate: field(z.number().positive().default(0.03), 'Scale of eta; adaptive steps have none.', {
    source: 'paper: much smaller than gamma',
    log: true,
  }),
  q: field(z.number().positive().max(0.25).default(0.25), 'Exponent of the adaptive gamma, up to 1/4.', {
    source: 'paper, section 5',
  }),
  start: field(
    z.enum(['zero', 'call']).default('zero'),
    'The gradient g_0 that the first point ahead uses: zero, or that at the start (one more query).',
    { source: 'paper, section 3' },
  ),
})
type Config = z.infer<typeof config>

/** Of each player, in the order of the space's tensors: sums over s <= t - 1 while step t is under way. */
type Sums = { gradients: number[]; all: number[] }

type State = {
  first: Float64Array
  x: Float64Array
  /** The gradient of the last step. */
  g: Float64Array
  sum: Float64Array
  /** gamma of each player at this step, and eta of the next update. */
  gamma: number[]
  eta: number[]
  sums: Sums
  called: boolean
  t: number
}

/** gamma_t by the sum of squared gradients over s <= t - 2. */
function gammaAt({ steps, extrapolation, q }: Config, t: number, sum: number): number {
  if (steps === 'constant') return extrapolation
  if (steps === 'additive') return extrapolation / (t ** 0.25 * Math.sqrt(Math.log(t + 2)))
  return (1 + sum) ** (q - 0.5)
}

/** eta_t by the sum of squared gradients and moves over s <= t - 2. */
function etaAt({ steps, learningRate }: Config, t: number, sum: number): number {
  if (steps === 'constant') return learningRate
  if (steps === 'additive') return learningRate / (Math.sqrt(t) * Math.log(t + 2))
  return (1 + sum) ** -0.5
}

export const method = stepsMethod<Config, State>({
  id: 'optda-plus',
  title: 'OptDA+',
  summary: 'Learning in noisy games: a bold step ahead, a cautious update, and steps that adapt without any constant.',
  references: [
    {
      authors: 'Y.-G. Hsieh, K. Antonakopoulos, V. Cevher, P. Mertikopoulos',
      title:
        'No-Regret Learning in Games with Noisy Feedback: Faster Rates and Adaptivity via Learning Rate Separation',
      year: 2022,
      url: 'https://arxiv.org/abs/2206.06015',
    },
  ],
  config,
  recipes: [
    { problem: 'bilinear-game', maxEvaluations: 3000, target: 0.1 },
    {
      problem: 'bilinear-game',
      config: { variant: 'og-plus', steps: 'constant', extrapolation: 0.5, learningRate: 0.2 },
      maxEvaluations: 1000,
      target: 1e-4,
    },
  ],
  equations: ({ variant }) => [
    String.raw`Z_t = X_t - \gamma_t\, g_{t-1}`,
    variant === 'og-plus'
      ? String.raw`X_{t+1} = X_t - \eta_{t+1}\, g_t`
      : String.raw`X_{t+1} = X_1 - \eta_{t+1} \sum_{s \le t} g_s`,
  ],
  init({ config, problem }, flat) {
    const x = flat.start()
    const { tensors } = spaceOf(problem)
    const zeros = () => tensors.map(() => 0)
    return {
      first: x,
      x,
      g: new Float64Array(flat.dimension),
      sum: new Float64Array(flat.dimension),
      gamma: tensors.map(() => gammaAt(config, 1, 0)),
      eta: tensors.map(() => etaAt(config, 1, 0)),
      sums: { gradients: zeros(), all: zeros() },
      called: config.start === 'zero',
      t: 0,
    }
  },
  ask({ problem }, flat, { x, g, gamma, called }) {
    if (!called) return { at: x, purpose: 'start' }
    const ahead = x.slice()
    spaceOf(problem).tensors.forEach(({ name }, player) => {
      const [from, to] = flat.range(name)!
      for (let i = from; i < to; i++) ahead[i] -= gamma[player] * g[i]
    })
    return { at: flat.clamp(ahead), purpose: 'play' }
  },
  learn({ config, problem }, flat, state, g) {
    if (!state.called) {
      state.called = true
      state.g = g
      return
    }
    const t = ++state.t
    const x = state.x.slice()
    spaceOf(problem).tensors.forEach(({ name }, player) => {
      const [from, to] = flat.range(name)!
      const { gradients, all } = state.sums
      state.eta[player] = etaAt(config, t + 1, all[player])
      state.gamma[player] = gammaAt(config, t + 1, gradients[player])
      for (let i = from; i < to; i++) {
        state.sum[i] += g[i]
        x[i] =
          config.variant === 'og-plus'
            ? state.x[i] - state.eta[player] * g[i]
            : state.first[i] - state.eta[player] * state.sum[i]
        gradients[player] += g[i] ** 2
      }
      flat.clamp(x)
      for (let i = from; i < to; i++) all[player] += g[i] ** 2 + (x[i] - state.x[i]) ** 2
    })
    state.x = x
    state.g = g
  },
  estimate: (_, { x, gamma, eta, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { extrapolation: Math.max(...gamma), learningRate: Math.max(...eta) },
  }),
})
