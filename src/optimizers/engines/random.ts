/**
 * Random fields: element i of call site s under a seed is a function of (seed, s, i) alone, so every engine, layout
 * and number of threads draws the same field. This is its definition; engines may generate it by other means.
 */
import { philox4x32 } from '../../core/rng.js'
import type { FloatArray } from '../../core/tensor.js'
import type { Distribution } from '../language/program.js'

const UNIT = 2 ** -32

/**
 * Fills `out` with elements `first` to `first + out.length` of a field. One Philox block serves four elements:
 * a word each, or a pair of words for each pair of normals (Box–Muller).
 */
export function fillField(
  distribution: Distribution,
  seed: number,
  site: number,
  first: number,
  out: FloatArray,
): void {
  const key0 = seed >>> 0
  const key1 = Math.floor(seed / 2 ** 32) >>> 0
  const counter = [0, 0, site, 0]
  const words = new Uint32Array(4)
  const four = new Float64Array(4)
  const last = first + out.length
  for (let block = Math.floor(first / 4); block * 4 < last; block++) {
    counter[0] = block >>> 0
    counter[1] = Math.floor(block / 2 ** 32)
    philox4x32(counter, key0, key1, words)
    variates(distribution, words, four)
    const from = Math.max(first, block * 4)
    const to = Math.min(last, block * 4 + 4)
    for (let i = from; i < to; i++) out[i - first] = four[i & 3]
  }
}

function variates(distribution: Distribution, words: Uint32Array, out: Float64Array): void {
  switch (distribution) {
    case 'uniform':
      // 24 bits: exact in both precisions, and below 1 in both.
      for (let i = 0; i < 4; i++) out[i] = (words[i] >>> 8) * 2 ** -24
      return
    case 'rademacher':
      for (let i = 0; i < 4; i++) out[i] = words[i] >>> 31 ? -1 : 1
      return
    case 'exponential':
      for (let i = 0; i < 4; i++) out[i] = -Math.log((words[i] + 0.5) * UNIT)
      return
    case 'normal':
      for (let i = 0; i < 4; i += 2) {
        const radius = Math.sqrt(-2 * Math.log((words[i] + 0.5) * UNIT))
        const angle = 2 * Math.PI * words[i + 1] * UNIT
        out[i] = radius * Math.cos(angle)
        out[i + 1] = radius * Math.sin(angle)
      }
  }
}
