/**
 * Hyperparameters of the surrogate by maximum a posteriori, with the priors of Optuna's GPSampler (optuna/_gp/prior.py):
 * log p(w) = -0.1 (w + 1/w) for each w = 1/length^2, Gamma(2, 1) for the signal variance, Gamma(1.1, 30) for the noise
 * variance, which is at least 1e-8 (theirs 1e-6: with it the ellipsoid of bench/quality-gp, an exact function, ends about five
 * times further from its minimum). The first keeps lengths below about 5: under the wide log-normal prior of C. Hvarfner
 * et al. (arXiv 2402.02229) a direction that the first points say little of got a length of 60 in two runs of eight on
 * that ellipsoid, and they stayed on a face of the cube.
 */
import type { Workspace } from '../linalg/linalg.js'
import { lbfgs, minimizeTogether, type Sample } from './lbfgs.js'
import { type Dimensions, Surrogate, type Theta } from './surrogate.js'

const LENGTHS = 0.1
const SIGNAL = { shape: 2, rate: 1 }
const NOISE = { shape: 1.1, rate: 30 }
/** Bounds of theta: lengths from 0.005 to 100, variances in units of standardized values. */
export const BOUNDS = {
  weight: [-2 * Math.log(100), -2 * Math.log(0.005)],
  signal: [Math.log(1e-3), Math.log(1e4)],
  noise: [Math.log(1e-8), Math.log(10)],
}

/** Where the first fit starts: about the modes of the priors. */
export function defaultTheta(d: number): Theta {
  const theta = new Float64Array(d + 2)
  theta[d + 1] = Math.log(1e-3)
  return theta
}

/** log prior density of the hyperparameters, up to a constant; adds its gradient in theta. */
export function logPrior(theta: Theta, gradient: Float64Array): number {
  const d = theta.length - 2
  let value = 0
  for (let k = 0; k < d; k++) {
    const w = Math.exp(theta[k])
    value -= LENGTHS * (w + 1 / w)
    gradient[k] -= LENGTHS * (w - 1 / w)
  }
  ;[SIGNAL, NOISE].forEach(({ shape, rate }, i) => {
    const x = Math.exp(theta[d + i])
    value += (shape - 1) * theta[d + i] - rate * x
    gradient[d + i] += shape - 1 - rate * x
  })
  return value
}

/** The hyperparameters of largest posterior density that are reached from any of the starts. Values standardized. */
export function fitHyperparameters(
  workspace: Workspace,
  dimensions: Dimensions,
  data: { points: readonly Float64Array[]; values: readonly number[]; noises: readonly number[] },
  starts: readonly Theta[],
  maxEvaluations: number,
): Theta {
  const { points, values, noises } = data
  const evaluate = (theta: Float64Array): Sample =>
    workspace.scope(() => {
      const model = new Surrogate(workspace, dimensions, theta, points.length)
      model.factorize(points, noises)
      const { value, gradient } = model.likelihood(values, noises)
      const density = value + logPrior(theta, gradient)
      return { value: -density, gradient: gradient.map((g) => -g) }
    })
  const d = starts[0].length - 2
  const bound = (end: 0 | 1) => starts[0].map((_, k) => BOUNDS[k < d ? 'weight' : k === d ? 'signal' : 'noise'][end])
  const [low, high] = [bound(0), bound(1)]
  const options = { maxEvaluations, tolerance: 1e-3, progress: 1e-6, firstStep: 1 }
  const minima = minimizeTogether(
    starts.map((start) => lbfgs(start, low, high, options)),
    (thetas) => thetas.map(evaluate),
  )
  return minima.reduce((best, m) => (m.value < best.value ? m : best)).x
}
