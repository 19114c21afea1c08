/**
 * The numbers that the codes of `int8` stand for: dynamic tree quantization of Dettmers, Lewis, Shleifer, Zettlemoyer, 8-bit
 * optimizers via block-wise quantization (2022), https://arxiv.org/abs/2110.02861, section 2.2, as bitsandbytes has it
 * (create_dynamic_map): seven decades, each with twice the numbers of the one below, evenly spaced. Here -1 is in the place of
 * the smallest negative number, so that the largest magnitude of a block comes back as it was, whatever its sign.
 */

const DECADES = 7

function dynamicMap(signed: boolean): Float32Array {
  const numbers = [0, 1]
  for (let i = 0; i < DECADES; i++) {
    const count = 2 ** (signed ? i : i + 1)
    for (let k = 0; k < count; k++) {
      const number = 10 ** (i + 1 - DECADES) * (0.1 + (0.9 * (k + 0.5)) / count)
      numbers.push(number)
      if (signed) numbers.push(i === 0 ? -1 : -number)
    }
  }
  return Float32Array.from(numbers).sort()
}

/** 256 numbers from -1, and from 0, to 1, in increasing order. */
export const SIGNED = dynamicMap(true)
export const UNSIGNED = dynamicMap(false)

/** The largest distance of neighbours: what comes back is nearer to what was packed than this times the scale of its block. */
export const widestGap = (map: Float32Array): number =>
  map.subarray(1).reduce((most, number, i) => Math.max(most, number - map[i]), 0)

/** Ratios from 0 to 1 by the upper halves of their float32. */
const HALVES = 0x3f80 + 1
const PLACES = 1 << 14
const MAP_BYTES = 1040

/** The largest code whose number is at most the smallest ratio with these upper bits. */
function starts(map: Float32Array): number[] {
  const [bits, floats] = (() => {
    const words = new Uint32Array(1)
    return [words, new Float32Array(words.buffer)]
  })()
  const at = (half: number) => {
    bits[0] = half << 16
    return floats[0]
  }
  const codes = new Array<number>(2 * PLACES).fill(0)
  let code = 0
  for (let half = 0; half < HALVES; half++) {
    while (code < 255 && map[code + 1] <= at(half)) code++
    codes[half] = code
  }
  code = 255
  for (let half = 0; half < HALVES; half++) {
    while (code > 0 && map[code] > -at(half + 1)) code--
    codes[PLACES + half] = code
  }
  return codes
}

/** The tables of the kernels: the two maps, each with an infinity behind it, and where to begin to look in them. */
export const TABLES: Uint8Array = (() => {
  const codes = Uint8Array.from([...starts(SIGNED), ...starts(UNSIGNED).slice(0, PLACES)])
  const maps = [SIGNED, UNSIGNED].map((map) => Float32Array.of(...map, Number.POSITIVE_INFINITY))
  const bytes = new Uint8Array(2 * MAP_BYTES + codes.length)
  for (const [i, map] of maps.entries()) bytes.set(new Uint8Array(map.buffer), i * MAP_BYTES)
  bytes.set(codes, 2 * MAP_BYTES)
  return bytes
})()
