/**
 * Problems that are unimodal towards their solution but not convex: Q. Fu, D. Xu, A. C. Wilson, "Accelerated Stochastic
 * Optimization Methods under Quasar-convexity", ICML 2023, section 5.
 */
import { Rng, type RngState } from '../../src/core/rng.js'

/** Value and gradient of a mean over examples: all of them, or those of a batch. */
export type Sum = {
  dimension: number
  examples: number
  at(x: ArrayLike<number>, batch?: readonly number[]): { value: number; gradient: Float64Array }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/** A hinge that grows as a root: 0 below 0, u^2/2 up to 1, 1/2 + 2*(sqrt(u) - 1) above; its value and slope. */
const softHinge = (u: number): readonly [number, number] =>
  u < 0 ? [0, 0] : u <= 1 ? [u ** 2 / 2, u] : [0.5 + 2 * (Math.sqrt(u) - 1), 1 / Math.sqrt(u)]

/**
 * Classification of separable examples of length 1 by softHinge(1 - y*a'w), 0.5-quasar-convex. The scales of the features
 * go from 1 to 10^-1.5 in equal ratios; to the labels all matter alike. `smoothness` is the largest eigenvalue of mean a*a', by power steps.
 */
export function quasarHinge(state: RngState, examples = 100, dimension = 20): Sum & { smoothness: number } {
  const rng = new Rng(state)
  const scale = (j: number) => 10 ** ((-1.5 * j) / (dimension - 1))
  const solution = Float64Array.from({ length: dimension }, () => rng.normal())
  // Rows times their labels.
  const rows = Array.from({ length: examples }, () => {
    const features = Float64Array.from({ length: dimension }, () => rng.normal())
    const a = features.map((v, j) => v * scale(j))
    const size = Math.sign(dot(features, solution)) * Math.sqrt(dot(a, a))
    return a.map((v) => v / size)
  })
  const mean = (weight: (a: Float64Array) => number, batch = rows) => {
    const out = new Float64Array(dimension)
    for (const a of batch) {
      const w = weight(a) / batch.length
      for (let j = 0; j < dimension; j++) out[j] += w * a[j]
    }
    return out
  }
  let direction = new Float64Array(dimension).fill(1)
  let smoothness = 0
  for (let k = 0; k < 500; k++) {
    const next = mean((a) => dot(a, direction))
    smoothness = Math.sqrt(dot(next, next))
    direction = next.map((v) => v / smoothness)
  }
  return {
    dimension,
    examples,
    smoothness,
    at(x, batch) {
      const chosen = batch ? batch.map((i) => rows[i]) : rows
      const value = chosen.reduce((sum, a) => sum + softHinge(1 - dot(a, x))[0], 0) / chosen.length
      return { value, gradient: mean((a) => -softHinge(1 - dot(a, x))[1], chosen) }
    },
  }
}

/**
 * Learning a linear dynamical system h' = A*h + B*u, y = C*h + D*u from outputs, with A in controllable form: M. Hardt, T. Ma,
 * B. Recht, "Gradient Descent Learns Linear Dynamical Systems", JMLR 2018. The parameters are the last row of A, C and D; the
 * loss of an example is the mean square error of its outputs from `burnIn` on. The eigenvalues of the true A are pairs of
 * moduli from 0.3 to 0.8.
 */
export function linearSystem(
  state: RngState,
  { order = 4, length = 40, burnIn = 10, examples = 50 } = {},
): Sum & { solution: Float64Array } {
  const rng = new Rng(state)
  let polynomial = [1]
  for (let pair = 0; pair < order / 2; pair++) {
    const [modulus, angle] = [0.3 + 0.5 * rng.uniform(), Math.PI * rng.uniform()]
    const factor = [modulus ** 2, -2 * modulus * Math.cos(angle), 1]
    const product = new Array(polynomial.length + 2).fill(0)
    polynomial.forEach((p, i) => {
      factor.forEach((f, j) => {
        product[i + j] += p * f
      })
    })
    polynomial = product
  }
  const solution = Float64Array.from([
    ...polynomial.slice(0, order).map((p) => -p),
    ...Array.from({ length: order }, () => rng.normal()),
    rng.normal(),
  ])
  const inputs = Array.from({ length: examples }, () => Float64Array.from({ length }, () => rng.normal()))

  /** Hidden states at all times, and the outputs. */
  const simulate = (x: ArrayLike<number>, u: Float64Array) => {
    const hidden = [new Float64Array(order)]
    const outputs = new Float64Array(length)
    for (let t = 0; t < length; t++) {
      const h = hidden[t]
      const next = new Float64Array(order)
      for (let i = 0; i < order; i++) {
        outputs[t] += x[order + i] * h[i]
        if (i + 1 < order) next[i] = h[i + 1]
        next[order - 1] += x[i] * h[i]
      }
      next[order - 1] += u[t]
      outputs[t] += x[2 * order] * u[t]
      hidden.push(next)
    }
    return { hidden, outputs }
  }
  const targets = inputs.map((u) => simulate(solution, u).outputs)

  return {
    dimension: 2 * order + 1,
    examples,
    solution,
    at(x, batch = inputs.map((_, i) => i)) {
      const gradient = new Float64Array(2 * order + 1)
      let value = 0
      const share = 1 / (batch.length * (length - burnIn))
      for (const example of batch) {
        const { hidden, outputs } = simulate(x, inputs[example])
        // Backwards in time: `back` is the derivative by the state that follows.
        let back = new Float64Array(order)
        for (let t = length - 1; t >= 0; t--) {
          const h = hidden[t]
          const error = t < burnIn ? 0 : outputs[t] - targets[example][t]
          value += share * error ** 2
          const before = new Float64Array(order)
          for (let i = 0; i < order; i++) {
            gradient[i] += back[order - 1] * h[i]
            gradient[order + i] += 2 * share * error * h[i]
            before[i] = 2 * share * error * x[order + i] + back[order - 1] * x[i] + (i > 0 ? back[i - 1] : 0)
          }
          gradient[2 * order] += 2 * share * error * inputs[example][t]
          back = before
        }
      }
      return { value, gradient }
    },
  }
}
