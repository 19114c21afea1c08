/** Inversion of a small random decoder: F(z) = W2*tanh(W1*z + b), with latents of very different weight. */
import type { Rng } from '../../src/core/rng.js'

export type Decoder = {
  latents: number
  outputs(z: ArrayLike<number>): number[]
  /** |F(z) - x|^2/2 and its gradient by z. */
  loss(z: ArrayLike<number>, x: ArrayLike<number>): { value: number; gradient: number[] }
}

export function randomDecoder(
  rng: Rng,
  scales: readonly number[] = [3, 1, 0.3, 0.1],
  hidden = 16,
  outputs = 12,
): Decoder {
  const d = scales.length
  const W1 = Float64Array.from({ length: hidden * d }, (_, i) => (scales[i % d] / Math.sqrt(d)) * rng.normal())
  const b = Float64Array.from({ length: hidden }, () => 0.5 * rng.normal())
  const W2 = Float64Array.from({ length: outputs * hidden }, () => rng.normal())
  const units = (z: ArrayLike<number>) =>
    b.map((offset, k) => {
      let sum = offset
      for (let j = 0; j < d; j++) sum += W1[k * d + j] * z[j]
      return Math.tanh(sum)
    })
  const decode = (a: Float64Array) =>
    Array.from({ length: outputs }, (_, i) => {
      let sum = 0
      for (let k = 0; k < hidden; k++) sum += W2[i * hidden + k] * a[k]
      return sum
    })
  return {
    latents: d,
    outputs: (z) => decode(units(z)),
    loss(z, x) {
      const a = units(z)
      const residual = decode(a).map((f, i) => f - x[i])
      const gradient = new Array<number>(d).fill(0)
      for (let k = 0; k < hidden; k++) {
        let slope = 0
        for (let i = 0; i < outputs; i++) slope += W2[i * hidden + k] * residual[i]
        slope *= 1 - a[k] ** 2
        for (let j = 0; j < d; j++) gradient[j] += W1[k * d + j] * slope
      }
      return { value: residual.reduce((sum, r) => sum + r * r, 0) / 2, gradient }
    },
  }
}

/** z -> D z, diagonal. */
export function diagonalDecoder(D: readonly number[]): Decoder {
  return {
    latents: D.length,
    outputs: (z) => D.map((scale, j) => scale * z[j]),
    loss(z, x) {
      const residual = D.map((scale, j) => scale * z[j] - x[j])
      return { value: residual.reduce((sum, r) => sum + r * r, 0) / 2, gradient: residual.map((r, j) => D[j] * r) }
    },
  }
}
