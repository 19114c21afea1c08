/**
 * Optimistic online mirror descent: S. Chen, Y.-J. Zhang, W.-W. Tu, P. Zhao, L. Zhang, "Optimistic Online Mirror Descent for
 * Bridging Stochastic and Adversarial Online Convex Optimization", ICML 2023 (arXiv:2302.04552).
 *
 * A round's loss is played before it is known, with the last gradient as a prediction of the next. Steps follow the sum of
 * the errors of that prediction, which is small where noise and drift are, neither of which has to be known. `dynamic` mixes
 * learners of many step sizes, for comparators that move. A query asks the gradient of a round's loss at the play; its
 * sample key names the round.
 */
import { z } from 'zod'
import { symmetricEigen } from '../../core/eigen.js'
import { field } from '../../core/schema.js'
import { accumulate, dot, flatOf, norm, plus, spaceOf } from '../flat.js'
import { multiply, multiplyTransposed } from '../matrices.js'
import { stepsMethod } from '../saddle/steps.js'
import { checkDomain, type Domain, domainOf, type Metric } from './domain.js'

/** Coordinates for which a metric is kept and decomposed at each round. */
const MAX_METRIC = 500

const config = z.strictObject({
  losses: field(
    z.enum(['convex', 'strongly-convex', 'exp-concave', 'dynamic']).default('convex'),
    'What is known of the losses; dynamic: convex, against comparators that change.',
    { source: 'arXiv:2302.04552' },
  ),
  ball: field(
    z.number().positive().optional(),
    'Radius of the ball about 0 to play in, where the space has no bounds.',
    {
      source: 'ours',
    },
  ),
  gradientBound: field(z.number().positive().default(1), 'Bound G on the norm of gradients.', {
    source: 'arXiv:2302.04552',
  }),
  lambda: field(z.number().positive().default(1), 'Modulus of strongly convex losses.', {
    source: 'arXiv:2302.04552',
  }),
  alpha: field(z.number().positive().default(1), 'Modulus of exp-concave losses.', {
    source: 'arXiv:2302.04552',
  }),
  beta: field(
    z.number().positive().optional(),
    'Curvature that exp-concave losses are given; min(1/(4GD), alpha)/2 when absent.',
    { source: 'arXiv:2302.04552', advanced: true },
  ),
  delta: field(z.number().positive().default(1), 'Keeps the first steps of convex losses finite.', {
    source: 'arXiv:2302.04552',
    advanced: true,
  }),
  horizon: field(z.int().min(2).default(1024), 'Rounds T that dynamic has learners for: log2 T of them.', {
    source: 'arXiv:2302.04552',
  }),
})
type Config = z.infer<typeof config>

type State = {
  /** The point played, and what it is a step ahead of. */
  x: Float64Array
  base: Float64Array
  /** The prediction M: the last gradient. */
  prediction: Float64Array
  /** Rounds answered. */
  t: number
  /** V, the sum of |g - M|^2. */
  errors: number
  /** Sum of the gradients, and of <g, x>: what was paid for linear losses. */
  gradients: Float64Array
  paid: number
  /** Of exp-concave losses. */
  metric: Metric | null
  /** Of dynamic: base and play of each learner, one a row, and what each would have paid. */
  learners: { bases: Float64Array; plays: Float64Array; paid: Float64Array } | null
}

const diagonal = (n: number, value: number) =>
  Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? value : 0))

/** H with its eigenvectors. */
function decomposed(H: Float64Array, n: number): Metric {
  const vectors = H.slice()
  return { H, values: symmetricEigen(vectors, n), vectors }
}

const betaOf = ({ beta, alpha, gradientBound }: Config, D: number) =>
  beta ?? 0.5 * Math.min(1 / (4 * gradientBound * D), alpha)

/** eta of round t (1-based) for losses without a metric. */
function stepSize({ losses, lambda, delta, gradientBound }: Config, D: number, t: number, errors: number): number {
  return losses === 'strongly-convex' ? 2 / (lambda * t) : D / Math.sqrt(delta + 4 * gradientBound ** 2 + errors)
}

/** A step of the mirror descent along g from a point: H^-1 g in a metric, eta g without. */
function descend(domain: Domain, metric: Metric | null, eta: number, from: Float64Array, g: Float64Array) {
  if (!metric) return domain.project(plus(from, -eta, g))
  const { vectors, values } = metric
  const n = g.length
  const inside = multiplyTransposed(vectors, g, n).map((x, i) => x / values[i])
  return domain.projectIn(metric, plus(from, -1, multiply(vectors, inside, n)))
}

/** The mean of the learners' plays by what they and the prediction say of them. */
function mix(domain: Domain, { learners, prediction, errors, base }: State): Float64Array {
  const { plays, paid } = learners!
  const n = base.length
  const rate = 1 / Math.sqrt(1 + domain.diameter ** 2 * errors)
  const rows = Array.from(paid, (_, i) => plays.subarray(i * n, (i + 1) * n))
  const scores = rows.map((play, i) => -rate * (paid[i] + dot(prediction, play)))
  const largest = Math.max(...scores)
  const weights = scores.map((score) => Math.exp(score - largest))
  const total = weights.reduce((a, b) => a + b, 0)
  const x = new Float64Array(n)
  rows.forEach((play, i) => {
    accumulate(x, weights[i] / total, play)
  })
  return x
}

/** Learner i of dynamic has the step size (D/G) 2^-i. */
function learnersStep({ gradientBound }: Config, domain: Domain, state: State, g: Float64Array) {
  const { bases, plays, paid } = state.learners!
  const n = g.length
  for (let i = 0; i < paid.length; i++) {
    const eta = (domain.diameter / gradientBound) * 2 ** -(i + 1)
    paid[i] += dot(g, plays.subarray(i * n, (i + 1) * n))
    const base = descend(domain, null, eta, bases.slice(i * n, (i + 1) * n), g)
    bases.set(base, i * n)
    plays.set(descend(domain, null, eta, base, g), i * n)
  }
}

export const method = stepsMethod<Config, State>({
  id: 'optimistic-omd',
  title: 'Optimistic online mirror descent',
  summary: 'Plays a point per round, a step ahead along the last gradient; adapts to noise and drift that nobody told.',
  references: [
    {
      authors: 'S. Chen, Y.-J. Zhang, W.-W. Tu, P. Zhao, L. Zhang',
      title: 'Optimistic Online Mirror Descent for Bridging Stochastic and Adversarial Online Convex Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.04552',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { ball: 3, gradientBound: 10 }, maxEvaluations: 500, target: 0.01 },
    {
      problem: 'quadratic',
      config: { losses: 'strongly-convex', ball: 3 },
      maxEvaluations: 500,
      target: 0.01,
    },
    { problem: 'quadratic', config: { losses: 'exp-concave', ball: 3, beta: 0.5 }, maxEvaluations: 500, target: 0.01 },
    {
      problem: 'quadratic',
      config: { losses: 'dynamic', ball: 3, gradientBound: 10 },
      maxEvaluations: 500,
      target: 0.05,
    },
  ],
  equations: ({ losses }) => {
    if (losses === 'dynamic')
      return [
        String.raw`x_t = \sum_i w_i x_{t,i}, \quad w_i \propto \exp(-\epsilon_t (\sum_{s<t} \langle g_s, x_{s,i} \rangle + \langle M_t, x_{t,i} \rangle))`,
        String.raw`\epsilon_t = 1/\sqrt{1 + D^2 V_{t-1}}, \quad \eta_i = 2^{-i} D/G`,
      ]
    const step = losses === 'exp-concave' ? 'H_t^{-1}' : String.raw`\eta_t`
    const size = {
      convex: String.raw`\eta_t = D/\sqrt{\delta + 4 G^2 + V_{t-1}}, \quad V_t = \sum_{s \le t} \|g_s - M_s\|^2`,
      'strongly-convex': String.raw`\eta_t = 2/(\lambda t)`,
      'exp-concave': String.raw`H_t = (1 + \beta G^2/2) I + \frac{\beta}{2} \sum_{s<t} g_s g_s^\top`,
    }[losses]
    return [
      String.raw`x_t = \Pi(\hat x_t - ${step} M_t), \quad \hat x_{t+1} = \Pi(\hat x_t - ${step} g_t), \quad M_{t+1} = g_t`,
      size,
    ]
  },
  check({ ball, losses }, problem) {
    const issues = checkDomain('optimistic-omd', ball, problem)
    const n = spaceOf(problem).tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)
    if (losses === 'exp-concave' && n > MAX_METRIC)
      issues.push({ path: 'config.losses', message: `exp-concave takes up to ${MAX_METRIC} elements, got ${n}` })
    return issues
  },
  init({ config, problem }, flat) {
    const domain = domainOf(config.ball, problem, flat)
    const n = flat.dimension
    const start = spaceOf(problem).initial ? domain.project(flat.start()) : domain.center
    const rows = Math.ceil(Math.log2(config.horizon))
    const repeated = () => new Float64Array(rows * n).map((_, i) => start[i % n])
    const scale = 1 + (betaOf(config, domain.diameter) * config.gradientBound ** 2) / 2
    return {
      x: start.slice(),
      base: start,
      prediction: new Float64Array(n),
      t: 0,
      errors: 0,
      gradients: new Float64Array(n),
      paid: 0,
      metric: config.losses === 'exp-concave' ? decomposed(diagonal(n, scale), n) : null,
      learners:
        config.losses === 'dynamic' ? { bases: repeated(), plays: repeated(), paid: new Float64Array(rows) } : null,
    }
  },
  ask: (_, __, { x, t }) => ({ at: x, purpose: 'play', sampleKey: `round-${t + 1}` }),
  learn({ config, problem }, flat, state, g) {
    const domain = domainOf(config.ball, problem, flat)
    const D = domain.diameter
    const n = g.length
    state.paid += dot(g, state.x)
    accumulate(state.gradients, 1, g)
    const t = ++state.t
    const eta = stepSize(config, D, t, state.errors)
    state.errors += norm(plus(g, -1, state.prediction)) ** 2
    state.prediction = g
    if (config.losses === 'dynamic') {
      learnersStep(config, domain, state, g)
      state.x = mix(domain, state)
      return
    }
    state.base = descend(domain, state.metric, eta, state.base, g)
    if (state.metric) {
      const { H } = state.metric
      const weight = betaOf(config, D) / 2
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) H[i * n + j] += weight * g[i] * g[j]
      state.metric = decomposed(H, n)
    }
    state.x = descend(domain, state.metric, stepSize(config, D, t + 1, state.errors), state.base, g)
  },
  estimate({ config, problem }, { x, t, errors, gradients, paid }) {
    const flat = flatOf(problem)
    const domain = domainOf(config.ball, problem, flat)
    const step = config.losses === 'convex' || config.losses === 'strongly-convex'
    return {
      x,
      kind: 'iterate',
      step: t,
      metrics: {
        predictionErrors: errors,
        // Regret of the linear losses <g_t, .> against the best fixed point: at least that of the convex ones.
        regretBound: paid - domain.least(gradients),
        ...(step ? { learningRate: stepSize(config, domain.diameter, t + 1, errors) } : {}),
      },
    }
  },
})
