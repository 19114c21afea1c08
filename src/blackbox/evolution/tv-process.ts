/**
 * A Gaussian process of a function that changes with time.
 * J. Parker-Holder, V. Nguyen, S. Roberts, "Provably Efficient Online Hyperparameter Optimization with Population-Based
 * Bandits", NeurIPS 2020, arXiv:2002.02518, equation 6: k((x, t), (x', t')) = exp(-|x - x'|^2 / (2 l^2))
 * (1 - epsilon)^(|t - t'| / 2), of I. Bogunovic, J. Scarlett, V. Cevher, "Time-Varying Gaussian Process Bandit
 * Optimization", AISTATS 2016. Hyperparameters by maximum likelihood over a grid.
 */
import { cholesky, dot, solveLower, solveUpper } from '../linalg/dense.js'

export type Sample = { x: Float64Array; t: number }
export type Hyperparameters = { length: number; epsilon: number; noise: number }

const LENGTHS = [0.1, 0.2, 0.4, 0.8, 1.6]
const EPSILONS = [0.01, 0.05, 0.2, 0.5]
const NOISES = [0.01, 0.1, 0.5]

export function covariance({ length, epsilon }: Hyperparameters, a: Sample, b: Sample): number {
  let squared = 0
  for (let i = 0; i < a.x.length; i++) squared += (a.x[i] - b.x[i]) ** 2
  return Math.exp(-squared / (2 * length * length)) * (1 - epsilon) ** (Math.abs(a.t - b.t) / 2)
}

/** The lower factor of the covariance matrix with noise. Noise is at least 0.01 of the signal: it is definite. */
function factorOf(theta: Hyperparameters, samples: readonly Sample[]): Float64Array {
  const n = samples.length
  const matrix = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++)
      matrix[i * n + j] = matrix[j * n + i] = covariance(theta, samples[i], samples[j]) + (i === j ? theta.noise : 0)
  cholesky(matrix, n)
  return matrix
}

export function logLikelihood(theta: Hyperparameters, samples: readonly Sample[], y: Float64Array): number {
  const n = samples.length
  const factor = factorOf(theta, samples)
  const z = solveLower(factor, n, y.slice())
  let value = -0.5 * dot(z, z) - 0.5 * n * Math.log(2 * Math.PI)
  for (let i = 0; i < n; i++) value -= Math.log(factor[i * n + i])
  return value
}

/** The grid's point of largest likelihood; y standardized. */
export function likeliest(samples: readonly Sample[], y: Float64Array): Hyperparameters {
  const grid = LENGTHS.flatMap((length) =>
    EPSILONS.flatMap((epsilon) => NOISES.map((noise) => ({ length, epsilon, noise }))),
  )
  let best = { theta: grid[0], value: Number.NEGATIVE_INFINITY }
  for (const theta of grid) {
    const value = logLikelihood(theta, samples, y)
    if (value > best.value) best = { theta, value }
  }
  return best.theta
}

/** Posterior mean given y at `samples`, and deviation given `pending` as well, whose values do not matter to it. */
export function posterior(
  theta: Hyperparameters,
  samples: readonly Sample[],
  y: Float64Array,
  pending: readonly Sample[],
): (at: Sample) => { mean: number; deviation: number } {
  const n = samples.length
  const all = [...samples, ...pending]
  const inner = factorOf(theta, samples)
  const outer = factorOf(theta, all)
  const weights = solveUpper(inner, n, solveLower(inner, n, y.slice()))
  return (at) => {
    const k = Float64Array.from(all, (sample) => covariance(theta, sample, at))
    const mean = dot(weights, k.subarray(0, n))
    const z = solveLower(outer, all.length, k)
    return { mean, deviation: Math.sqrt(Math.max(0, 1 - dot(z, z))) }
  }
}
