/**
 * A network of one hidden layer with a smooth activation, f(x) = c a' relu(W x)^s with c = sqrt(2 / (1 3 ... (2s - 1))).
 * S. Salgia, "Provably and Practically Efficient Neural Contextual Bandits", ICML 2023, arXiv 2206.00099, section 2.
 * Weights lie in one vector: a, then W row by row.
 */
import type { Rng } from '../../core/rng.js'

export type Shape = { inputs: number; hidden: number; power: number }

/** 2 / (1 3 5 ... (2s - 1)) under the root: E (c relu(z)^s)^2 = 1 for a standard normal z. */
export function scaleOf(power: number): number {
  let product = 1
  for (let k = 0; k < power; k++) product *= 2 * k + 1
  return Math.sqrt(2 / product)
}

/** Weights from N(0, 1/hidden). */
export const drawWeights = ({ inputs, hidden }: Shape, rng: Rng): Float64Array =>
  Float64Array.from({ length: hidden * (inputs + 1) }, () => rng.normal() / Math.sqrt(hidden))

/** W x. */
function preActivations({ inputs, hidden }: Shape, weights: Float64Array, x: Float64Array): Float64Array {
  return Float64Array.from({ length: hidden }, (_, j) => {
    let sum = 0
    for (let i = 0, at = hidden + j * inputs; i < inputs; i++) sum += weights[at + i] * x[i]
    return sum
  })
}

export function evaluate(shape: Shape, weights: Float64Array, x: Float64Array): number {
  const z = preActivations(shape, weights, x)
  let sum = 0
  for (let j = 0; j < shape.hidden; j++) if (z[j] > 0) sum += weights[j] * z[j] ** shape.power
  return scaleOf(shape.power) * sum
}

/** Adds the gradient in the weights, times what `by` makes of the value, to `out`. Returns the value. */
export function addGradient(
  shape: Shape,
  weights: Float64Array,
  x: Float64Array,
  out: Float64Array,
  by: (value: number) => number = () => 1,
): number {
  const { inputs, hidden, power } = shape
  const c = scaleOf(power)
  const z = preActivations(shape, weights, x)
  let value = 0
  for (let j = 0; j < hidden; j++) if (z[j] > 0) value += c * weights[j] * z[j] ** power
  const scale = c * by(value)
  for (let j = 0; j < hidden; j++) {
    if (!(z[j] > 0)) continue
    const below = scale * z[j] ** (power - 1)
    out[j] += below * z[j]
    const inner = below * weights[j] * power
    for (let i = 0, at = hidden + j * inputs; i < inputs; i++) out[at + i] += inner * x[i]
  }
  return value
}

/** Full-batch gradient descent on the mean squared error, from these weights; returns others. */
export function train(
  shape: Shape,
  start: Float64Array,
  xs: readonly Float64Array[],
  ys: ArrayLike<number>,
  steps: number,
  learningRate: number,
): Float64Array {
  const weights = start.slice()
  for (let step = 0; step < steps; step++) {
    const gradient = new Float64Array(weights.length)
    xs.forEach((x, i) => {
      addGradient(shape, weights, x, gradient, (value) => (2 / xs.length) * (value - ys[i]))
    })
    for (let k = 0; k < weights.length; k++) weights[k] -= learningRate * gradient[k]
  }
  return weights
}
