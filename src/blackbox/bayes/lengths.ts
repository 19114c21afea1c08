/**
 * Priors of the length scales of a Gaussian process, by their logarithms theta_k = log w_k, w = 1/length^2.
 *
 * - optuna: log p(w) = -0.1 (w + 1/w), of Optuna's GPSampler (optuna/_gp/prior.py). It keeps lengths below about 5: under a wide
 *   prior a direction that the first points say little of got a length of 60 in two runs of eight on the ellipsoid of
 *   bench/quality-gp, and they stayed on a face of the cube.
 * - log-normal: log length ~ N(sqrt(2) + log(d)/2, 3), which grows with the dimension as distances do: C. Hvarfner,
 *   E. O. Hellsten, L. Nardi, "Vanilla Bayesian Optimization Performs Great in High Dimensions", ICML 2024, arXiv 2402.02229.
 * - saas: w_k ~ HalfCauchy(tau), tau ~ HalfCauchy(0.1): few axes matter, and those may matter much. D. Eriksson,
 *   M. Jankowiak, "High-Dimensional Bayesian Optimization with Sparse Axis-Aligned Subspaces", UAI 2021, arXiv 2103.00349.
 *   They average over the posterior by NUTS; here it is maximized, in the logarithms: the
 *   density in w and tau themselves has no maximum, it grows without bound as all shrink together. That of log w is
 *   hyperbolic: log p = log sech(log w - log tau).
 */
export const LENGTH_PRIORS = ['optuna', 'log-normal', 'saas'] as const
export type LengthPrior = (typeof LENGTH_PRIORS)[number]

const OPTUNA = 0.1
/** Scale of tau: alpha of Eriksson and Jankowiak. */
const SHRINKAGE = 0.1

/** Hyperparameters that the prior has itself: log tau. They are the last of theta. */
export const ownOf = (prior: LengthPrior): number => (prior === 'saas' ? 1 : 0)

/** Puts the first d of theta, and the prior's own, where a fit starts: lengths of 1, of saas at the mode. */
export function startLengths(prior: LengthPrior, d: number, theta: Float64Array): void {
  if (prior !== 'saas') return
  theta.fill(Math.log(SHRINKAGE), 0, d)
  theta[theta.length - 1] = Math.log(SHRINKAGE)
}

/** log prior density of the first d of theta, up to a constant; adds its gradient. */
export function logLengthPrior(prior: LengthPrior, d: number, theta: Float64Array, gradient: Float64Array): number {
  return { optuna, 'log-normal': logNormal, saas }[prior](d, theta, gradient)
}

function optuna(d: number, theta: Float64Array, gradient: Float64Array): number {
  let value = 0
  for (let k = 0; k < d; k++) {
    const w = Math.exp(theta[k])
    value -= OPTUNA * (w + 1 / w)
    gradient[k] -= OPTUNA * (w - 1 / w)
  }
  return value
}

function logNormal(d: number, theta: Float64Array, gradient: Float64Array): number {
  const [mean, variance] = [Math.SQRT2 + Math.log(d) / 2, 3]
  let value = 0
  for (let k = 0; k < d; k++) {
    const logLength = -theta[k] / 2
    // The density is that of the length: it has one logarithm more than that of its logarithm.
    value -= (logLength - mean) ** 2 / (2 * variance) + logLength
    gradient[k] += ((logLength - mean) / variance + 1) / 2
  }
  return value
}

/** log sech(x), where cosh(x) overflows too. */
const logSech = (x: number) => -Math.abs(x) - Math.log1p(Math.exp(-2 * Math.abs(x)))

function saas(d: number, theta: Float64Array, gradient: Float64Array): number {
  const last = theta.length - 1
  const above = theta[last] - Math.log(SHRINKAGE)
  let value = logSech(above)
  gradient[last] -= Math.tanh(above)
  for (let k = 0; k < d; k++) {
    const x = theta[k] - theta[last]
    value += logSech(x)
    gradient[k] -= Math.tanh(x)
    gradient[last] += Math.tanh(x)
  }
  return value
}
