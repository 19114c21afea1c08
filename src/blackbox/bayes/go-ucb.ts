/**
 * GO-UCB: optimistic global optimization with a parametric model.
 * C. Liu, Y.-X. Wang, "Global Optimization with Parametric Function Approximation", ICML 2023, arXiv 2211.09100.
 *
 * Phase I fits w0 to space-filling trials. Phase II keeps w in an ellipsoid around a ridge estimate that is linearized at w0,
 * and asks where the best value of any model in it is best.
 */
import { z } from 'zod'
import type { Estimate } from '../../core/method.js'
import { field } from '../../core/schema.js'
import type { Params, Problem } from '../../core/space.js'
import { signOf } from '../space/progress.js'
import type { Trial } from './beliefs.js'
import { ascend, closedForm, type Ellipsoid, ellipsoidOf, logDeterminantOf, widthIn } from './ellipsoid.js'
import { type Family, generalizedLinear, LINKS, network } from './families.js'
import { regress } from './regression.js'
import { roundedBy } from './search.js'
import { type Scene, type Suggestion, sequentialMethod } from './sequential.js'
import { fitPoints, hear, screenPoints, startTold, type ToldModel, toldHeights, toldWant } from './told-model.js'
import { bestTrial, trialEstimate } from './trials.js'

const config = z.strictObject({
  model: field(
    z.enum(['network', 'generalized-linear', 'told']).default('network'),
    "network: one hidden layer of tanh. generalized-linear: a link function of a linear one, with constant. told: the client's own, whose values and gradients are asked.",
    { source: 'paper' },
  ),
  hidden: field(z.int().min(1).max(64).default(8), 'Hidden units of the network.', { source: 'ours' }),
  link: field(z.enum(LINKS).default('identity'), 'Link of the generalized linear model.', { source: 'ours' }),
  initial: field(
    z.array(z.number()).min(1).optional(),
    "Where the fit of the client's own model starts; as long as it has parameters.",
    { source: 'ours' },
  ),
  horizon: field(z.int().min(1).default(100), 'Trials T in all; lays out phase I.', { source: 'ours' }),
  nInitial: field(z.int().min(2).optional(), 'Trials of phase I; 4 sqrt(T) when absent.', {
    source: 'paper',
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
  refitGrowth: field(
    z.number().gt(1).optional(),
    'Phase I again, with all trials, when these have grown by this factor: for functions outside of the family.',
    { source: 'ours' },
  ),
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
  told: ToldModel | null
}
type GoScene = Scene<Config, State>
type Fit = NonNullable<State['fit']>

const ASCENT = { steps: 100, rate: 0.1 }
const LEAST_VARIANCE = 1e-2
const LEAST_TOLD = 1e-12

const familyOf = ({ model, hidden, link }: Config, d: number): Family =>
  model === 'network' ? network(d, hidden) : generalizedLinear(d, link)

/** Values in told units; those of a maximization have their sign back. */
const told = (problem: Problem, trials: readonly Trial[]): number[] =>
  trials.map(({ value }) => signOf(problem) * value)

function fitOf({ run, own, trials, rng }: GoScene, family: Family): Fit {
  const { refitGrowth } = run.config
  if (own.fit && !(refitGrowth && trials.length >= own.fit.trials * refitGrowth)) return own.fit
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

/** The first points that may be asked and are apart. */
function choose({ encoding, allowed }: GoScene, points: readonly Float64Array[], count: number): Params[] {
  const found: Params[] = []
  const taken: Float64Array[] = []
  for (const point of points) {
    if (found.length === count) break
    const params = encoding.decode(point)
    const { u } = encoding.encode(params)
    if (!allowed(u) || taken.some((other) => other.every((v, i) => Math.abs(v - u[i]) < 1e-3))) continue
    taken.push(u)
    found.push(params)
  }
  return found
}

/** The model of the client: fitted by its answers, then screened at w0, to first order in w. */
function suggestTold(scene: GoScene, count: number): Suggestion {
  const { run, own, trials, encoding, rng } = scene
  const { config, problem } = run
  own.told ??= startTold(Float64Array.from(config.initial ?? []), trials.length)
  const model = own.told
  const wants = [toldWant(model.w.length)]
  if (!model.fitted) return { ask: { points: fitPoints(model, trials, encoding), wants, purpose: 'fit' } }
  if (!model.offers) {
    const draw = () => Float64Array.from({ length: encoding.dimension }, () => rng.uniform())
    const rounded = roundedBy(encoding)
    model.candidates = Array.from({ length: config.nCandidates }, () => rounded(draw()))
    return { ask: { points: screenPoints(model, trials, encoding), wants, purpose: 'screening' } }
  }
  const sign = signOf(problem) === 1 ? -1 : 1
  const variance = config.noise === undefined ? Math.max(model.variance, LEAST_TOLD) : config.noise ** 2
  const { ellipsoid, heights, predictions } = toldHeights(
    model,
    trials,
    problem,
    config.lambda,
    config.betaScale * variance,
    sign,
  )
  const order = [...heights.keys()].sort((a, b) => heights[b] - heights[a] || a - b)
  own.bound = sign * heights[order[0]]
  own.predicted = predictions[order[0]]
  own.logDeterminant = logDeterminantOf(ellipsoid)
  const points = order.map((i) => model.candidates[i])
  model.offers = null
  return choose(scene, points, count)
}

function suggest(scene: GoScene, count: number): Suggestion {
  const { run, own, encoding, rng } = scene
  const { config, problem } = run
  if (config.model === 'told') return suggestTold(scene, count)
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
  own.logDeterminant = logDeterminantOf(ellipsoid)
  return choose(scene, [...ends.map((end) => end.point), ...order.map((i) => candidates[i])], count)
}

/** The best trial; the optimistic value of the last point, the prediction there, and how far the ellipsoid has shrunk. */
function recommend({ run, own, trials }: GoScene): Estimate {
  const best = trialEstimate(run.problem, trials, bestTrial(trials))
  const { bound, predicted, logDeterminant, fit, told: model } = own
  const deviation = fit ? fit.scale * Math.sqrt(fit.variance) : Math.sqrt(model?.variance ?? 0)
  if (!fit && !model?.fitted) return best
  const radius = deviation * Math.sqrt(run.config.betaScale)
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
  facts: { parameters: ['float', 'int', 'ordinal', 'constrained'] },
  recipes: [
    {
      problem: 'sphere-5d',
      config: { nInitial: 20, refitGrowth: 1.2, nStarts: 4, nCandidates: 128 },
      maxEvaluations: 80,
      target: 5.5,
    },
  ],
  equations: () => [
    String.raw`S = \lambda I + \sum_i g_i g_i^\top, \quad g_i = \nabla_w f_{w_0}(x_i)`,
    String.raw`\hat w_t = S^{-1} \left(\sum_i g_i (g_i^\top w_0 + y_i - f_{w_0}(x_i)) + \lambda w_0\right)`,
    String.raw`x_t = \arg\max_x \max_{w \in B_t} f_w(x), \quad B_t = \{w : (w - \hat w_t)^\top S (w - \hat w_t) \le \beta\}`,
  ],
  nInitial: ({ nInitial, horizon }) => nInitial ?? Math.ceil(4 * Math.sqrt(horizon)),
  init: () => ({ fit: null, bound: 0, predicted: 0, logDeterminant: 0, told: null }),
  asks: ({ model }) => (model === 'told' ? [toldWant(-1)] : []),
  answered: ({ own, trials, run }, observation) => {
    if (own.told) hear(own.told, trials, run.problem, observation)
  },
  check: ({ model, initial }) =>
    model === 'told' && !initial
      ? [{ path: 'config.initial', message: 'is missing: a model that is told needs a start' }]
      : [],
  suggest,
  recommend,
})
