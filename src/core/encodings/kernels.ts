/**
 * The encodings' arithmetic as SIMD WebAssembly, and the memory that it works in. A part of a tensor is brought in, encoded
 * or decoded, and taken out again before the next, so that what is worked on stays in the cache.
 */
import type { Values } from './codec.js'
import { BYTES } from './kernels.gen.js'

type Kernels = {
  plus(a: number, b: number, n: number, to: number): void
  minus(a: number, b: number, n: number, to: number): void
  finite(a: number, n: number): number
  demote(from: number, n: number, to: number): void
  quantize(from: number, n: number, largestScale: number, scales: number, integers: number): void
  dequantize(scales: number, integers: number, n: number, to: number): void
  signs(from: number, n: number, scales: number, bits: number): void
  unsign(scales: number, bits: number, n: number, to: number): void
  topK(from: number, length: number, n: number, k: number, room: number, to: number): void
  scatter(pairs: number, k: number, n: number, to: number): void
  toBf16(from: number, n: number, to: number): void
  fromBf16(from: number, n: number, to: number): void
  toF16(from: number, n: number, to: number): void
  fromF16(from: number, n: number, to: number): void
}

/** Elements of a part. */
export const PART = 1 << 14
/** Elements come in multiples of this, filled up with zeros. */
const STRIDE = 1 << 11
const PAGE = 1 << 16

const memory = new WebAssembly.Memory({ initial: 1 })
const module = new WebAssembly.Module(Buffer.from(BYTES, 'base64'))
export const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels

let heap = new Uint8Array(memory.buffer)

export const padded = (length: number): number => Math.ceil(length / STRIDE) * STRIDE

/** Where things lie: three arrays of float32, and bytes for what is encoded and on the way to it. */
export type Places = { a: number; b: number; c: number; packed: number }
const places: Places = { a: 0, b: 0, c: 0, packed: 0 }
let most = 0

/** Room for parts of so many elements. What was there before is gone. */
export function placesFor(length: number): Places {
  if (length <= most) return places
  most = Math.max(PART, padded(length))
  Object.assign(places, { a: 0, b: 4 * most, c: 8 * most, packed: 12 * most })
  // float64 on its way, or counters, candidates and pairs of top-k.
  const bytes = 24 * most + (1 << 13)
  const missing = Math.ceil((bytes - memory.buffer.byteLength) / PAGE)
  if (missing > 0) memory.grow(missing)
  heap = new Uint8Array(memory.buffer)
  return places
}

/** Brings elements from `at` on in, as float32, and zeros behind them. */
export function bring(values: Values, at: number, length: number, to: number): void {
  if (values instanceof Float64Array) {
    const { packed } = places
    heap.set(new Uint8Array(values.buffer, values.byteOffset + 8 * at, 8 * length), packed)
    heap.fill(0, packed + 8 * length, packed + 8 * padded(length))
    kernels.demote(packed, padded(length), to)
    return
  }
  heap.set(new Uint8Array(values.buffer, values.byteOffset + 4 * at, 4 * length), to)
  heap.fill(0, to + 4 * length, to + 4 * padded(length))
}

export function bringBytes(bytes: Uint8Array, at: number, length: number, to: number): void {
  heap.set(bytes.subarray(at, at + length), to)
}

/** Takes float32 out to an array, from its element `at` on, or adds them to what is there. */
export function take(from: number, length: number, into: Values, at: number, added = false): void {
  if (into instanceof Float64Array) {
    const values = new Float32Array(memory.buffer, from, length)
    if (!added) into.set(values, at)
    else for (let i = 0; i < length; i++) into[at + i] += values[i]
    return
  }
  if (added) {
    bring(into, at, length, places.a)
    kernels.plus(places.a, from, padded(length), from)
  }
  new Uint8Array(into.buffer, into.byteOffset + 4 * at, 4 * length).set(heap.subarray(from, from + 4 * length))
}

export function takeBytes(from: number, length: number, into: Uint8Array, at: number): void {
  into.set(heap.subarray(from, from + length), at)
}
