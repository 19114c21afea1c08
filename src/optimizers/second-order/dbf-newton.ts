/**
 * The stochastic Newton method on filtered gradients and Hessians: M. C. Burkhart, "Discriminative Bayesian filtering lends
 * momentum to the stochastic Newton method for minimizing log-convex functions", Optimization Letters 2022 (arXiv:2104.12949).
 *
 * The gradient is a latent state with the mean alpha times the last and the noise beta*I, so that S = beta/(1 - alpha^2)*I is
 * stationary. A batch observes it with the mean g and the covariance Q = H. Discriminative Kalman filter (equation 2.7):
 * P = alpha^2*Sig + beta*I; Sig = (P^-1 + Q^-1 - S^-1)^-1; mu = Sig*(P^-1*alpha*mu + Q^-1*g),
 * with Q = (H^-1 + S^-1)^-1 where H^-1 - S^-1 is not positive definite. The direction is -(Sig + 1e-12*I)^-1 mu.
 * Behind the first step it has the weight M = alpha*(alpha^2*Sig + beta*I)^-1*Sig of the direction before: a matrix of momenta.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, type Flat, norm, plus } from '../flat.js'
import { real } from '../parts.js'
import { inverse, solve, times } from '../preconditioners/dense.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { signOf, symmetric } from './curvature.js'
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
import { matrixOf, radius, spectrumOf } from './spectrum.js'

const config = z.strictObject({
  variant: field(
    z.enum(['filtered', 'stochastic-newton']).default('filtered'),
    'stochastic-newton: the baseline, which takes gradient and Hessian of each batch as they are.',
    { source: 'Burkhart 2022, section 5' },
  ),
  alpha: real('How much of the gradient is left a step later.', {
    default: 0.9,
    above: 0,
    below: 1,
    source: 'Burkhart 2022, section 5',
  }),
  beta: real('Variance of what a step adds to the gradient.', {
    default: 0.2,
    above: 0,
    source: 'Burkhart 2022, section 5',
    log: true,
  }),
  lineSearch: field(
    z.boolean().default(true),
    'Whether the step length is the first of 1, 1/2, ... 1/16 by which the loss of the batch falls as its slope says; asks values.',
    { source: 'Burkhart 2022, section 5' },
  ),
  learningRate: real('Step length without a line search.', { default: 1, above: 0, source: 'ours', mutable: true }),
  hessian: hessianField(),
})
type Config = z.infer<typeof config>

/** Mean and covariance of the latent gradient. */
export type Belief = { mean: Float64Array; covariance: Float64Array }

type State = {
  local: Local
  belief: Belief | null
  direction: Float64Array | null
  stepLength: number
  t: number
  stopped: string | null
}

const LENGTHS = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]
/** Share of the decrease along the slope that a step length must reach. */
const DECREASE = 0.95
const DAMPING = 1e-12
/** Least eigenvalue of H^-1 - S^-1 that counts as positive. */
const POSITIVE = 1e-6
/** Share of the largest eigenvalue to which smaller ones of a batch's Hessian are raised: they have no inverse. */
const FLOOR = 1e-12

/** The belief behind an observation of the gradient g and the Hessian H of a batch. */
export function observe(
  before: Belief | null,
  g: Float64Array,
  H: Float64Array,
  { alpha, beta }: { alpha: number; beta: number },
): Belief {
  if (!before) return { mean: g, covariance: H }
  const n = g.length
  const diagonally = (m: Float64Array, scale: number, added: number) =>
    m.map((value, at) => scale * value + (at % (n + 1) === 0 ? added : 0))
  const stationary = (1 - alpha ** 2) / beta
  const spectrum = spectrumOf(H, n)
  const floor = Math.max(FLOOR * radius(spectrum), Number.MIN_VALUE)
  const inverted = (value: number) => 1 / Math.max(value, floor)
  const definite = spectrum.values.every((value) => inverted(value) - stationary > POSITIVE)
  const information = matrixOf(spectrum, (value) => inverted(value) + (definite ? 0 : stationary))

  const predicted = inverse(diagonally(before.covariance, alpha ** 2, beta), n)
  const sum = diagonally(
    predicted.map((value, at) => value + information[at]),
    1,
    -stationary,
  )
  const right = plus(times(information, g), alpha, times(predicted, before.mean))
  return { mean: solve(sum, right, n), covariance: symmetric(inverse(sum, n), n) }
}

/** -(Sig + 1e-12*I)^-1 mu */
export function directionOf({ mean, covariance }: Belief): Float64Array {
  const n = mean.length
  const damped = covariance.map((value, at) => value + (at % (n + 1) === 0 ? DAMPING : 0))
  return solve(damped, mean, n).map((value) => -value)
}

/** M, row-major: alpha*(alpha^2*Sig + beta*I)^-1*Sig */
export const momentumOf = ({ mean, covariance }: Belief, { alpha, beta }: { alpha: number; beta: number }) =>
  matrixOf(spectrumOf(covariance, mean.length), (value) => (alpha * value) / (alpha ** 2 * value + beta))

const wishOf = ({ lineSearch, hessian }: Config): Wish => ({ value: lineSearch, gradient: true, hessian })

function aim(config: Config, own: State): void {
  const { gradient, hessian } = own.local
  const before = config.variant === 'filtered' ? own.belief : null
  own.belief = observe(before, gradient!, hessian!, config)
  const direction = directionOf(own.belief)
  if (!direction.every(Number.isFinite)) own.stopped = `the filtered Hessian of step ${own.t + 1} is singular`
  else if (config.lineSearch) own.direction = direction
  else move(own, direction, config.learningRate)
}

function move(own: State, direction: Float64Array, length: number): void {
  const x = plus(own.local.at, length, direction)
  if (!x.every(Number.isFinite)) {
    own.stopped = `step ${own.t + 1} leads beyond all numbers`
    return
  }
  own.stepLength = length
  own.local = unknown(x)
  own.direction = null
  own.t++
}

/** The losses of the batch at all step lengths are told. */
function search(own: State, values: readonly number[]): void {
  const { value, gradient } = own.local
  const slope = dot(own.direction!, gradient!)
  const found = LENGTHS.findIndex((length, i) => values[i] - value! <= DECREASE * length * slope)
  move(own, own.direction!, LENGTHS[found < 0 ? LENGTHS.length - 1 : found])
}

function learn({ config, problem }: Run<Config>, flat: Flat, own: State, told: Observation): void {
  if (own.direction) {
    const sign = signOf(problem)
    return search(
      own,
      told.values!.map(([value]) => sign * value),
    )
  }
  learnLocal(own.local, problem, flat, told)
  if (isKnown(own.local, wishOf(config))) aim(config, own)
}

export const method = turnsMethod<Config, State>({
  id: 'dbf-newton',
  family: 'gradient',
  title: 'Stochastic Newton with discriminative Bayesian filtering',
  summary:
    'Newton steps of minibatches whose gradients and Hessians go through a Kalman filter, which lends them momentum.',
  references: [
    {
      authors: 'M. C. Burkhart',
      title:
        'Discriminative Bayesian filtering lends momentum to the stochastic Newton method for minimizing log-convex functions',
      year: 2021,
      url: 'https://arxiv.org/abs/2104.12949',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', maxEvaluations: 300, target: 1e-4 },
    {
      problem: 'quadratic',
      config: { hessian: 'products', lineSearch: false, learningRate: 0.2 },
      maxEvaluations: 400,
      target: 1e-4,
    },
    { problem: 'quadratic', config: { variant: 'stochastic-newton' }, maxEvaluations: 500, target: 1e-4 },
  ],
  equations: ({ variant }) =>
    variant === 'stochastic-newton'
      ? [String.raw`s = -(H_t + 10^{-12} I)^{-1} g_t,\quad x \leftarrow x + \ell s`]
      : [
          String.raw`P = \alpha^2 \Sigma + \beta I,\quad S = \tfrac{\beta}{1 - \alpha^2} I,\quad Q = H_t`,
          String.raw`\mu \leftarrow \Sigma'\left(P^{-1}\alpha\mu + Q^{-1} g_t\right),\quad \Sigma \leftarrow \Sigma' = \left(P^{-1} + Q^{-1} - S^{-1}\right)^{-1}`,
          String.raw`s = -(\Sigma + 10^{-12} I)^{-1} \mu,\quad x \leftarrow x + \ell s`,
        ],
  needs: (config) => kindsOf(wishOf(config)),
  check: (_, problem) => [...checkUnbounded('dbf-newton', problem), ...checkDimension('dbf-newton', problem)],
  init: (_, flat) => ({
    local: unknown(flat.start()),
    belief: null,
    direction: null,
    stepLength: 0,
    t: 0,
    stopped: null,
  }),
  ask({ config }, _, { local, direction, t }) {
    const sampleKey = `s${t}`
    if (!direction) return { ...turnOf(local, wishOf(config)), sampleKey }
    const points = LENGTHS.map((length) => plus(local.at, length, direction))
    return { points, wants: [{ kind: 'value' }], purpose: 'line-search', sampleKey }
  },
  learn,
  finished: (_, { stopped }) => stopped ?? undefined,
  estimate({ config }, { local, belief, stepLength, t }) {
    const filtered = belief && {
      gradientNorm: norm(belief.mean),
      curvature: radius(spectrumOf(belief.covariance, belief.mean.length)),
      momentum: config.variant === 'filtered' ? radius(spectrumOf(momentumOf(belief, config), belief.mean.length)) : 0,
    }
    return { x: local.at, kind: 'iterate', step: t, metrics: { stepLength, ...filtered } }
  },
})
