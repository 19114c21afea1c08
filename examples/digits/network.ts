/** A network of one hidden layer with its exact gradient, in plain TypeScript: 784 -> width (tanh) -> 10 (softmax). */
import { CLASSES, type Digits, PIXELS } from './data.js'

/** w1 [784, width], b1 [width], w2 [width, 10], b2 [10], row-major. */
export type Weights = { w1: Float32Array; b1: Float32Array; w2: Float32Array; b2: Float32Array }

export const shapes = (width: number) => ({ w1: [PIXELS, width], b1: [width], w2: [width, CLASSES], b2: [CLASSES] })

/** Deterministic start values: uniform with Xavier's range, from a small linear congruential generator. */
export function initialWeights(width: number, seed = 1): Weights {
  let state = seed >>> 0
  const uniform = (n: number, limit: number) =>
    Float32Array.from({ length: n }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (2 * (state / 2 ** 32) - 1) * limit
    })
  return {
    w1: uniform(PIXELS * width, Math.sqrt(6 / (PIXELS + width))),
    b1: new Float32Array(width),
    w2: uniform(width * CLASSES, Math.sqrt(6 / (width + CLASSES))),
    b2: new Float32Array(CLASSES),
  }
}

export const zerosLike = (w: Weights): Weights => ({
  w1: new Float32Array(w.w1.length),
  b1: new Float32Array(w.b1.length),
  w2: new Float32Array(w.w2.length),
  b2: new Float32Array(w.b2.length),
})

/** Activations of one digit: hidden units, and class probabilities. */
function forward(w: Weights, pixels: Float32Array, hidden: Float64Array, probabilities: Float64Array): void {
  const width = hidden.length
  for (let j = 0; j < width; j++) hidden[j] = w.b1[j]
  for (let i = 0; i < PIXELS; i++) {
    const pixel = pixels[i]
    if (pixel === 0) continue
    const row = i * width
    for (let j = 0; j < width; j++) hidden[j] += pixel * w.w1[row + j]
  }
  for (let j = 0; j < width; j++) hidden[j] = Math.tanh(hidden[j])
  let top = Number.NEGATIVE_INFINITY
  for (let c = 0; c < CLASSES; c++) {
    let z = w.b2[c]
    for (let j = 0; j < width; j++) z += hidden[j] * w.w2[j * CLASSES + c]
    probabilities[c] = z
    if (z > top) top = z
  }
  let sum = 0
  for (let c = 0; c < CLASSES; c++) sum += probabilities[c] = Math.exp(probabilities[c] - top)
  for (let c = 0; c < CLASSES; c++) probabilities[c] /= sum
}

/** Mean cross entropy of a batch (indices into the digits) and its gradient, written into `gradient`. */
export function lossAndGradient(w: Weights, digits: Digits, batch: Iterable<number>, gradient: Weights): number {
  for (const part of Object.values(gradient)) part.fill(0)
  const width = w.b1.length
  const hidden = new Float64Array(width)
  const probabilities = new Float64Array(CLASSES)
  const back = new Float64Array(width)
  const indices = [...batch]
  const scale = 1 / indices.length
  let loss = 0
  for (const index of indices) {
    const pixels = digits.pixels.subarray(index * PIXELS, (index + 1) * PIXELS)
    const label = digits.labels[index]
    forward(w, pixels, hidden, probabilities)
    loss -= Math.log(Math.max(probabilities[label], 1e-12)) * scale
    for (let j = 0; j < width; j++) back[j] = 0
    for (let c = 0; c < CLASSES; c++) {
      const d = (probabilities[c] - (c === label ? 1 : 0)) * scale
      gradient.b2[c] += d
      for (let j = 0; j < width; j++) {
        gradient.w2[j * CLASSES + c] += d * hidden[j]
        back[j] += d * w.w2[j * CLASSES + c]
      }
    }
    for (let j = 0; j < width; j++) gradient.b1[j] += back[j] *= 1 - hidden[j] * hidden[j]
    for (let i = 0; i < PIXELS; i++) {
      const pixel = pixels[i]
      if (pixel === 0) continue
      const row = i * width
      for (let j = 0; j < width; j++) gradient.w1[row + j] += pixel * back[j]
    }
  }
  return loss
}

/** Share of digits that get their label. */
export function accuracy(w: Weights, digits: Digits, count = digits.count): number {
  const hidden = new Float64Array(w.b1.length)
  const probabilities = new Float64Array(CLASSES)
  let right = 0
  for (let i = 0; i < count; i++) {
    forward(w, digits.pixels.subarray(i * PIXELS, (i + 1) * PIXELS), hidden, probabilities)
    if (probabilities.indexOf(Math.max(...probabilities)) === digits.labels[i]) right++
  }
  return right / count
}

/** Indices of the step's batch: the digits in a fixed shuffled order, epoch after epoch. */
export function batchAt(step: number, size: number, count: number): number[] {
  // 7919 is prime to every count used here, so the stride visits each digit once per epoch.
  return Array.from({ length: size }, (_, k) => ((step * size + k) * 7919) % count)
}
