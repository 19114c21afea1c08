/**
 * Regularized Newton steps with a Hessian that is kept for several steps: N. Doikov, E. M. Chayti, M. Jaggi, "Second-order
 * optimization with lazy Hessians", ICML 2023 (arXiv:2212.00781).
 *
 * With H of the last refresh, at k - k mod m, and the gradient g of each step:
 * cubic: h = argmin <g, h> + <H*h, h>/2 + M*|h|^3/6 (algorithm 1). quadratic: h = -(H + sqrt(M*|g|)*I)^-1 g (algorithm 2).
 * Adaptive M: doubled until f(x + h) <= f(x) - M*|h|^3/24 (cubic) or f falls (quadratic), then halved.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { type Flat, norm, plus } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { cubicStep } from './cubic.js'
import {
  checkDimension,
  hessianField,
  isKnown,
  kindsOf,
  type Local,
  learnLocal,
  turnOf,
  unknown,
  type Wish,
} from './local.js'
import { isConvex, least, type Spectrum, spectrumOf, weighted } from './spectrum.js'

const config = z.strictObject({
  regularizer: field(
    z.enum(['cubic', 'quadratic']).default('cubic'),
    'cubic: for any objective. quadratic: for convex ones, by the norm of the gradient.',
    { source: 'Doikov et al. 2023, algorithms 1 and 2' },
  ),
  refresh: field(z.int().min(1).optional(), 'Steps from one Hessian to the next, m; as many as there are parameters.', {
    source: 'Doikov et al. 2023, section 3',
  }),
  M: real(
    'Regularization constant; of the order of m times the Lipschitz constant of the Hessian. The first, if adaptive.',
    {
      default: 1,
      above: 0,
      source: 'Doikov et al. 2023, section 5',
      log: true,
    },
  ),
  adaptive: field(z.boolean().default(false), 'Whether M follows the values of the objective, which are asked then.', {
    source: 'Doikov et al. 2023, section 5',
  }),
  leastM: real('What an adaptive M does not fall below.', { default: 1e-8, above: 0, source: 'ours', log: true }),
  tolerance: real('Norm of the gradient at which the session is done.', {
    default: 0,
    min: 0,
    source: 'ours',
    log: true,
  }),
  hessian: hessianField(),
})
type Config = z.infer<typeof config>

type State = {
  local: Local
  /** Of the Hessian in use; it was taken at step `refreshed`. */
  spectrum: Spectrum | null
  refreshed: number
  /** x + h under trial, with M adaptive. */
  trial: Local | null
  M: number
  rng: RngState
  gradients: number
  hessians: number
  t: number
  stopped: string | null
}

/** Rounding of a value that has not fallen. */
const ROUNDING = 4 * Number.EPSILON

/** -(H + sqrt(M*|g|)*I)^-1 g */
export function quadraticStep(spectrum: Spectrum, g: Float64Array, M: number): Float64Array {
  const damping = Math.sqrt(M * norm(g))
  return weighted(spectrum, (value) => -1 / (Math.max(value, 0) + damping), g)
}

const due = ({ refresh }: Config, { local, refreshed, t }: State) =>
  refreshed !== t && t % (refresh ?? local.at.length) === 0

const wishOf = ({ config }: Run<Config>, own: State): Wish => ({
  value: config.adaptive,
  gradient: true,
  hessian: !own.trial && due(config, own) && config.hessian,
})

function direction({ regularizer }: Config, own: State): Float64Array {
  const g = own.local.gradient!
  return regularizer === 'cubic'
    ? cubicStep(own.spectrum!, g, own.M, 0, new Rng(own.rng))
    : quadraticStep(own.spectrum!, g, own.M)
}

/** Everything is known at x: takes a step, or a trial of one. */
function step({ config }: Run<Config>, own: State): void {
  const { local } = own
  if (local.hessian) {
    own.spectrum = spectrumOf(local.hessian, local.at.length)
    own.refreshed = own.t
    own.hessians++
    local.hessian = null
  }
  if (config.regularizer === 'quadratic' && !isConvex(own.spectrum!)) {
    own.stopped = `the Hessian at step ${own.t} has the eigenvalue ${least(own.spectrum!)}: regularizer "quadratic" is for convex objectives, "cubic" for others`
    return
  }
  const length = norm(local.gradient!)
  if (length < config.tolerance) {
    own.stopped = `the norm of the gradient is ${length}`
    return
  }
  // Where the gradient is zero and no curvature negative, there is no direction.
  if (length === 0 && !(config.regularizer === 'cubic' && least(own.spectrum!) < 0)) {
    own.stopped = 'the gradient is zero'
    return
  }
  const next = plus(local.at, 1, direction(config, own))
  if (!next.every(Number.isFinite)) {
    own.stopped = `step ${own.t + 1} leads beyond all numbers`
    return
  }
  if (config.adaptive) own.trial = unknown(next)
  else move(own, unknown(next))
}

function move(own: State, to: Local): void {
  own.local = to
  own.trial = null
  own.t++
}

/** The trial is known: it is taken with a smaller M, or tried again with a larger one. */
function judge(run: Run<Config>, own: State, trial: Local): void {
  const before = own.local.value!
  const length = norm(plus(trial.at, -1, own.local.at))
  const wanted = run.config.regularizer === 'cubic' ? (own.M * length ** 3) / 24 : 0
  if (trial.value! <= before - wanted + ROUNDING * Math.abs(before)) {
    own.M = Math.max(own.M / 2, run.config.leastM)
    return move(own, trial)
  }
  own.M *= 2
  step(run, own)
}

function learn(run: Run<Config>, flat: Flat, own: State, told: Observation): void {
  const { trial } = own
  learnLocal(trial ?? own.local, run.problem, flat, told)
  if (told.gradients) own.gradients++
  if (trial) judge(run, own, trial)
  if (!own.trial && !own.stopped && isKnown(own.local, wishOf(run, own))) step(run, own)
}

export const method = turnsMethod<Config, State>({
  id: 'lazy-newton',
  family: 'gradient',
  title: 'Newton with lazy Hessians',
  summary:
    'Cubic or gradient-regularized Newton steps, many on one Hessian: the cost of second order falls, its rate hardly.',
  references: [
    {
      authors: 'N. Doikov, E. M. Chayti, M. Jaggi',
      title: 'Second-order optimization with lazy Hessians',
      year: 2022,
      url: 'https://arxiv.org/abs/2212.00781',
    },
  ],
  config,
  recipes: [
    { problem: 'rosenbrock', config: { adaptive: true, refresh: 2 }, maxEvaluations: 300, target: 1e-10 },
    { problem: 'quadratic', config: { M: 1e-2, hessian: 'products' }, maxEvaluations: 60, target: 1e-6 },
    {
      problem: 'separable',
      config: { regularizer: 'quadratic', adaptive: true },
      maxEvaluations: 60,
      target: 0.6,
    },
  ],
  equations: ({ regularizer }) => [
    String.raw`H = \nabla^2 f(x_{k - k \bmod m})`,
    regularizer === 'cubic'
      ? String.raw`h = \arg\min_h \langle g_k, h\rangle + \tfrac12\langle H h, h\rangle + \tfrac{M}{6}\lVert h\rVert^3`
      : String.raw`h = -\left(H + \sqrt{M\lVert g_k\rVert}\, I\right)^{-1} g_k`,
    'x_{k+1} = x_k + h',
  ],
  needs: ({ adaptive, hessian }) => kindsOf({ value: adaptive, gradient: true, hessian }),
  check: (_, problem) => [...checkUnbounded('lazy-newton', problem), ...checkDimension('lazy-newton', problem)],
  init: ({ config }, flat, seed) => ({
    local: unknown(flat.start()),
    spectrum: null,
    refreshed: -1,
    trial: null,
    M: config.M,
    rng: rngStream(seed, 'ties'),
    gradients: 0,
    hessians: 0,
    t: 0,
    stopped: null,
  }),
  ask(run, _, own) {
    const turn = turnOf(own.trial ?? own.local, wishOf(run, own), own.trial ? 'trial' : 'step')
    return { ...turn, sampleKey: `s${own.t}` }
  },
  learn,
  finished: (_, { stopped }) => stopped ?? undefined,
  estimate: (_, { local, refreshed, M, gradients, hessians, t }) => ({
    x: local.at,
    kind: 'iterate',
    step: t,
    metrics: {
      M,
      refreshed: Number(t > 0 && refreshed === t - 1),
      gradients,
      hessians,
      // In gradients: a Hessian costs as many as there are parameters.
      cost: gradients + local.at.length * hessians,
    },
  }),
})
