// Copied from src/core/encodings by scripts/generate-client.mjs.
/** The two 16-bit floats: bfloat16 (upper half of a float32) and IEEE 754 binary16. Rounded to nearest, ties to even. */
import { partsOf, type Values } from './codec.js'
import { bring, bringBytes, kernels, padded, take, takeBytes } from './kernels.js'

export type Half = 'bf16' | 'f16'

/** What packed bytes stand for, into an array from an element on. */
export function decodeHalf(dtype: Half, bytes: Uint8Array, into: Values, start: number): void {
  const decode = dtype === 'bf16' ? kernels.fromBf16 : kernels.fromF16
  partsOf(bytes.length / 2, (at, length, { c, packed }) => {
    bringBytes(bytes, 2 * at, 2 * length, packed)
    decode(packed, padded(length), c)
    take(c, length, into, start + at)
  })
}

/** Packed bytes, of the nearest float32 where the values are float64. Beyond the largest number infinity; NaN stays NaN. */
export function encodeHalf(dtype: Half, values: Values): Uint8Array {
  const encode = dtype === 'bf16' ? kernels.toBf16 : kernels.toF16
  const bytes = new Uint8Array(2 * values.length)
  partsOf(values.length, (at, length, { a, packed }) => {
    bring(values, at, length, a)
    encode(a, padded(length), packed)
    takeBytes(packed, 2 * length, bytes, 2 * at)
  })
  return bytes
}
