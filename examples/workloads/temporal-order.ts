/**
 * The temporal-order task: two of the symbols A and B lie far apart in a sequence of distractors; the class is their order
 * (AA, AB, BA, BB). Hochreiter, Schmidhuber 1997; a small tanh network as in Pascanu, Mikolov, Bengio 2013, section 4.1.
 *
 * x_t = W*tanh(x_{t-1}) + V[:, u_t] + b; the logits are U*tanh(x_T) + c.
 */
import { Rng, type RngState } from '../../src/core/rng.js'
import type { TensorSpec } from '../../src/core/tensor.js'

const SYMBOLS = 6
const CLASSES = 4

/** Symbols of a sequence (0 and 1 are A and B, the rest distractors) and its class. */
export type Sequence = { symbols: number[]; label: number }

/** Draws sequences: the first symbol within (0.1 to 0.2)*length, the second within (0.4 to 0.5)*length. */
export function temporalOrder(rng: RngState, length: number, count: number): Sequence[] {
  const draw = new Rng(rng)
  return Array.from({ length: count }, () => {
    const symbols = Array.from({ length }, () => 2 + draw.integer(SYMBOLS - 2))
    const place = (from: number) => Math.floor(from * length) + draw.integer(Math.max(1, Math.floor(0.1 * length)))
    const [first, second] = [draw.integer(2), draw.integer(2)]
    symbols[place(0.1)] = first
    symbols[place(0.4)] = second
    return { symbols, label: 2 * first + second }
  })
}

/** Tensors of a network of `units` hidden units. */
export const networkTensors = (units: number): TensorSpec[] => [
  { name: 'W', shape: [units, units], dtype: 'f64' },
  { name: 'V', shape: [units, SYMBOLS], dtype: 'f64' },
  { name: 'b', shape: [units], dtype: 'f64' },
  { name: 'U', shape: [CLASSES, units], dtype: 'f64' },
  { name: 'c', shape: [CLASSES], dtype: 'f64' },
]

type Network = { readonly [name: string]: ArrayLike<number> }
export type Flow = {
  /** Mean cross-entropy, and the share of sequences classified right. */
  loss: number
  accuracy: number
  gradient: { [name: string]: Float64Array }
  /** Of the first sequence: dE/dx_t of every step, and the slopes s'(x_t) of its states. */
  states: { gradients: Float64Array[]; slopes: Float64Array[] }
}

/** Loss, gradient by back-propagation through time, and what the gradient-flow diagnostic asks for. */
export function temporalOrderLoss(network: Network, batch: readonly Sequence[]): Flow {
  const { W, V, b, U, c } = network
  const n = b.length
  const gradient = Object.fromEntries(
    Object.entries({ W, V, b, U, c }).map(([name, values]) => [name, new Float64Array(values.length)]),
  )
  const states: Flow['states'] = { gradients: [], slopes: [] }
  let loss = 0
  let right = 0
  for (const [index, { symbols, label }] of batch.entries()) {
    const hidden = [new Float64Array(n)]
    for (const symbol of symbols) {
      const before = hidden[hidden.length - 1]
      hidden.push(
        Float64Array.from({ length: n }, (_, i) => {
          let sum = V[i * SYMBOLS + symbol] + b[i]
          for (let j = 0; j < n; j++) sum += W[i * n + j] * before[j]
          return Math.tanh(sum)
        }),
      )
    }
    const last = hidden[symbols.length]
    const logits = Array.from({ length: CLASSES }, (_, k) => last.reduce((sum, h, j) => sum + U[k * n + j] * h, c[k]))
    const top = Math.max(...logits)
    const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0)
    loss += (top + Math.log(total) - logits[label]) / batch.length
    if (logits[label] === top) right++

    const back = new Float64Array(n)
    for (let k = 0; k < CLASSES; k++) {
      const d = (Math.exp(logits[k] - top) / total - Number(k === label)) / batch.length
      gradient.c[k] += d
      for (let j = 0; j < n; j++) {
        gradient.U[k * n + j] += d * last[j]
        back[j] += d * U[k * n + j]
      }
    }
    // `delta` is dE/dx_t, from the last step to the first.
    let delta = back.map((d, j) => d * (1 - last[j] ** 2))
    for (let t = symbols.length; t >= 1; t--) {
      const before = hidden[t - 1]
      const slopes = before.map((h) => 1 - h * h)
      if (index === 0) {
        states.gradients.unshift(delta)
        states.slopes.unshift(hidden[t].map((h) => 1 - h * h))
      }
      const next = new Float64Array(n)
      for (let i = 0; i < n; i++) {
        gradient.b[i] += delta[i]
        gradient.V[i * SYMBOLS + symbols[t - 1]] += delta[i]
        for (let j = 0; j < n; j++) {
          gradient.W[i * n + j] += delta[i] * before[j]
          next[j] += W[i * n + j] * delta[i]
        }
      }
      delta = next.map((d, j) => d * slopes[j])
    }
  }
  return { loss, accuracy: right / batch.length, gradient, states }
}
