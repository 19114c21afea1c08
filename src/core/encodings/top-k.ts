/**
 * The k values of largest magnitude, with their indices; of equal ones the first. Of n values it leaves at most 1 - k / n of
 * their squared norm out. Stich, Cordonnier, Jaggi, Sparsified SGD with memory (2018), https://arxiv.org/abs/1809.07599.
 * The indices lie ahead of the values.
 */
import { type Codec, eachPart, viewOf } from './codec.js'
import { bringBytes, kernels, type Places, padded, placesFor, take, takeBytes } from './kernels.js'

/** Behind the counters and the candidates. */
const pairsIn = ({ packed }: Places, length: number): number => packed + (1 << 13) + 4 * padded(length)

export const topK: Codec = {
  encode(values, density) {
    const n = values.length
    const k = Math.min(n, Math.max(1, Math.ceil(density * n)))
    const bytes = new Uint8Array(8 * k)
    eachPart(
      values,
      n,
      (_, length, places) => {
        const pairs = pairsIn(places, length)
        kernels.topK(places.a, length, padded(length), k, places.packed, pairs)
        takeBytes(pairs, 8 * k, bytes, 0)
      },
      (length, places) => kernels.scatter(pairsIn(places, length), k, padded(length), places.c),
    )
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

  decode(bytes, into, at, length, added) {
    if (length === 0) return
    if (!added) {
      const view = viewOf(bytes)
      const k = bytes.length / 8
      into.fill(0, at, at + length)
      for (let j = 0; j < k; j++) into[at + view.getUint32(4 * j, true)] = view.getFloat32(4 * (k + j), true)
      return
    }
    const places = placesFor(length)
    bringBytes(bytes, 0, bytes.length, places.packed)
    kernels.scatter(places.packed, bytes.length / 8, padded(length), places.c)
    take(places.c, length, into, at, true)
  },
}
