/**
 * Clipped methods for noise with heavy tails (a finite moment of order alpha, 1 < alpha <= 2):
 * A. Sadiev, M. Danilova, E. Gorbunov, S. Horvath, G. Gidel, P. Dvurechensky, A. Gasnikov, P. Richtarik, "High-Probability
 * Bounds for Stochastic Optimization and Variational Inequalities: the Case of Unbounded Variance", ICML 2023
 * (arXiv:2302.00999), algorithms 1 to 5.
 *
 * clip(g, lambda) = g min(1, lambda/|g|). The error that is exceeded with probability beta then grows with ln(1/beta) only.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { norm, plus } from '../flat.js'
import { type Ask, checkUnbounded, stepsMethod } from './steps.js'

const config = z.strictObject({
  variant: field(
    z.enum(['clipped-sstm', 'clipped-sgd', 'clipped-seg', 'clipped-sgda']).default('clipped-sstm'),
    'Minimization: accelerated (similar triangles) or plain. Games: extragradient or simultaneous descent.',
    { source: 'paper, algorithms 1 to 5' },
  ),
  clip: field(
    z.number().positive().optional(),
    'Largest norm lambda of a clipped gradient; of sstm the B of lambda = B/alpha. Nothing is clipped without it.',
    { source: 'paper: B = R/(30 ln(4 K/beta))', log: true },
  ),
  a: field(z.number().positive().default(20), 'sstm: how much smaller its steps are than those without noise.', {
    source: 'ours',
    log: true,
  }),
  lipschitz: field(z.number().positive().default(1), 'sstm: Lipschitz constant L of the gradient.', {
    source: 'ours',
    log: true,
  }),
  restart: field(
    z.int().min(1).optional(),
    'sstm: begins anew from y after so many steps, with B smaller by the root of 2; for strongly convex losses.',
    { source: 'paper, algorithm 2' },
  ),
  learningRate: field(z.number().positive().default(0.05), 'Step of the other variants; of seg, of its update.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  extrapolation: field(z.number().positive().optional(), 'seg: step to the point ahead; learningRate by default.', {
    source: 'paper, algorithm 4',
    log: true,
  }),
  mu: field(
    z.number().min(0).default(0),
    'Strong monotony: lambda falls by exp(-learningRate mu (1 + k/2)) in the variants other than sstm.',
    { source: 'paper, theorems on strongly monotone problems' },
  ),
  output: field(
    z.enum(['last', 'average']).default('last'),
    'seg, sgda: the last point, or the mean of the asked ones.',
    {
      source: 'paper (average where monotone)',
    },
  ),
})
type Config = z.infer<typeof config>

type State = {
  /** The iterate; of sstm, y. */
  x: Float64Array
  /** sstm: the mirror sequence; seg: the point ahead. */
  z: Float64Array
  average: Float64Array
  leading: boolean
  /** sstm: the sum A, the steps since the last restart, and the number of restarts. */
  weight: number
  k: number
  restarts: number
  norm: number
  clipped: number
  t: number
}

export function clip(g: Float64Array, lambda: number): Float64Array {
  const length = norm(g)
  return length > lambda ? g.map((value) => value * (lambda / length)) : g
}

/** The next weight of sstm. */
const alphaOf = ({ a, lipschitz }: Config, { k }: State) => (k + 2) / (2 * a * lipschitz)

function lambdaOf(config: Config, state: State): number {
  if (config.clip === undefined) return Infinity
  if (config.variant === 'clipped-sstm') return config.clip / Math.SQRT2 ** state.restarts / alphaOf(config, state)
  return config.mu > 0 ? config.clip * Math.exp(-config.learningRate * config.mu * (1 + state.t / 2)) : config.clip
}

const mix = (p: number, x: Float64Array, q: number, z: Float64Array) => x.map((value, i) => p * value + q * z[i])

function askOf({ config }: { config: Config }, state: State): Ask {
  if (config.variant === 'clipped-sstm') {
    const alpha = alphaOf(config, state)
    const total = state.weight + alpha
    return { at: mix(state.weight / total, state.x, alpha / total, state.z), purpose: 'step' }
  }
  if (config.variant === 'clipped-seg' && !state.leading) return { at: state.x, purpose: 'extrapolation' }
  return state.leading ? { at: state.z, purpose: 'leading' } : { at: state.x, purpose: 'step' }
}

function accelerated(config: Config, state: State, g: Float64Array) {
  const alpha = alphaOf(config, state)
  const total = state.weight + alpha
  state.z = plus(state.z, -alpha, g)
  state.x = mix(state.weight / total, state.x, alpha / total, state.z)
  state.weight = total
  state.k++
  if (state.k !== config.restart) return
  state.z = state.x
  state.weight = 0
  state.k = 0
  state.restarts++
}

export const method = stepsMethod<Config, State>({
  id: 'clipped-sstm',
  title: 'Clipped methods for heavy-tailed noise',
  summary: 'Descent, acceleration and extragradient with clipped gradients: errors that rarely are large.',
  references: [
    {
      authors: 'A. Sadiev, M. Danilova, E. Gorbunov, S. Horvath, G. Gidel, P. Dvurechensky, A. Gasnikov, P. Richtarik',
      title:
        'High-Probability Bounds for Stochastic Optimization and Variational Inequalities: the Case of Unbounded Variance',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.00999',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { a: 1, lipschitz: 10, clip: 2 }, maxEvaluations: 400, target: 1e-3 },
    {
      problem: 'bilinear-game',
      config: { variant: 'clipped-seg', learningRate: 0.3, clip: 2 },
      maxEvaluations: 1000,
      target: 1e-6,
    },
  ],
  equations: ({ variant }) =>
    variant === 'clipped-sstm'
      ? [
          String.raw`x = \frac{A_k y_k + \alpha z_k}{A_k + \alpha}`,
          String.raw`z_{k+1} = z_k - \alpha\, \mathrm{clip}(g(x), B/\alpha)`,
          String.raw`y_{k+1} = \frac{A_k y_k + \alpha z_{k+1}}{A_k + \alpha}`,
        ]
      : [String.raw`x \leftarrow x - \gamma\, \mathrm{clip}(g, \lambda_k)`],
  init(_, flat) {
    const x = flat.start()
    return { x, z: x, average: x, leading: false, weight: 0, k: 0, restarts: 0, norm: 0, clipped: 0, t: 0 }
  },
  check: (_, problem) => checkUnbounded('clipped-sstm', problem),
  ask: (run, _, state) => askOf(run, state),
  learn(run, _, state, gradient) {
    const { config } = run
    const { at } = askOf(run, state)
    const g = clip(gradient, lambdaOf(config, state))
    state.norm = norm(gradient)
    state.clipped = norm(g)
    if (config.variant === 'clipped-seg' && !state.leading) {
      state.z = plus(state.x, -(config.extrapolation ?? config.learningRate), g)
      state.leading = true
      return
    }
    state.t++
    state.average = mix(1 - 1 / state.t, state.average, 1 / state.t, at)
    if (config.variant === 'clipped-sstm') accelerated(config, state, g)
    else state.x = plus(state.x, -config.learningRate, g)
    state.leading = false
  },
  estimate({ config }, { x, average, norm, clipped, t }) {
    const averaged = config.output === 'average' && config.variant !== 'clipped-sstm'
    const metrics = { gradientNorm: norm, clippedNorm: clipped }
    return { x: averaged ? average : x, kind: averaged ? 'average' : 'iterate', step: t, metrics }
  },
})
