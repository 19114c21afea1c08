/**
 * J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel, "Trust Region Policy Optimization", ICML 2015 (arXiv:1502.05477).
 *
 * A step maximizes the surrogate L(theta) = mean of pi(a|s)/pi_old(a|s)*A within a mean divergence KL(pi_old || pi) <= max_kl:
 * conjugate gradients solve F*x = g, with the Fisher products F*v = grad(grad(KL).v) + damping*v, and the step is
 * 0.5^j*sqrt(2*max_kl/(x'F*x))*x for the first j at which L grows and the divergence keeps to max_kl (appendix C).
 *
 * The session sees no environment. All queries of a step carry one sample key: that of the trajectories which the policy at
 * the first point of the query made.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, Quantity } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, type Flat, plus } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { advanceSolve, beginSolve, type ConjugateGradients } from './conjugate-gradients.js'
import { signOf } from './curvature.js'

const config = z.strictObject({
  maxKl: real('Most mean divergence of the new policy from the old one.', {
    default: 0.01,
    above: 0,
    source: 'Schulman et al. 2015, table 1',
    mutable: true,
    log: true,
  }),
  cgIterations: field(z.int().min(1).default(10), 'Most products with the Fisher matrix per step.', {
    source: 'Schulman et al. 2015, appendix C',
  }),
  cgTolerance: real('Residual, relative to the gradient, at which the direction is good.', {
    default: 1e-10,
    min: 0,
    source: 'ours',
    log: true,
  }),
  damping: real('Added to the diagonal of the Fisher matrix; next to 0 where it is exact.', {
    default: 0.1,
    min: 0,
    source: 'OpenAI Baselines, trpo_mpi',
    mutable: true,
    log: true,
  }),
  backtrack: field(z.int().min(0).default(10), 'Most halvings of the step; then the policy stays.', {
    source: 'Schulman et al. 2015, appendix C',
  }),
})
type Config = z.infer<typeof config>

type State = {
  theta: Float64Array
  /** Of the negative surrogate; null until told. */
  gradient: Float64Array | null
  solve: ConjugateGradients | null
  /** The full step, once the direction is known. */
  full: Float64Array | null
  halvings: number
  /** Of the last step: its share of the full one (0 where none was taken), what it promised and gave, and its divergence. */
  accepted: number
  predicted: number
  actual: number
  kl: number
  products: number
  t: number
}

const KL: Quantity = {
  name: 'kl',
  shape: [],
  description: 'mean over the visited states of KL(policy of the first point || policy of this point)',
}

const trialOf = ({ theta, full, halvings }: State) => plus(theta, 0.5 ** halvings, full!)

/** The direction is as good as it gets; it is scaled to the edge of the region. */
function aim({ maxKl }: Config, own: State): void {
  const { x, residual, iterations } = own.solve!
  const g = own.gradient!
  // F*x = -g - residual
  const curvature = -dot(x, plus(g, 1, residual))
  own.products = iterations
  own.solve = null
  const full = x.map((value) => Math.sqrt((2 * maxKl) / curvature) * value)
  // No curvature, no step; the next batch may have some.
  if (!(curvature > 0) || !full.every(Number.isFinite)) {
    own.accepted = 0
    return next(own, own.theta)
  }
  own.full = full
  own.halvings = 0
}

function next(own: State, theta: Float64Array): void {
  Object.assign(own, { theta, gradient: null, solve: null, full: null, t: own.t + 1 })
}

function judge({ maxKl, backtrack }: Config, own: State, actual: number, kl: number): void {
  const share = 0.5 ** own.halvings
  const taken = actual > 0 && kl <= maxKl
  if (!taken && own.halvings < backtrack) {
    own.halvings++
    return
  }
  own.accepted = taken ? share : 0
  own.predicted = -share * dot(own.gradient!, own.full!)
  own.actual = actual
  own.kl = kl
  next(own, taken ? trialOf(own) : own.theta)
}

function learn({ config, problem }: Run<Config>, flat: Flat, own: State, told: Observation): void {
  const sign = signOf(problem)
  if (own.full) {
    const [[before], [after]] = told.values!
    return judge(config, own, sign * (before - after), told.quantities![1].kl[0])
  }
  if (own.solve) {
    const product = plus(flat.vector(told.products![0]), config.damping, own.solve.direction)
    const { cgTolerance: tolerance, cgIterations: limit } = config
    if (advanceSolve(own.solve, product, { tolerance, limit }) !== 'more') aim(config, own)
    return
  }
  own.gradient = flat.vector(told.gradients![0]).map((value) => sign * value)
  own.solve = beginSolve(own.gradient.map((value) => -value))
  if (own.solve.right === 0) {
    own.accepted = 0
    next(own, own.theta)
  }
}

function ask(own: State): Turn {
  const sampleKey = `t${own.t}`
  if (own.full)
    return {
      points: [own.theta, trialOf(own)],
      wants: [{ kind: 'value' }, { kind: 'quantities', quantities: [KL] }],
      purpose: 'line-search',
      sampleKey,
    }
  if (own.solve)
    return {
      points: [own.theta, own.solve.direction],
      wants: [{ kind: 'hvp', curvature: 'fisher' }],
      purpose: 'curvature',
      sampleKey,
    }
  return { points: [own.theta], wants: [{ kind: 'gradient' }], purpose: 'step', sampleKey }
}

export const method = turnsMethod<Config, State>({
  id: 'trpo',
  family: 'gradient',
  title: 'Trust region policy optimization',
  summary: 'Natural policy steps within a divergence from the policy that made the trajectories, checked on these.',
  references: [
    {
      authors: 'J. Schulman, S. Levine, P. Moritz, M. Jordan, P. Abbeel',
      title: 'Trust Region Policy Optimization',
      year: 2015,
      url: 'https://arxiv.org/abs/1502.05477',
    },
  ],
  config,
  recipes: [{ problem: 'bandit', config: { damping: 1e-6 }, maxEvaluations: 600, target: 0.95 }],
  equations: () => [
    String.raw`F x = g,\quad F v = \nabla(\nabla \overline{\mathrm{KL}} \cdot v) + \lambda v`,
    String.raw`\theta' = \theta + 2^{-j} \sqrt{\frac{2 \delta}{x^\top F x}}\, x`,
    String.raw`\text{the first } j: L(\theta') > L(\theta),\quad \overline{\mathrm{KL}}(\pi_\theta \,\Vert\, \pi_{\theta'}) \le \delta`,
  ],
  needs: () => ['gradient', 'hvp', 'value', 'quantities'],
  check: (_, problem) => checkUnbounded('trpo', problem),
  init: (_, flat) => ({
    theta: flat.start(),
    gradient: null,
    solve: null,
    full: null,
    halvings: 0,
    accepted: 0,
    predicted: 0,
    actual: 0,
    kl: 0,
    products: 0,
    t: 0,
  }),
  ask: (_, __, own) => ask(own),
  learn,
  estimate: (_, { theta, accepted, predicted, actual, kl, products, t }) => ({
    x: theta,
    kind: 'iterate',
    step: t,
    metrics: { accepted, predicted, actual, kl, products },
  }),
})
