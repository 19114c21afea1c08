/**
 * The sign of each value times the mean magnitude of its block x of n values, which leaves ||x||^2 - ||x||_1^2 / n of its
 * squared norm out. Karimireddy, Rebjock, Stich, Jaggi, Error feedback fixes SignSGD (2019),
 * https://arxiv.org/abs/1901.09847. The scales lie ahead of the bits; a set bit is a minus.
 */
import { BLOCK, blocksOf, type Codec, viewOf, wrongSize } from './codec.js'

export const sign: Codec = {
  encode(values) {
    const n = values.length
    const scales = blocksOf(n)
    const bytes = new Uint8Array(4 * scales + Math.ceil(n / 8))
    const view = viewOf(bytes)
    for (let block = 0; block < scales; block++) {
      const start = block * BLOCK
      const end = Math.min(n, start + BLOCK)
      let sum = 0
      for (let i = start; i < end; i++) {
        const value = Math.fround(values[i])
        sum += Math.abs(value)
        if (value < 0) bytes[4 * scales + (i >> 3)] |= 1 << (i & 7)
      }
      view.setFloat32(4 * block, sum / (end - start), true)
    }
    return bytes
  },

  wrong: (bytes, length) => wrongSize(bytes, 4 * blocksOf(length) + Math.ceil(length / 8)),

  decode(bytes, into, at, length) {
    const scales = blocksOf(length)
    const view = viewOf(bytes)
    for (let block = 0; block < scales; block++) {
      const scale = view.getFloat32(4 * block, true)
      const end = Math.min(length, (block + 1) * BLOCK)
      for (let i = block * BLOCK; i < end; i++)
        into[at + i] = (bytes[4 * scales + (i >> 3)] >> (i & 7)) & 1 ? -scale : scale
    }
  },
}
