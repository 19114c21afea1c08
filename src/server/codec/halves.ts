/** The two 16-bit encodings: bfloat16 (upper half of a float32) and IEEE 754 binary16. */
import type { FloatArray } from '../../core/tensor.js'

type Half = 'bf16' | 'f16'

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)

function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function bf16ToNumber(bits: number): number {
  word[0] = bits << 16
  return float[0]
}

/** Round to nearest, ties to even; NaN stays NaN. */
function numberToBf16(value: number): number {
  float[0] = value
  const bits = word[0]
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

/** Round to nearest, ties to even; beyond 65,504 infinity, below 2^-14 subnormal. */
function numberToF16(value: number): number {
  float[0] = value
  const bits = word[0]
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 to the magnitude leaves its multiple of 2^-24, rounded by the hardware, in the low bits.
    word[0] = magnitude
    float[0] += 0.5
    return sign | (word[0] - 0x3f000000)
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

const tables: { [H in Half]?: Float32Array } = {}

/** All 65,536 values of an encoding: a look-up beats the arithmetic. */
function table(dtype: Half): Float32Array {
  return (tables[dtype] ??= Float32Array.from({ length: 65536 }, (_, bits) =>
    dtype === 'f16' ? f16ToNumber(bits) : bf16ToNumber(bits),
  ))
}

export function decodeHalf(dtype: Half, bits: Uint16Array, into: FloatArray, at: number): void {
  const values = table(dtype)
  for (let i = 0; i < bits.length; i++) into[at + i] = values[bits[i]]
}

export function encodeHalf(dtype: Half, values: FloatArray): Uint16Array {
  const out = new Uint16Array(values.length)
  if (dtype === 'bf16') for (let i = 0; i < out.length; i++) out[i] = numberToBf16(values[i])
  else for (let i = 0; i < out.length; i++) out[i] = numberToF16(values[i])
  return out
}
