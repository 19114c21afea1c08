// Copied from src/core by scripts/generate-client.mjs.
/**
 * Random directions by their seed: server and client make the same ones, so that a seed travels in place of a vector.
 * A tensor's elements are of the Philox stream of the seed with the tensor's name (rng.ts), each on its own: the normal of
 * element i is made of block i, its sign is bit i mod 32 of word i div 32.
 */
import { philox4x32, rngStream } from './rng.js'

/** `scale`, a float32, times the direction of a seed, an integer below 2^32: standard normal numbers, or signs. */
export type Move = { seed: number; scale: number; rademacher: boolean }

/** 2^26 and 2^53. */
const [HALF, WHOLE] = [67108864, 9007199254740992]

/**
 * Adds a move to tensors, in place; every element is rounded once to its type.
 *
 * @param tensors Arrays by the names that the space has for them.
 */
export function addMove(tensors: { readonly [name: string]: Float32Array | Float64Array }, move: Move): void {
  for (const [name, x] of Object.entries(tensors)) {
    const { key0, key1 } = rngStream(move.seed, name)
    const block = new Uint32Array(4)
    const counter = [0, 0, 0, 0]
    const load = (i: number) => {
      counter[0] = i >>> 0
      counter[1] = Math.floor(i / 2 ** 32)
      philox4x32(counter, key0, key1, block)
    }
    if (move.rademacher)
      for (let i = 0; i < x.length; i++) {
        if (i % 128 === 0) load(i / 128)
        x[i] += (block[(i >>> 5) & 3] >>> (i & 31)) & 1 ? move.scale : -move.scale
      }
    else
      for (let i = 0; i < x.length; i++) {
        load(i)
        const u = 1 - ((block[0] >>> 5) * HALF + (block[1] >>> 6)) / WHOLE
        const v = ((block[2] >>> 5) * HALF + (block[3] >>> 6)) / WHOLE
        x[i] += move.scale * (Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v))
      }
  }
}
