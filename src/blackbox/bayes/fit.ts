/**
 * Hyperparameters of the surrogate by maximum a posteriori, with priors of Optuna's GPSampler (optuna/_gp/prior.py): Gamma(2, 1)
 * for the signal variance, Gamma(1.1, 30) for the noise variance, which is at least 1e-8 (theirs 1e-6: with it the ellipsoid of
 * bench/quality-gp, an exact function, ends about five times further from its minimum). Those of the lengths are in lengths.ts.
 */
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

/** Vectors of the unit cube, standardized values, noise variances. */
type Told = { points: readonly Float64Array[]; values: readonly number[]; noises: readonly number[] }

/** What is fitted beside the hyperparameters of the surrogate. */
export type Extras = {
  /** Axes whose coordinates are warped: log a and log b of each follow in theta. */
  warped?: readonly number[]
  /** Prior of the lengths; what it has of its own comes last in theta. */
  lengths?: LengthPrior
}

/** Where the first fit starts: about the modes of the priors. */
export function defaultTheta(d: number, { warped = [], lengths = 'optuna' }: Extras = {}): Theta {
  const theta = new Float64Array(d + 2 + 2 * warped.length + ownOf(lengths))
  theta[d + 1] = Math.log(1e-3)
  startLengths(lengths, d, theta)
  return theta
}

/** The warp of a fitted theta of d dimensions. */
export const warpOf = (theta: Theta, d: number, { warped = [] }: Extras): Warp =>
  new Warp(warped, theta.subarray(d + 2, d + 2 + 2 * warped.length))

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
  { points, values, noises }: Told,
  theta: Theta,
  extras: Extras = {},
): Sample {
  const d = dimensions.ordered.length + dimensions.unordered.length
  const warp = warpOf(theta, d, extras)
  const bends = warp.axes.length > 0
  return workspace.scope(() => {
    const model = new Surrogate(workspace, dimensions, theta, points.length)
    model.factorize(bends ? points.map((u) => warp.at(u)) : points, noises)
    const { value, gradient: own, inputs } = model.likelihood(values, noises, bends)
    const gradient = new Float64Array(theta.length)
    gradient.set(own)
    inputs?.forEach((outer, i) => {
      warp.pull(points[i], outer, gradient, d + 2)
    })
    const prior =
      logPrior(theta, gradient, d, extras.lengths) + logWarpPrior(theta, d + 2, d + 2 + 2 * warp.axes.length, gradient)
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
