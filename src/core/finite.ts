/** Whether arrays hold finite numbers only, at the speed of the cache: blocks are checked in SIMD WebAssembly. */
import { BYTES } from './finite.gen.js'
import type { FloatArray } from './tensor.js'

type Checks = { finite32(bytes: number): number; finite64(bytes: number): number }

/** Small enough to stay in the second-level cache. */
const BLOCK = 1 << 16
/** Bytes that the checks take at a time. */
const STRIDE = 64

const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 })
const block = new Uint8Array(memory.buffer)
const module = new WebAssembly.Module(Buffer.from(BYTES, 'base64'))
const { finite32, finite64 } = new WebAssembly.Instance(module, { env: { memory } }).exports as Checks

export function allFinite(array: FloatArray): boolean {
  const check = array instanceof Float64Array ? finite64 : finite32
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const part = bytes.subarray(at, at + BLOCK)
    const whole = Math.ceil(part.length / STRIDE) * STRIDE
    block.set(part)
    block.fill(0, part.length, whole)
    if (!check(whole)) return false
  }
  return true
}
