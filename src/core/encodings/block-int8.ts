/**
 * Integers from -127 to 127 times the scale of their block, which is its largest magnitude / 127: an error of at most half
 * a scale. Dettmers, Lewis, Shleifer, Zettlemoyer, 8-bit optimizers via block-wise quantization (2022),
 * https://arxiv.org/abs/2110.02861. The scales lie ahead of the integers.
 */
import { BLOCK, blocksOf, type Codec, viewOf, wrongSize } from './codec.js'

/** Added to a float32 of small magnitude and taken away again, it rounds to an integer, ties to even. */
const ROUNDING = 1.5 * 2 ** 23
/** 127 times this is still a float32. */
const LARGEST_SCALE = Math.fround(2.67938e36)

export const blockInt8: Codec = {
  encode(values) {
    const n = values.length
    const scales = blocksOf(n)
    const bytes = new Uint8Array(4 * scales + n)
    const view = viewOf(bytes)
    const integers = new Int8Array(bytes.buffer, 4 * scales)
    for (let block = 0; block < scales; block++) {
      const end = Math.min(n, (block + 1) * BLOCK)
      let most = 0
      for (let i = block * BLOCK; i < end; i++) {
        const magnitude = Math.abs(values[i])
        if (magnitude > most) most = magnitude
      }
      const scale = Math.min(LARGEST_SCALE, Math.fround(Math.fround(most) / 127))
      view.setFloat32(4 * block, scale, true)
      if (scale === 0) continue
      for (let i = block * BLOCK; i < end; i++) {
        const ratio = Math.fround(Math.fround(values[i]) / scale)
        const rounded = (Math.fround(ratio + ROUNDING) - ROUNDING) | 0
        // A scale that was rounded down to a subnormal, or to the largest, leaves ratios above 127.
        integers[i] = Math.max(-127, Math.min(127, rounded))
      }
    }
    return bytes
  },

  wrong: (bytes, length) => wrongSize(bytes, 4 * blocksOf(length) + length),

  decode(bytes, into, at, length) {
    const scales = blocksOf(length)
    const view = viewOf(bytes)
    const integers = new Int8Array(bytes.buffer, bytes.byteOffset + 4 * scales, length)
    for (let block = 0; block < scales; block++) {
      const scale = view.getFloat32(4 * block, true)
      const end = Math.min(length, (block + 1) * BLOCK)
      for (let i = block * BLOCK; i < end; i++) into[at + i] = Math.fround(scale * integers[i])
    }
  },
}
