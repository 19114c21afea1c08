/** A mixture of equally likely bells of one width, with the denoiser of its diffusion in closed form. */
import type { Rng } from '../../src/core/rng.js'

export type Mixture = { means: readonly (readonly number[])[]; deviation: number }

/** Means 2*N(0, I). */
export const randomMixture = (rng: Rng, count: number, dimension: number, deviation: number): Mixture => ({
  means: Array.from({ length: count }, () => Array.from({ length: dimension }, () => 2 * rng.normal())),
  deviation,
})

export function draw({ means, deviation }: Mixture, rng: Rng): number[] {
  const mean = means[rng.integer(means.length)]
  return mean.map((m) => m + deviation * rng.normal())
}

/** The mean of the noise in x = sqrt(kept)*clean + sqrt(1 - kept)*noise, given x. */
export function noiseIn({ means, deviation }: Mixture, x: ArrayLike<number>, kept: number): Float64Array {
  const root = Math.sqrt(kept)
  const variance = kept * deviation ** 2 + 1 - kept
  const logs = means.map((m) => -m.reduce((sum, v, i) => sum + (x[i] - root * v) ** 2, 0) / (2 * variance))
  const top = Math.max(...logs)
  const weights = logs.map((log) => Math.exp(log - top))
  const total = weights.reduce((sum, w) => sum + w, 0)
  return Float64Array.from(x, (value, i) => {
    const mean = means.reduce((sum, m, k) => sum + (weights[k] / total) * m[i], 0)
    return (Math.sqrt(1 - kept) * (value - root * mean)) / variance
  })
}
