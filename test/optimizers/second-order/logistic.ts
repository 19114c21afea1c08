/** Logistic regression with its exact derivatives. */
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Smooth, Vector } from './smooth.js'

/**
 * The mean of log(1 + exp(-y*a.x)) over n examples, whose j-th feature is normal with the standard deviation scale(j), and
 * labels of a model with standard normal weights, drawn or (separable) the likelier ones, plus ridge*|x|^2/2.
 */
export function logistic({
  n = 200,
  d = 20,
  scale = (_: number) => 1,
  ridge = 0,
  seed = 1,
  separable = false,
}): Smooth {
  const rng = new Rng(rngStream(seed, 'logistic'))
  const weights = Array.from({ length: d }, () => rng.normal())
  const rows = Array.from({ length: n }, () => Float64Array.from({ length: d }, (_, j) => scale(j) * rng.normal()))
  const margin = (a: Vector, x: Vector) => {
    let sum = 0
    for (let j = 0; j < d; j++) sum += a[j] * x[j]
    return sum
  }
  // Each row times its label.
  for (const a of rows) {
    const label = (separable ? 0.5 : rng.uniform()) < 1 / (1 + Math.exp(-margin(a, weights))) ? 1 : -1
    for (let j = 0; j < d; j++) a[j] *= label
  }
  return {
    value(x) {
      const loss = (z: number) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(-z, 0)
      return rows.reduce((sum, a) => sum + loss(margin(a, x)) / n, (ridge / 2) * margin(x, x))
    },
    gradient(x) {
      const g = Float64Array.from({ length: d }, (_, j) => ridge * x[j])
      for (const a of rows) {
        const p = 1 / (n * (1 + Math.exp(margin(a, x))))
        for (let j = 0; j < d; j++) g[j] -= p * a[j]
      }
      return g
    },
    hessian(x) {
      const H = new Float64Array(d * d)
      for (let j = 0; j < d; j++) H[j * d + j] = ridge
      for (const a of rows) {
        const z = margin(a, x)
        const p = 1 / (n * (2 + Math.exp(z) + Math.exp(-z)))
        for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) H[i * d + j] += p * a[i] * a[j]
      }
      return H
    },
  }
}
