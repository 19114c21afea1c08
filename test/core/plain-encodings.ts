/** The encodings as plain loops, one value after the other: what the kernels must give the same bits as. */
import type { Lossy } from '../../src/core/encodings/index.js'

type Values = Float32Array | Float64Array
const BLOCK = 256
const { fround, abs, ceil, max, min } = Math

function blockInt8(values: Values): Uint8Array {
  const blocks = ceil(values.length / BLOCK)
  const view = new DataView(new ArrayBuffer(4 * blocks + values.length))
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * BLOCK, (b + 1) * BLOCK)
    const scale = min(fround(2.67938e36), fround(fround(max(...block.map(abs))) / 127))
    view.setFloat32(4 * b, scale, true)
    block.forEach((value, i) => {
      const shifted = fround(fround(fround(value) / scale) + 1.5 * 2 ** 23)
      const integer = scale === 0 ? 0 : max(-127, min(127, shifted - 1.5 * 2 ** 23))
      view.setInt8(4 * blocks + b * BLOCK + i, integer)
    })
  }
  return new Uint8Array(view.buffer)
}

function sign(values: Values): Uint8Array {
  const blocks = ceil(values.length / BLOCK)
  const bytes = new Uint8Array(4 * blocks + ceil(values.length / 8))
  const view = new DataView(bytes.buffer)
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * BLOCK, (b + 1) * BLOCK)
    let sum = 0
    block.forEach((value, i) => {
      const at = b * BLOCK + i
      sum += abs(fround(value))
      if (fround(value) < 0) bytes[4 * blocks + (at >> 3)] |= 1 << (at & 7)
    })
    view.setFloat32(4 * b, sum / block.length, true)
  }
  return bytes
}

function topK(values: Values, density: number): Uint8Array {
  const single = new Float32Array(values)
  const kept = [...single.keys()]
    .sort((i, j) => abs(single[j]) - abs(single[i]) || i - j)
    .slice(0, min(single.length, max(1, ceil(density * single.length))))
    .sort((i, j) => i - j)
  const view = new DataView(new ArrayBuffer(8 * kept.length))
  kept.forEach((i, j) => {
    view.setUint32(4 * j, i, true)
    view.setFloat32(4 * (kept.length + j), single[i], true)
  })
  return new Uint8Array(view.buffer)
}

export const PLAIN: { readonly [name in Lossy]: (values: Values, density: number) => Uint8Array } = {
  'block-int8': blockInt8,
  sign,
  'top-k': topK,
}

/** Bits of a float32. */
const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]
const floatOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]

/** The number with these bits of a binary16, by definition of the format. */
export function fromF16(bits: number): number {
  const [negative, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  if (exponent === 31) return fraction ? Number.NaN : negative * Number.POSITIVE_INFINITY
  return negative * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24)
}

/** The nearest binary16 to a finite float32, of two the even one: its magnitudes rise with its bits. */
export function toF16(value: number): number {
  const magnitude = abs(value)
  const magnitudeOf = (bits: number) => (bits === 0x7c00 ? 65536 : fromF16(bits))
  let [low, high] = [0, 0x7c00]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (magnitudeOf(middle) <= magnitude) low = middle
    else high = middle
  }
  const [below, above] = [magnitude - magnitudeOf(low), magnitudeOf(high) - magnitude]
  const nearest = below < above || (below === above && low % 2 === 0) ? low : high
  return nearest | ((bitsOf(value) >>> 16) & 0x8000)
}

/** The nearest bfloat16 to a finite float32, of two the even one. */
export function toBf16(value: number): number {
  const bits = bitsOf(value)
  const [below, above] = [bits & 0xffff, 0x10000 - (bits & 0xffff)]
  return (bits >>> 16) + (above < below || (above === below && (bits >>> 16) % 2 === 1) ? 1 : 0)
}
export const fromBf16 = (bits: number): number => floatOf((bits << 16) >>> 0)
