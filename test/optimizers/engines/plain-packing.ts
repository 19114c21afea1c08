/** The packing of state as plain loops, from its description: what the kernels are compared with. */
import { hashName, philox4x32 } from '../../../src/core/rng.js'

export type Plain = { scales: Float32Array; codes: Uint8Array }
type Draws = (i: number) => number

const floats = new Float32Array(1)
const words = new Uint32Array(floats.buffer)
const bitsOf = (value: number): number => {
  floats[0] = value
  return words[0]
}
export const floatOf = (bits: number): number => {
  words[0] = bits
  return floats[0]
}

/** 16 bits for element i of a tensor: 32 elements share four Philox blocks, of which words go by eights of elements. */
export function draws(seed: number, tensor: number, slot: string): Draws {
  const block = new Uint32Array(4)
  return (i) => {
    const [group, j, lane, half] = [i >>> 5, (i >>> 3) & 3, (i >>> 1) & 3, i & 1]
    const counter = [4 * group + lane, tensor, hashName(slot)[0], 1]
    philox4x32(counter, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, block)
    return (block[j] >>> (16 * half)) & 0xffff
  }
}

export function toBf16(values: ArrayLike<number>, random: Draws): Uint16Array {
  return Uint16Array.from({ length: values.length }, (_, i) => {
    const bits = bitsOf(values[i])
    const magnitude = bits & 0x7fffffff
    if (magnitude > 0x7f800000) return (bits >>> 16) | 0x40
    return magnitude >= 0x7f7f0000 ? bits >>> 16 : Math.floor((bits + random(i)) / 2 ** 16)
  })
}
export const fromBf16 = (codes: Uint16Array): Float32Array =>
  Float32Array.from(codes, (code) => floatOf(code * 2 ** 16))

const { fround } = Math
const LARGEST = 3.4028234663852886e38

/** The map of a block is told by the sign of its scale. */
export function toInt8(
  values: ArrayLike<number>,
  maps: { signed: Float32Array; unsigned: Float32Array },
  random: Draws,
): Plain {
  const blocks = Math.ceil(values.length / 256)
  const [scales, codes] = [new Float32Array(blocks), new Uint8Array(values.length)]
  for (let b = 0; b < blocks; b++) {
    const part = Array.from({ length: Math.min(256, values.length - 256 * b) }, (_, i) => fround(values[256 * b + i]))
    if (part.some(Number.isNaN)) {
      scales[b] = Number.NaN
      continue
    }
    const most = Math.min(LARGEST, Math.max(...part.map(Math.abs)))
    const signed = part.some((value) => value < 0)
    scales[b] = signed || most === 0 ? most : -most
    if (most === 0) continue
    const map = signed ? maps.signed : maps.unsigned
    for (const [i, found] of part.entries()) {
      const value = Math.min(most, Math.max(-most, found))
      const ratio = fround(value / most)
      let k = map.findLastIndex((number) => number <= ratio)
      const back = (code: number) => fround(map[code] * most)
      if (k < 255 && back(k) !== value) {
        const up = fround((random(256 * b + i) + 0.5) / 65536)
        if (back(k + 1) === value || fround(up * fround(map[k + 1] - map[k])) < fround(ratio - map[k])) k++
      }
      codes[256 * b + i] = k === 0 && !signed && value > 0 ? 1 : k
    }
  }
  return { scales, codes }
}
