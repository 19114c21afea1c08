// Copied from src/core/encodings by scripts/generate-client.mjs.
/**
 * The sign of each value times the mean magnitude of its block x of n values, which leaves ||x||^2 - ||x||_1^2 / n of its
 * squared norm out. Karimireddy, Rebjock, Stich, Jaggi, Error feedback fixes SignSGD (2019),
 * https://arxiv.org/abs/1901.09847. The scales lie ahead of the bits; a set bit is a minus.
 */
import { BLOCK, blocksOf, type Codec, eachPart, partsOf, wrongSize } from './codec.js'
import { bringBytes, kernels, PART, type Places, padded, take, takeBytes } from './kernels.js'

const bytesOf = (length: number): number => Math.ceil(length / 8)
const scalesIn = ({ packed }: Places): number => packed
const bitsIn = ({ packed }: Places): number => packed + (4 * PART) / BLOCK

export const sign: Codec = {
  encode(values) {
    const head = 4 * blocksOf(values.length)
    const bytes = new Uint8Array(head + bytesOf(values.length))
    const decode = (length: number, places: Places) =>
      kernels.unsign(scalesIn(places), bitsIn(places), padded(length), places.c)
    eachPart(
      values,
      PART,
      (at, length, places) => {
        const [scales, bits] = [scalesIn(places), bitsIn(places)]
        kernels.signs(places.a, length, scales, bits)
        takeBytes(scales, 4 * blocksOf(length), bytes, (4 * at) / BLOCK)
        takeBytes(bits, bytesOf(length), bytes, head + at / 8)
      },
      decode,
    )
    return bytes
  },

  wrong: (bytes, length) => wrongSize(bytes, 4 * blocksOf(length) + bytesOf(length)),

  decode(bytes, into, start, length, added) {
    partsOf(length, (at, n, places) => {
      const [scales, bits] = [scalesIn(places), bitsIn(places)]
      bringBytes(bytes, (4 * at) / BLOCK, 4 * blocksOf(n), scales)
      bringBytes(bytes, 4 * blocksOf(length) + at / 8, bytesOf(n), bits)
      kernels.unsign(scales, bits, padded(n), places.c)
      take(places.c, n, into, start + at, added)
    })
  },
}
