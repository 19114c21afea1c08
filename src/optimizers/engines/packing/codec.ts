/**
 * State of rules in fewer bytes than float32: what a packed array stands for, and the kernels that pack and unpack. They run
 * in the memory of a kernel of the wasm engine, or here, part by part, for arrays that lie elsewhere.
 *
 * Both types round to one of the two neighbours at random, so that the mean is the value. Rounded to the nearest, an average
 * v <- v + (1 - beta)*(g^2 - v) would stop where (1 - beta)*|g^2 - v| is less than half of the distance to the next number:
 * in bf16 with beta = 0.999 it could never fall (docs/decisions/0013-state-dtype.md).
 */
import { hashName } from '../../../core/rng.js'
import type { FloatArray } from '../../../core/tensor.js'
import { BYTES } from './kernels.gen.js'
import { TABLES } from './map.js'

/** `int8`: the scale of each block of 256 as float32 ahead of the codes. */
export type PackedDtype = 'bf16' | 'int8'

/** Tensors with fewer elements are not packed: Dettmers et al. (2022), section 2. */
export const LEAST_PACKED = 4096

/** Elements with a scale of their own. Parts of tensors begin at multiples of it. */
export const BLOCK = 256
const blocksOf = (elements: number): number => Math.ceil(elements / BLOCK)

export const packedBytes = (dtype: PackedDtype, elements: number): number =>
  dtype === 'bf16' ? 2 * elements : 4 * blocksOf(elements) + elements

/** What the rounding is drawn from: the seed of a step, the place of the tensor in the manifest, the number of the slot. */
export type Draw = { seed: number; tensor: number; site: number }
export const siteOf = (slot: string): number => hashName(slot)[0]

/** Bytes of what a block is rounded with. */
export const ROOM = (2 + 5 * 4 + 1) * BLOCK
export const TABLE_BYTES = TABLES.length

type Exports = {
  packBf16(from: number, wide: boolean, n: number, to: number, room: number, ...draw: number[]): void
  unpackBf16(from: number, n: number, to: number, wide: boolean): void
  packInt8(from: number, wide: boolean, n: number, scales: number, codes: number, ...rest: number[]): void
  unpackInt8(scales: number, codes: number, n: number, tables: number, to: number, wide: boolean): void
}
const module = new WebAssembly.Module(Buffer.from(BYTES, 'base64'))

/** Where elements from `first`, a multiple of 256, on lie in a packed tensor of `size`, the address of whose bytes is `bytes`. */
type Place = { bytes: number; size: number; first: number }

/** Packs and unpacks in a memory. */
export class Packer {
  private readonly kernels: Exports

  constructor(
    memory: WebAssembly.Memory,
    private readonly tables: number,
    private readonly room: number,
    /** Whether values are float64. */
    private readonly wide: boolean,
  ) {
    this.kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports
    new Uint8Array(memory.buffer).set(TABLES, tables)
  }

  /** Packs n values; `index` is that of the first in its tensor. */
  pack(dtype: PackedDtype, from: number, n: number, to: Place, draw: Draw, index = to.first): void {
    const { kernels, wide, tables, room } = this
    const random = [draw.seed >>> 0, Math.floor(draw.seed / 2 ** 32) >>> 0, draw.tensor, draw.site, index]
    const [[start], codes] = spans(dtype, to, n)
    if (codes) kernels.packInt8(from, wide, n, start, codes[0], tables, room, ...random)
    else kernels.packBf16(from, wide, n, start, room, ...random)
  }

  unpack(dtype: PackedDtype, from: Place, n: number, to: number): void {
    const { kernels, wide, tables } = this
    const [[start], codes] = spans(dtype, from, n)
    if (codes) kernels.unpackInt8(start, codes[0], n, tables, to, wide)
    else kernels.unpackBf16(start, n, to, wide)
  }
}

/** Where n elements have their bytes, address and length: all of them, or scales and codes. */
function spans(dtype: PackedDtype, { bytes, size, first }: Place, n: number): (readonly [number, number])[] {
  if (dtype === 'bf16') return [[bytes + 2 * first, 2 * n]]
  return [
    [bytes + (4 * first) / BLOCK, 4 * blocksOf(n)],
    [bytes + 4 * blocksOf(size) + first, n],
  ]
}

/** Elements of a part of an array that lies elsewhere. */
const PART = 1 << 14
const VALUES = TABLE_BYTES + ROOM
const PACKED = VALUES + 8 * PART
const PAGE = 1 << 16
const memory = new WebAssembly.Memory({ initial: Math.ceil((PACKED + 2 * PART) / PAGE) })
const packers = [false, true].map((wide) => new Packer(memory, 0, TABLE_BYTES, wide))
const heap = new Uint8Array(memory.buffer)

/** Works on values part by part, each copied to `here`; `whole` is where its bytes are as a tensor of their own. */
function eachPart(
  values: FloatArray,
  work: (part: { here: FloatArray; at: number; whole: Place; packer: Packer }) => void,
): void {
  const wide = values instanceof Float64Array
  const here = wide ? new Float64Array(memory.buffer, VALUES, PART) : new Float32Array(memory.buffer, VALUES, PART)
  for (let at = 0; at < values.length; at += PART) {
    const size = Math.min(PART, values.length - at)
    const whole = { bytes: PACKED, size, first: 0 }
    work({ here: here.subarray(0, size), at, whole, packer: packers[Number(wide)] })
  }
}

/** The spans of a part in an array of bytes beside those of the same bytes here. */
const pairs = (dtype: PackedDtype, whole: Place, size: number, first: number) =>
  spans(dtype, { bytes: 0, size, first }, whole.size).map(
    ([at, length], i) => [at, length, spans(dtype, whole, whole.size)[i][0]] as const,
  )

/** Packs values into the bytes of a tensor of `size`, whose elements from `first`, a multiple of 256, on they are. */
export function pack(
  dtype: PackedDtype,
  values: FloatArray,
  bytes: Uint8Array,
  draw: Draw,
  size = values.length,
  first = 0,
): void {
  eachPart(values, ({ here, at, whole, packer }) => {
    here.set(values.subarray(at, at + whole.size))
    packer.pack(dtype, VALUES, whole.size, whole, draw, first + at)
    for (const [to, length, from] of pairs(dtype, whole, size, first + at))
      bytes.set(heap.subarray(from, from + length), to)
  })
}

/** Unpacks elements from `first`, a multiple of 256, on. */
export function unpack(
  dtype: PackedDtype,
  bytes: Uint8Array,
  values: FloatArray,
  size = values.length,
  first = 0,
): void {
  eachPart(values, ({ here, at, whole, packer }) => {
    for (const [from, length, to] of pairs(dtype, whole, size, first + at))
      heap.set(bytes.subarray(from, from + length), to)
    packer.unpack(dtype, whole, whole.size, VALUES)
    values.set(here, at)
  })
}
