/**
 * Hyperparameters of the surrogate by maximum a posteriori, with priors of Optuna's GPSampler (optuna/_gp/prior.py): Gamma(2, 1)
 * for the signal variance, Gamma(1.1, 30) for the noise variance, which is at least 1e-8 (theirs 1e-6: with it the ellipsoid of
 * bench/quality-gp, an exact function, ends about five times further from its minimum). Those of the lengths are in lengths.ts.
 */
import { dot } from '../linalg/dense.js'
import type { Workspace } from '../linalg/linalg.js'
import { lbfgs, minimizeTogether, type Sample } from './lbfgs.js'
import { type LengthPrior, logLengthPrior, ownOf, startLengths } from './lengths.js'
import { type Dimensions, Surrogate, type Theta } from './surrogate.js'
import { logWarpPrior, WARP_BOUND, Warp } from './warp.js'

const SIGNAL = { shape: 2, rate: 1 }
const NOISE = { shape: 1.1, rate: 30 }
/** Bounds of theta: lengths from 0.005 to 100, variances in units of standardized values. */
export const BOUNDS = {
  weight: [-2 * Math.log(100), -2 * Math.log(0.005)],
  signal: [Math.log(1e-3), Math.log(1e4)],
  noise: [Math.log(1e-8), Math.log(10)],
}

/**
 * Vectors of the unit cube, standardized values, noise variances; of each earlier task what its mean is there, in units in which
 * its factor rho is a correlation (tasks.ts).
 */
type Told = {
  points: readonly Float64Array[]
  values: readonly number[]
  noises: readonly number[]
  tasks?: readonly Float64Array[]
}

/** Largest |rho|. */
export const RHO_BOUND = 10

/** What is fitted beside the hyperparameters of the surrogate. */
export type Extras = {
  /** Axes whose coordinates are warped: log a and log b of each follow in theta. */
  warped?: readonly number[]
  /** Earlier tasks, whose factors rho follow then. */
  tasks?: number
  /** Prior of the lengths; what it has of its own comes last in theta. */
  lengths?: LengthPrior
}

/** Where the first fit starts: about the modes of the priors. */
export function defaultTheta(d: number, { warped = [], tasks = 0, lengths = 'optuna' }: Extras = {}): Theta {
  const theta = new Float64Array(d + 2 + 2 * warped.length + tasks + ownOf(lengths))
  theta[d + 1] = Math.log(1e-3)
  rhoOf(theta, d, { warped, tasks }).fill(1 / tasks)
  startLengths(lengths, d, theta)
  return theta
}

/** The warp of a fitted theta of d dimensions. */
export const warpOf = (theta: Theta, d: number, { warped = [] }: Extras): Warp =>
  new Warp(warped, theta.subarray(d + 2, d + 2 + 2 * warped.length))

/** The factors of earlier tasks in a theta of d dimensions, in place. */
export function rhoOf(theta: Theta, d: number, { warped = [], tasks = 0 }: Extras): Float64Array {
  const from = d + 2 + 2 * warped.length
  return theta.subarray(from, from + tasks)
}

/** Values without what the earlier tasks make of them. */
export const without = (values: readonly number[], tasks: readonly Float64Array[], rho: Float64Array): number[] =>
  values.map((value, i) => tasks.reduce((rest, task, t) => rest - rho[t] * task[i], value))

/** log prior density of rho, up to a constant; `gradient` is that part of the gradient, to which its own is added. */
export function logRhoPrior(rho: Float64Array, gradient: Float64Array): number {
  return rho.reduce((sum, r, t) => {
    gradient[t] -= r - 1 / rho.length
    return sum - (r - 1 / rho.length) ** 2 / 2
  }, 0)
}

/** log prior density of the hyperparameters of d dimensions, up to a constant; adds its gradient in theta. */
export function logPrior(
  theta: Theta,
  gradient: Float64Array,
  d = theta.length - 2,
  lengths: LengthPrior = 'optuna',
): number {
  let value = logLengthPrior(lengths, d, theta, gradient)
  ;[SIGNAL, NOISE].forEach(({ shape, rate }, i) => {
    const x = Math.exp(theta[d + i])
    value += (shape - 1) * theta[d + i] - rate * x
    gradient[d + i] += shape - 1 - rate * x
  })
  return value
}

/** Log posterior density of theta, up to a constant, and its gradient. */
export function logPosterior(
  workspace: Workspace,
  dimensions: Dimensions,
  { points, values: told, noises, tasks = [] }: Told,
  theta: Theta,
  extras: Extras = {},
): Sample {
  const d = dimensions.ordered.length + dimensions.unordered.length
  const warp = warpOf(theta, d, extras)
  const bends = warp.axes.length > 0
  const rho = rhoOf(theta, d, extras)
  const values = without(told, tasks, rho)
  return workspace.scope(() => {
    const model = new Surrogate(workspace, dimensions, theta, points.length)
    model.factorize(bends ? points.map((u) => warp.at(u)) : points, noises)
    const { value, gradient: own, inputs } = model.likelihood(values, noises, bends)
    const dual = model.dual()
    const gradient = new Float64Array(theta.length)
    gradient.set(own)
    inputs?.forEach((outer, i) => {
      warp.pull(points[i], outer, gradient, d + 2)
    })
    const slopes = rhoOf(gradient, d, extras)
    tasks.forEach((task, t) => {
      slopes[t] += dot(task, dual)
    })
    const prior =
      logPrior(theta, gradient, d, extras.lengths) +
      logWarpPrior(theta, d + 2, d + 2 + 2 * warp.axes.length, gradient) +
      logRhoPrior(rho, slopes)
    return { value: value + prior, gradient }
  })
}

/** The hyperparameters of largest posterior density that are reached from any of the starts. */
export function fitHyperparameters(
  workspace: Workspace,
  dimensions: Dimensions,
  data: Told,
  starts: readonly Theta[],
  maxEvaluations: number,
  extras: Extras = {},
): Theta {
  const evaluate = (theta: Float64Array): Sample => {
    const { value, gradient } = logPosterior(workspace, dimensions, data, theta, extras)
    return { value: -value, gradient: gradient.map((g) => -g) }
  }
  const d = dimensions.ordered.length + dimensions.unordered.length
  const shapes = d + 2 + 2 * (extras.warped?.length ?? 0)
  const bound = (end: 0 | 1) =>
    starts[0].map((_, k) => {
      if (k >= d + 2 && k < shapes) return (2 * end - 1) * WARP_BOUND
      if (k >= shapes && k < shapes + (extras.tasks ?? 0)) return (2 * end - 1) * RHO_BOUND
      return BOUNDS[k === d ? 'signal' : k === d + 1 ? 'noise' : 'weight'][end]
    })
  const [low, high] = [bound(0), bound(1)]
  const options = { maxEvaluations, tolerance: 1e-3, progress: 1e-6, firstStep: 1 }
  const minima = minimizeTogether(
    starts.map((start) => lbfgs(start, low, high, options)),
    (thetas) => thetas.map(evaluate),
  )
  return minima.reduce((best, m) => (m.value < best.value ? m : best)).x
}
