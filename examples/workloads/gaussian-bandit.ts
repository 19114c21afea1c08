/**
 * A bandit with Gaussian actions, the smallest of policy gradient problems: actions a ~ N(x, s^2 I), reward
 * -sum_i h_i (a_i - b_i)^2/2. Estimates of the gradient and the Hessian by x are of one action each.
 */
import type { Rng } from '../../src/core/rng.js'

export type Bandit = {
  /** How far the mean reward at x is below the best. */
  gap(x: ArrayLike<number>): number
  gradient(x: ArrayLike<number>, rng: Rng): Float64Array
  /** The Hessian at x times u. */
  product(x: ArrayLike<number>, u: ArrayLike<number>, rng: Rng): Float64Array
}

export function gaussianBandit(h: readonly number[], b: readonly number[], deviation: number): Bandit {
  const variance = deviation ** 2
  const d = h.length
  /** The score (a - x)/s^2 of an action, and its reward. */
  const play = (x: ArrayLike<number>, rng: Rng) => {
    const score = new Float64Array(d)
    let reward = 0
    for (let i = 0; i < d; i++) {
      score[i] = rng.normal() / deviation
      reward -= 0.5 * h[i] * (x[i] + variance * score[i] - b[i]) ** 2
    }
    return { score, reward }
  }
  return {
    gap: (x) => h.reduce((sum, hi, i) => sum + 0.5 * hi * (x[i] - b[i]) ** 2, 0),
    gradient(x, rng) {
      const { score, reward } = play(x, rng)
      return score.map((v) => reward * v)
    },
    product(x, u, rng) {
      const { score, reward } = play(x, rng)
      const along = score.reduce((sum, v, i) => sum + v * u[i], 0)
      return score.map((v, i) => reward * (v * along - u[i] / variance))
    },
  }
}
