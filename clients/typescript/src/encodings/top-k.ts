// Copied from src/core/encodings by scripts/generate-client.mjs.
/**
 * The k values of largest magnitude, with their indices; of equal ones the first. Of n values it leaves at most 1 - k / n of
 * their squared norm out. Stich, Cordonnier, Jaggi, Sparsified SGD with memory (2018), https://arxiv.org/abs/1809.07599.
 * The indices lie ahead of the values.
 */
import { type Codec, viewOf } from './codec.js'

export const topK: Codec = {
  encode(values, density) {
    const n = values.length
    const k = Math.min(n, Math.max(1, Math.ceil(density * n)))
    const magnitudes = new Float32Array(values)
    for (let i = 0; i < n; i++) magnitudes[i] = Math.abs(magnitudes[i])
    // As integers, the bits of floats that are not negative have the order of the floats.
    const bits = new Uint32Array(magnitudes.buffer)
    const { threshold, ties } = largest(bits, k)
    const bytes = new Uint8Array(8 * k)
    const view = viewOf(bytes)
    let kept = 0
    let left = ties
    for (let i = 0; i < n; i++) {
      if (bits[i] < threshold || (bits[i] === threshold && left-- <= 0)) continue
      view.setUint32(4 * kept, i, true)
      view.setFloat32(4 * (k + kept), values[i], true)
      kept++
    }
    return bytes
  },

  wrong(bytes, length) {
    if (bytes.length % 8 !== 0) return `expected a multiple of 8 bytes, got ${bytes.length}`
    const view = viewOf(bytes)
    let before = -1
    for (let j = 0; j < bytes.length / 8; j++) {
      const index = view.getUint32(4 * j, true)
      if (index >= length) return `expected indices below ${length}, got ${index}`
      if (index <= before) return `expected indices that rise, got ${index} after ${before}`
      before = index
    }
    return undefined
  },

  decode(bytes, into, at, length) {
    const view = viewOf(bytes)
    const k = bytes.length / 8
    into.fill(0, at, at + length)
    for (let j = 0; j < k; j++) into[at + view.getUint32(4 * j, true)] = view.getFloat32(4 * (k + j), true)
  },
}

/** The k-th largest, found from its highest byte to its lowest, and how many of those equal to it are among the k. */
function largest(words: Uint32Array, k: number): { threshold: number; ties: number } {
  const counts = new Uint32Array(256)
  let threshold = 0
  let ties = k
  for (const shift of [24, 16, 8, 0]) {
    counts.fill(0)
    // Two shifts: one of 32 bits would be one of none.
    for (let i = 0; i < words.length; i++)
      if ((words[i] >>> shift) >>> 8 === threshold) counts[(words[i] >>> shift) & 255]++
    let byte = 255
    for (; ties > counts[byte]; byte--) ties -= counts[byte]
    threshold = threshold * 256 + byte
  }
  return { threshold, ties }
}
