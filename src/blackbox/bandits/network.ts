/**
 * A network of one hidden layer with a smooth activation, f(x) = c a' relu(W x)^s with c = sqrt(2 / (1 3 ... (2s - 1))).
 * S. Salgia, S. Vakili, Q. Zhao, "Provably and Practically Efficient Neural Contextual Bandits", ICML 2023, arXiv 2206.00099.
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

/** z^n for a small whole n: faster than a call of pow. */
function raised(z: number, n: number): number {
  let product = 1
  for (let k = 0; k < n; k++) product *= z
  return product
}

/** relu(W x), into `out`. */
function activate({ inputs, hidden }: Shape, weights: Float64Array, x: Float64Array, out: Float64Array): Float64Array {
  for (let j = 0, at = hidden; j < hidden; j++, at += inputs) {
    let sum = 0
    for (let i = 0; i < inputs; i++) sum += weights[at + i] * x[i]
    out[j] = Math.max(sum, 0)
  }
  return out
}

/** The value, of hidden units z. */
function outputOf({ hidden, power }: Shape, weights: Float64Array, z: Float64Array): number {
  let sum = 0
  for (let j = 0; j < hidden; j++) sum += weights[j] * raised(z[j], power)
  return scaleOf(power) * sum
}

/** Adds `by` times the gradient in the weights, of hidden units z at x. */
function addSlope(
  shape: Shape,
  weights: Float64Array,
  x: Float64Array,
  z: Float64Array,
  by: number,
  out: Float64Array,
) {
  const { inputs, hidden, power } = shape
  const scale = scaleOf(power) * by
  for (let j = 0, at = hidden; j < hidden; j++, at += inputs) {
    if (z[j] === 0) continue
    const below = scale * raised(z[j], power - 1)
    out[j] += below * z[j]
    const inner = below * weights[j] * power
    for (let i = 0; i < inputs; i++) out[at + i] += inner * x[i]
  }
}

export const evaluate = (shape: Shape, weights: Float64Array, x: Float64Array): number =>
  outputOf(shape, weights, activate(shape, weights, x, new Float64Array(shape.hidden)))

/** The gradient of the value in the weights. */
export function gradientOf(shape: Shape, weights: Float64Array, x: Float64Array): Float64Array {
  const gradient = new Float64Array(weights.length)
  addSlope(shape, weights, x, activate(shape, weights, x, new Float64Array(shape.hidden)), 1, gradient)
  return gradient
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
  const z = new Float64Array(shape.hidden)
  const gradient = new Float64Array(weights.length)
  for (let step = 0; step < steps; step++) {
    gradient.fill(0)
    for (let i = 0; i < xs.length; i++) {
      activate(shape, weights, xs[i], z)
      addSlope(shape, weights, xs[i], z, (2 / xs.length) * (outputOf(shape, weights, z) - ys[i]), gradient)
    }
    for (let k = 0; k < weights.length; k++) weights[k] -= learningRate * gradient[k]
  }
  return weights
}
