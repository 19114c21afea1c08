/**
 * Integers from -127 to 127 times the scale of their block, which is its largest magnitude / 127: an error of at most half
 * a scale. Dettmers, Lewis, Shleifer, Zettlemoyer, 8-bit optimizers via block-wise quantization (2022),
 * https://arxiv.org/abs/2110.02861. The scales lie ahead of the integers.
 */
import { BLOCK, blocksOf, type Codec, eachPart, partsOf, wrongSize } from './codec.js'
import { bringBytes, kernels, PART, type Places, padded, take, takeBytes } from './kernels.js'

/** 127 times this is still a float32. */
const LARGEST_SCALE = Math.fround(2.67938e36)

const scalesIn = ({ packed }: Places): number => packed
const integersIn = ({ packed }: Places): number => packed + (4 * PART) / BLOCK

export const blockInt8: Codec = {
  encode(values) {
    const head = 4 * blocksOf(values.length)
    const bytes = new Uint8Array(head + values.length)
    const decode = (length: number, places: Places) =>
      kernels.dequantize(scalesIn(places), integersIn(places), padded(length), places.c)
    eachPart(
      values,
      PART,
      (at, length, places) => {
        const [scales, integers] = [scalesIn(places), integersIn(places)]
        kernels.quantize(places.a, padded(length), LARGEST_SCALE, scales, integers)
        takeBytes(scales, 4 * blocksOf(length), bytes, (4 * at) / BLOCK)
        takeBytes(integers, length, bytes, head + at)
      },
      decode,
    )
    return bytes
  },

  wrong: (bytes, length) => wrongSize(bytes, 4 * blocksOf(length) + length),

  decode(bytes, into, start, length, added) {
    partsOf(length, (at, n, places) => {
      const [scales, integers] = [scalesIn(places), integersIn(places)]
      bringBytes(bytes, (4 * at) / BLOCK, 4 * blocksOf(n), scales)
      bringBytes(bytes, 4 * blocksOf(length) + at, n, integers)
      kernels.dequantize(scales, integers, padded(n), places.c)
      take(places.c, n, into, start + at, added)
    })
  },
}
