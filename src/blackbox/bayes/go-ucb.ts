/**
 * GO-UCB: optimistic global optimization with a parametric model.
 * C. Liu, Y.-X. Wang, "Global Optimization with Parametric Function Approximation", ICML 2023, arXiv 2211.09100.
 *
 * Phase I fits w0 to space-filling trials. Phase II keeps w in an ellipsoid around a ridge estimate that is linearized at w0,
 * and asks where the best value of any model in it is best.
 */
import { z } from 'zod'
import type { Estimate } from '../../core/method.js'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, Problem } from '../../core/space.js'
import { signOf } from '../space/progress.js'
import type { Trial } from './beliefs.js'
import { ascend, closedForm, type Ellipsoid, ellipsoidOf, widthIn } from './ellipsoid.js'
import { type Family, generalizedLinear, LINKS, network } from './families.js'
import { lbfgs, minimizeTogether } from './lbfgs.js'
import { roundedBy } from './search.js'
import { bestTrial, type Scene, sequentialMethod, trialEstimate } from './sequential.js'

const config = z.strictObject({
  model: field(
    z.enum(['network', 'generalized-linear']).default('network'),
    'network: one hidden layer of tanh. generalized-linear: a link function of a linear one, with constant.',
    { source: 'paper, section 5' },
  ),
  hidden: field(z.int().min(1).max(64).default(8), 'Hidden units of the network.', { source: 'ours' }),
  link: field(z.enum(LINKS).default('identity'), 'Link of the generalized linear model.', { source: 'ours' }),
  horizon: field(z.int().min(1).default(100), 'Trials T in all; lays out phase I.', { source: 'ours' }),
  nInitial: field(z.int().min(2).optional(), 'Trials of phase I; 4 sqrt(T) when absent.', {
    source: 'paper, theorem 2, for the rate',
  }),
  lambda: field(z.number().positive().default(0.01), 'Regularization of the ellipsoid.', { source: 'paper' }),
  noise: field(
    z.number().positive().optional(),
    'Standard deviation of the noise; that of the residuals of phase I when absent.',
    { source: 'paper' },
  ),
  betaScale: field(z.number().min(0).default(1), 'beta in units of the variance of the noise.', {
    source: 'paper',
    mutable: true,
  }),
  nStarts: field(z.int().min(1).max(128).default(10), 'Fits of phase I, and ascents per point.', {
    source: 'paper',
    advanced: true,
  }),
  nCandidates: field(z.int().min(16).max(65536).default(512), 'Points that ascents start from the best of.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>
type State = {
  /** The fit of phase I: parameters, the number of trials then, and units of the values. */
  fit: { w: Float64Array; trials: number; center: number; scale: number; variance: number } | null
  bound: number
  predicted: number
  logDeterminant: number
}
type GoScene = Scene<Config, State>
type Fit = NonNullable<State['fit']>

const FIT_EVALUATIONS = 300
const ASCENT = { steps: 100, rate: 0.1 }
/** Ridge of the regression of phase I, per trial: keeps the weights of a network bounded. */
const RIDGE = 1e-4
const LEAST_VARIANCE = 1e-2

const familyOf = ({ model, hidden, link }: Config, d: number): Family =>
  model === 'network' ? network(d, hidden) : generalizedLinear(d, link)

/** Least squares with a little ridge, the best of several starts. */
export function regress(
  family: Family,
  points: readonly Float64Array[],
  values: ArrayLike<number>,
  starts: number,
  rng: Rng,
) {
  const n = points.length
  const evaluate = (w: Float64Array) => {
    let value = 0
    const gradient = w.map((x) => {
      value += RIDGE * x * x
      return 2 * RIDGE * x
    })
    points.forEach((u, i) => {
      const residual = family.value(w, u) - values[i]
      value += residual ** 2 / n
      const g = family.inParameters(w, u)
      for (let k = 0; k < w.length; k++) gradient[k] += (2 * residual * g[k]) / n
    })
    return { value, gradient }
  }
  const bound = new Float64Array(family.size).fill(Number.POSITIVE_INFINITY)
  const options = { maxEvaluations: FIT_EVALUATIONS, tolerance: 1e-6, progress: 1e-9, firstStep: 1 }
  const minima = minimizeTogether(
    Array.from({ length: starts }, () =>
      lbfgs(
        family.draw(rng),
        bound.map((v) => -v),
        bound,
        options,
      ),
    ),
    (ws) => ws.map(evaluate),
  )
  const w = minima.reduce((best, m) => (m.value < best.value ? m : best)).x
  const variance = points.reduce((sum, u, i) => sum + (family.value(w, u) - values[i]) ** 2, 0) / n
  return { w, variance }
}

/** Values in told units; those of a maximization have their sign back. */
const told = (problem: Problem, trials: readonly Trial[]): number[] =>
  trials.map(({ value }) => signOf(problem) * value)

function fitOf({ run, own, trials, rng }: GoScene, family: Family): Fit {
  if (own.fit) return own.fit
  const feasible = trials.filter(({ value }) => !Number.isNaN(value))
  const raw = told(run.problem, feasible)
  const mean = raw.reduce((sum, v) => sum + v, 0) / Math.max(1, raw.length)
  const deviation = Math.sqrt(raw.reduce((sum, v) => sum + (v - mean) ** 2, 0) / Math.max(1, raw.length))
  // A link has a range of its own, and sees the values as they are.
  const scaled = run.config.model === 'network' && deviation > 0
  const [center, scale] = scaled ? [mean, deviation] : [0, 1]
  const points = feasible.map(({ u }) => u)
  const values = raw.map((v) => (v - center) / scale)
  const { w, variance } = regress(family, points, values, run.config.nStarts, rng)
  own.fit = { w, variance: Math.max(variance, LEAST_VARIANCE), trials: trials.length, center, scale }
  return own.fit
}

function ellipsoidIn({ run, trials }: GoScene, family: Family, fit: Fit): Ellipsoid {
  const later = trials.slice(fit.trials).filter(({ value }) => !Number.isNaN(value))
  return ellipsoidOf(
    fit.w,
    run.config.lambda,
    later.map(({ u }) => family.inParameters(fit.w, u)),
    later.map(({ u }) => family.value(fit.w, u)),
    told(run.problem, later).map((v) => (v - fit.center) / fit.scale),
  )
}

function suggest(scene: GoScene, count: number): Params[] {
  const { run, own, encoding, rng, allowed } = scene
  const { config, problem } = run
  const family = familyOf(config, encoding.dimension)
  const fit = fitOf(scene, family)
  const ellipsoid = ellipsoidIn(scene, family, fit)
  const variance = config.noise === undefined ? fit.variance : (config.noise / fit.scale) ** 2
  const beta = config.betaScale * variance
  const sign = signOf(problem) === 1 ? -1 : 1
  const optimism = (u: Float64Array) =>
    family.linear
      ? sign * closedForm(family.linear, ellipsoid, beta, sign, u)
      : // To first order at the center: what the ascents start from.
        sign * family.value(ellipsoid.center, u) +
        Math.sqrt(beta) * widthIn(ellipsoid, family.inParameters(ellipsoid.center, u))
  const rounded = roundedBy(encoding)
  const candidates = Array.from({ length: config.nCandidates }, () =>
    rounded(Float64Array.from({ length: encoding.dimension }, () => rng.uniform())),
  )
  const heights = candidates.map(optimism)
  const order = [...candidates.keys()].sort((a, b) => heights[b] - heights[a] || a - b)
  const ends = order.slice(0, config.nStarts).map((i) => {
    const { u } = ascend(family, ellipsoid, beta, sign, candidates[i], true, ASCENT)
    const point = rounded(u)
    return { point, value: ascend(family, ellipsoid, beta, sign, point, false, ASCENT).value }
  })
  ends.sort((a, b) => b.value - a.value)
  own.bound = fit.center + fit.scale * sign * ends[0].value
  own.predicted = fit.center + fit.scale * family.value(ellipsoid.center, ends[0].point)
  own.logDeterminant = ellipsoid.center.reduce(
    (sum, _, i) => sum + 2 * Math.log(ellipsoid.factor[i * (ellipsoid.center.length + 1)]),
    0,
  )
  const found: Params[] = []
  const taken: Float64Array[] = []
  for (const point of [...ends.map((end) => end.point), ...order.map((i) => candidates[i])]) {
    if (found.length === count) break
    const params = encoding.decode(point)
    const { u } = encoding.encode(params)
    if (!allowed(u) || taken.some((other) => other.every((v, i) => Math.abs(v - u[i]) < 1e-3))) continue
    taken.push(u)
    found.push(params)
  }
  return found
}

/** The best trial; the optimistic value of the last point, the prediction there, and how far the ellipsoid has shrunk. */
function recommend({ run, own, trials }: GoScene): Estimate {
  const best = trialEstimate(run.problem, trials, bestTrial(trials))
  if (!own.fit) return best
  const { bound, predicted, logDeterminant, fit } = own
  const radius = fit.scale * Math.sqrt(run.config.betaScale * fit.variance)
  return { ...best, metrics: { bound, predicted, logDeterminant, radius } }
}

export const method = sequentialMethod<Config, State>({
  id: 'go-ucb',
  title: 'GO-UCB',
  summary:
    'A parametric model in place of a Gaussian process, for many parameters: fits a network or a generalized linear model, then asks where some model in a confidence ellipsoid is best.',
  references: [
    {
      authors: 'C. Liu, Y.-X. Wang',
      title: 'Global Optimization with Parametric Function Approximation',
      year: 2022,
      url: 'https://arxiv.org/abs/2211.09100',
    },
  ],
  config,
  facts: { parameters: ['float', 'int', 'ordinal'] },
  recipes: [{ problem: 'sphere-5d', config: { nInitial: 40 }, maxEvaluations: 80, target: 6 }],
  equations: () => [
    String.raw`S = \lambda I + \sum_i g_i g_i^\top, \quad g_i = \nabla_w f_{w_0}(x_i)`,
    String.raw`\hat w_t = S^{-1} \left(\sum_i g_i (g_i^\top w_0 + y_i - f_{w_0}(x_i)) + \lambda w_0\right)`,
    String.raw`x_t = \arg\max_x \max_{w \in B_t} f_w(x), \quad B_t = \{w : (w - \hat w_t)^\top S (w - \hat w_t) \le \beta\}`,
  ],
  nInitial: ({ nInitial, horizon }) => nInitial ?? Math.ceil(4 * Math.sqrt(horizon)),
  init: () => ({ fit: null, bound: 0, predicted: 0, logDeterminant: 0 }),
  suggest,
  recommend,
})
