/**
 * Inverse problems under a generative prior: x = G(z), z standard normal, measured as y = A(x) and noise of deviation s. The
 * negative log posterior, its measurement term weighted by a difficulty lambda, is
 * L(z; lambda) = lambda*|y - A(G(z))|^2/(2 s^2) + |z|^2/2, at lambda = 0 minimal at the prior's mode, z = 0.
 */
import type { Rng } from '../../src/core/rng.js'

export type Inverse = {
  /** The z that was measured. */
  truth: number[]
  loss(z: ArrayLike<number>, lambda: number): { value: number; gradient: number[] }
}

/** Quadratic measurements y = (A x)^2 + noise of 0.1, with G(z) = 0.7 + z and rows of A from N(0, 1/unknowns). */
export function phaseless(rng: Rng, unknowns = 10, rows = 30): Inverse {
  const deviation = 0.1
  const A = Array.from({ length: rows }, () =>
    Array.from({ length: unknowns }, () => rng.normal() / Math.sqrt(unknowns)),
  )
  const truth = Array.from({ length: unknowns }, () => rng.normal())
  const project = (row: readonly number[], z: ArrayLike<number>) => {
    let sum = 0
    for (let j = 0; j < unknowns; j++) sum += row[j] * (0.7 + z[j])
    return sum
  }
  const y = A.map((row) => project(row, truth) ** 2 + deviation * rng.normal())
  return {
    truth,
    loss(z, lambda) {
      const weight = lambda / deviation ** 2
      let value = 0
      const gradient = Array.from(z)
      A.forEach((row, i) => {
        const u = project(row, z)
        const residual = u * u - y[i]
        value += (weight * residual ** 2) / 2
        for (let j = 0; j < unknowns; j++) gradient[j] += 2 * weight * residual * u * row[j]
      })
      for (let j = 0; j < unknowns; j++) value += z[j] ** 2 / 2
      return { value, gradient }
    },
  }
}
