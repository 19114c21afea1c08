/** Tensors on the wire: packed little-endian bytes of plain floats or in a lossy encoding, whole or in chunks. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { decodeHalf, encodeHalf } from '../../core/encodings/halves.js'
import { ENCODINGS, isLossy, type Lossy } from '../../core/encodings/index.js'
import type { Reason } from '../../core/errors.js'
import {
  type ExtentSchema,
  Dtype as ProtoDtype,
  type Tensor as ProtoTensor,
  type TensorSchema,
  type TensorsSchema,
} from '../../core/gen/asktell/v1/tensor_pb.js'
import type { Loan } from '../../core/loan.js'
import { DTYPES, type Dtype, elements, type FloatArray, type TensorSpec, type Tensors } from '../../core/tensor.js'
import { count, enumTable, fail, quote } from './basics.js'
import { borrow, markLent } from './staging.js'

export const dtypes = enumTable<ProtoDtype, Dtype>([
  [ProtoDtype.F32, 'f32'],
  [ProtoDtype.F64, 'f64'],
  [ProtoDtype.BF16, 'bf16'],
  [ProtoDtype.F16, 'f16'],
])
export const lossies = enumTable<ProtoDtype, Lossy>([
  [ProtoDtype.BLOCK_INT8, 'block-int8'],
  [ProtoDtype.SIGN, 'sign'],
  [ProtoDtype.TOP_K, 'top-k'],
])
/** All that a tensor may travel in. */
export const encodings = enumTable<ProtoDtype, Dtype | Lossy>([...dtypes.entries, ...lossies.entries])

/** An array for this tensor, to be filled by the caller. */
export function arrayFor({ dtype, shape }: TensorSpec): FloatArray {
  const { buffer } = borrow(elements(shape) * (dtype === 'f64' ? 8 : 4))
  return dtype === 'f64' ? new Float64Array(buffer) : new Float32Array(buffer)
}

/** Decodes packed bytes into `into` from element `at` on. The bytes need not be aligned. */
export function decodeInto(bytes: Uint8Array, dtype: Dtype, into: FloatArray, at: number): void {
  if (dtype === 'bf16' || dtype === 'f16') return decodeHalf(dtype, bytes, into, at)
  const n = bytes.length / DTYPES[dtype]
  if ((dtype === 'f32' && into instanceof Float32Array) || (dtype === 'f64' && into instanceof Float64Array)) {
    new Uint8Array(into.buffer, into.byteOffset + at * DTYPES[dtype], bytes.length).set(bytes)
    return
  }
  // Not slice(): that of a Buffer is no copy.
  const aligned = bytes.byteOffset % DTYPES[dtype] === 0 ? bytes : new Uint8Array(bytes)
  if (dtype === 'f32') into.set(new Float32Array(aligned.buffer, aligned.byteOffset, n), at)
  else into.set(new Float64Array(aligned.buffer, aligned.byteOffset, n), at)
}

/** Below this, bytes may share a buffer with much else, which a view would keep alive. */
const VIEWED = 4096

/**
 * A whole tensor that came in one piece, as an array on the received bytes, which spares a second buffer of that size.
 * Bytes that are not aligned are moved down over their tag and length in the message, which have been read: three bytes
 * at least. Undefined where the tensor has to be decoded.
 */
function viewOf(tensor: ProtoTensor, dtype: Dtype, spec: TensorSpec): FloatArray | undefined {
  const { data } = tensor
  const bytes = DTYPES[dtype]
  if (data.length < VIEWED || dtype !== spec.dtype || (dtype !== 'f32' && dtype !== 'f64')) return undefined
  const skew = data.byteOffset % bytes
  const at = data.byteOffset - skew
  if (skew > 3) return undefined
  if (skew > 0) {
    tensor.data = new Uint8Array(data.buffer, at, data.length)
    tensor.data.set(data)
  }
  const n = data.length / bytes
  return dtype === 'f32' ? new Float32Array(data.buffer, at, n) : new Float64Array(data.buffer, at, n)
}

/** Packed bytes of an array; a copy, also where the encoding is the array's own. */
export function encode(values: FloatArray, dtype: Dtype): Uint8Array {
  if ((dtype === 'f32' && values instanceof Float32Array) || (dtype === 'f64' && values instanceof Float64Array)) {
    const copy = borrow(values.byteLength)
    copy.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return copy
  }
  if (dtype === 'f32' || dtype === 'f64') {
    const copy = dtype === 'f32' ? new Float32Array(values) : new Float64Array(values)
    return new Uint8Array(copy.buffer)
  }
  return encodeHalf(dtype, values)
}

/** Told of arrays before they are made, in bytes; may refuse. */
export type Reserve = (bytes: number) => void

/** Refuses arrays of more than `most` bytes in all: with loss, a few bytes may stand for many. */
export function allowance(most: number, path: string): Reserve {
  let sum = 0
  return (bytes) => {
    sum += bytes
    if (sum > most) fail(path, `expected gradients of at most ${most} bytes in all, decoded`, 'MESSAGE_TOO_LARGE')
  }
}

/**
 * Puts tensors together from chunks that come in any order. `done` refuses what does not cover each tensor exactly.
 * Paths are those of the request that carries the chunk.
 */
export class TensorAssembler {
  private readonly specs: Map<string, TensorSpec>
  private readonly arrays = new Map<string, FloatArray>()
  /** Covered ranges of elements by tensor, sorted and merged. */
  private readonly covered = new Map<string, [number, number][]>()

  constructor(
    specs: readonly TensorSpec[],
    private readonly reason: Reason,
    private readonly reserve: Reserve = () => {},
    /** Lossy encodings that may come. */
    private readonly takes: readonly Lossy[] = [],
    /** Arrays to put the tensors together in, where they have the manifest's dtypes. */
    private readonly into: Tensors = {},
  ) {
    this.specs = new Map(specs.map((spec) => [spec.name, spec]))
  }

  /** Whether the bytes were copied: else an array lies on them. */
  add(tensor: ProtoTensor, path: string): boolean {
    const { name, data } = tensor
    const spec = this.specs.get(name)
    if (!spec) return fail(`${path}.name`, `the space has no tensor ${quote(name)}`, this.reason)
    const encoding = encodings.read(tensor.dtype, `${path}.dtype`) ?? spec.dtype
    const size = elements(spec.shape)
    const start = count(tensor.offset, `${path}.offset`)
    const end = start + this.lengthOf(tensor, encoding, size - start, path)
    if (end > size)
      fail(
        `${path}.data`,
        `expected at most ${size - start} elements from ${start} on, got ${end - start}`,
        this.reason,
      )
    this.cover(name, start, end, path)
    let array = this.arrays.get(name)
    const lossy = isLossy(encoding)
    if (!array) {
      this.reserve(size * (spec.dtype === 'f64' ? 8 : 4))
      const view = !lossy && end - start === size ? viewOf(tensor, encoding, spec) : undefined
      this.arrays.set(name, (array = view ?? this.given(spec) ?? arrayFor(spec)))
      if (view) return false
    }
    if (lossy) ENCODINGS[encoding].decode(data, array, start, end - start)
    else decodeInto(data, encoding, array, start)
    return true
  }

  private given({ name, dtype }: TensorSpec): FloatArray | undefined {
    const array = this.into[name]
    return (dtype === 'f64') === array instanceof Float64Array ? array : undefined
  }

  /** How many elements the data of a tensor stands for, of the `left` that it may. */
  private lengthOf({ data, length }: ProtoTensor, encoding: Dtype | Lossy, left: number, path: string): number {
    if (!isLossy(encoding)) {
      const width = DTYPES[encoding]
      if (data.length % width !== 0)
        fail(`${path}.data`, `expected a multiple of ${width} bytes (${encoding}), got ${data.length}`, this.reason)
      return data.length / width
    }
    if (!this.takes.includes(encoding))
      fail(`${path}.dtype`, `${encoding} is not taken here; it takes ${takenOf(this.takes)}`, this.reason)
    const stated = count(length, `${path}.length`) || Math.max(0, left)
    if (stated > left) fail(`${path}.length`, `expected at most ${left} elements, got ${stated}`, this.reason)
    const wrong = ENCODINGS[encoding].wrong(data, stated)
    if (wrong) fail(`${path}.data`, `${wrong} (${encoding}, ${stated} elements)`, this.reason)
    return stated
  }

  private cover(name: string, start: number, end: number, path: string): void {
    if (start === end) return
    let ranges = this.covered.get(name)
    if (!ranges) this.covered.set(name, (ranges = []))
    let i = ranges.findIndex(([from]) => from >= start)
    if (i < 0) i = ranges.length
    const [before, after] = [ranges[i - 1], ranges[i]]
    if ((before && before[1] > start) || (after && after[0] < end))
      fail(`${path}.offset`, `elements ${start} to ${end - 1} of ${quote(name)} were sent before`, this.reason)
    const joinsBefore = before?.[1] === start
    const joinsAfter = after?.[0] === end
    ranges.splice(i - Number(joinsBefore), Number(joinsBefore) + Number(joinsAfter), [
      joinsBefore ? before[0] : start,
      joinsAfter ? after[1] : end,
    ])
  }

  /** The tensors, each complete. Those of which nothing came are refused too, unless `partial`. */
  done(path: string, partial = false): Tensors {
    for (const [name, spec] of this.specs) {
      const ranges = this.covered.get(name)
      if (!ranges) {
        if (!partial) fail(path, `tensor ${quote(name)} is missing`, this.reason)
        continue
      }
      const size = elements(spec.shape)
      const got = ranges.reduce((n, [start, end]) => n + end - start, 0)
      if (got !== size) fail(path, `tensor ${quote(name)} has ${size} elements, got ${got}`, this.reason)
    }
    return Object.fromEntries(this.arrays)
  }
}

const takenOf = (lossy: readonly Lossy[]): string => [...Object.keys(DTYPES), ...lossy].join(', ')

export function tensorsFromProto(
  tensors: readonly ProtoTensor[],
  specs: readonly TensorSpec[],
  path: string,
  reason: Reason,
  { partial = false, reserve, takes }: { partial?: boolean; reserve?: Reserve; takes?: readonly Lossy[] } = {},
): Tensors {
  const assembler = new TensorAssembler(specs, reason, reserve, takes)
  tensors.forEach((tensor, k) => {
    assembler.add(tensor, `${path}.tensors[${k}]`)
  })
  return assembler.done(path, partial)
}

/** Arrays that no manifest tells of: whole, by name, f64 where no dtype is given. Their lengths are checked elsewhere. */
export function arraysFromProto(arrays: readonly ProtoTensor[], path: string): Tensors {
  const read = new Map<string, FloatArray>()
  arrays.forEach((tensor, k) => {
    const at = `${path}.tensors[${k}]`
    const { name, data } = tensor
    const dtype = dtypes.read(tensor.dtype, `${at}.dtype`) ?? 'f64'
    if (read.has(name)) fail(`${at}.name`, `${quote(name)} was sent before`, 'OBSERVATION_INVALID')
    if (tensor.offset !== 0n) fail(`${at}.offset`, 'expected 0: this goes in one piece', 'OBSERVATION_INVALID')
    if (data.length % DTYPES[dtype] !== 0)
      fail(
        `${at}.data`,
        `expected a multiple of ${DTYPES[dtype]} bytes (${dtype}), got ${data.length}`,
        'OBSERVATION_INVALID',
      )
    const array = arrayFor({ name, shape: [data.length / DTYPES[dtype]], dtype })
    decodeInto(data, dtype, array, 0)
    read.set(name, array)
  })
  return Object.fromEntries(read)
}

/** Arrays of so many bytes are lent rather than copied. */
const LENT = 1 << 20

/**
 * Each tensor in `encoding`, or in the manifest's own. Copies: the arrays may change right after. Large ones are lent where
 * that is possible, and their bytes then only for `Encoded`.
 */
export function tensorsToProto(
  tensors: Tensors,
  specs: readonly TensorSpec[],
  encoding: Dtype | undefined,
  place: Place = () => undefined,
  lend?: (bytes: Uint8Array) => Loan,
): MessageInitShape<typeof TensorsSchema> {
  const own = new Map(specs.map((spec) => [spec.name, spec.dtype]))
  return {
    tensors: Object.entries(tensors).map(([name, values]) => {
      const dtype = encoding ?? own.get(name) ?? (values instanceof Float64Array ? 'f64' : 'f32')
      const message: TensorInit = { name, dtype: dtypes.write(dtype) }
      const asItIs = dtype === (values instanceof Float64Array ? 'f64' : 'f32')
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      if (asItIs && placed(message, bytes, place)) return message
      if (asItIs && lend && bytes.length >= LENT) {
        message.data = markLent(bytes, lend(bytes))
        return message
      }
      const data = encode(values, dtype)
      if (asItIs || !placed(message, data, place)) message.data = data
      return message
    }),
  }
}

/** The fields of a tensor on its way out. */
export type TensorInit = Exclude<MessageInitShape<typeof TensorSchema>, ProtoTensor>

/** Puts the bytes of a tensor where they do not travel with its message, or gives undefined. */
export type Place = (bytes: Uint8Array) => MessageInitShape<typeof ExtentSchema> | undefined

/** Whether the bytes are somewhere else now, which the message then says. */
export function placed(message: TensorInit, bytes: Uint8Array, place: Place): boolean {
  const extent = place(bytes)
  if (extent) message.shared = extent
  return extent !== undefined
}
