/**
 * A search distribution from what is known of a similar task: M. Nomura, S. Watanabe, Y. Akimoto, Y. Ozaki, M. Onishi, "Warm
 * Starting CMA-ES for Hyperparameter Optimization", AAAI 2021.
 */
import { type Distribution, decompose, isotropic } from './cma.js'
import { ranking } from './diagonal.js'

/** Share of the known points that are promising, and the deviation of the normal distribution that is put on each. */
const GAMMA = 0.1
const ALPHA = 0.1

/** Points in the unit cube and what they are worth, the least the best. */
export type KnownTask = { points: readonly Float64Array[]; values: readonly number[] }

/** Of one or more tasks, the normal distribution nearest to the mixture of the best points of each. */
export function promising(tasks: readonly KnownTask[], separable: boolean): Distribution {
  const best = tasks.flatMap(({ points, values }) =>
    ranking(Float64Array.from(values))
      .slice(0, Math.max(1, Math.floor(GAMMA * points.length)))
      .map((k) => points[k]),
  )
  const n = best[0].length
  const mean = new Float64Array(n)
  for (const x of best) for (let i = 0; i < n; i++) mean[i] += x[i] / best.length
  const covariance = (i: number, j: number) =>
    best.reduce((sum, x) => sum + ((x[i] - mean[i]) * (x[j] - mean[j])) / best.length, i === j ? ALPHA ** 2 : 0)
  const spread = (i: number) => Math.sqrt(covariance(i, i))
  // The step size is the geometric mean of the deviations; what is left is C.
  const sigma = Math.exp(mean.reduce((sum, _, i) => sum + Math.log(spread(i)), 0) / n)
  const distribution = isotropic(mean, sigma, separable)
  for (let i = 0; i < n; i++) {
    if (separable) distribution.C[i] = covariance(i, i) / sigma ** 2
    else for (let j = 0; j < n; j++) distribution.C[i * n + j] = covariance(i, j) / sigma ** 2
  }
  decompose(distribution)
  return distribution
}
