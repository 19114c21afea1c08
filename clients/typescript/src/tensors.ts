import { create } from '@bufbuild/protobuf'
import { decodeHalf } from './encodings/halves.js'
import { ENCODINGS } from './encodings/index.js'
import { Dtype, type Tensor, type Tensors as TensorsMessage, TensorsSchema } from './gen/asktell/v1/tensor_pb.js'

export type FloatArray = Float32Array | Float64Array
/** Values by tensor name, row-major. */
export type Tensors = { readonly [name: string]: FloatArray }

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Tensors as a message. The bytes are the arrays' own memory, not a copy. */
export const packTensors = (tensors: Tensors): TensorsMessage =>
  create(TensorsSchema, {
    tensors: Object.entries(tensors).map(([name, array]) => ({
      name,
      dtype: array instanceof Float64Array ? Dtype.F64 : Dtype.F32,
      data: bytesOf(array),
    })),
  })

const LOSSY = {
  [Dtype.BLOCK_INT8]: ENCODINGS['block-int8'],
  [Dtype.SIGN]: ENCODINGS.sign,
  [Dtype.TOP_K]: ENCODINGS['top-k'],
} as { readonly [dtype in Dtype]?: (typeof ENCODINGS)[keyof typeof ENCODINGS] }

/** Elements of packed little-endian bytes; the bytes may lie at any alignment. */
export function decode(data: Uint8Array, dtype: Dtype): FloatArray {
  if (dtype === Dtype.BF16 || dtype === Dtype.F16) {
    const out = new Float32Array(data.byteLength / 2)
    decodeHalf(dtype === Dtype.F16 ? 'f16' : 'bf16', data, out, 0)
    return out
  }
  const width = dtype === Dtype.F64 ? 8 : 4
  // Not slice(): of a Buffer, as grpc-js hands out, that is a view at the same offset.
  const aligned = data.byteOffset % width === 0 ? data : new Uint8Array(data)
  const length = data.byteLength / width
  if (dtype === Dtype.F64) return new Float64Array(aligned.buffer, aligned.byteOffset, length)
  return new Float32Array(aligned.buffer, aligned.byteOffset, length)
}

/** Elements of a tensor in whatever encoding; lossy ones say how many they are. */
function elementsOf({ data, dtype, length }: Tensor): FloatArray {
  const lossy = LOSSY[dtype]
  if (!lossy) return decode(data, dtype)
  const out = new Float32Array(Number(length))
  lossy.decode(data, out, 0, out.length)
  return out
}

/** Tensors of a message. Chunks of one tensor are put together. */
export function unpackTensors(message: TensorsMessage): Record<string, FloatArray> {
  const out: Record<string, FloatArray> = {}
  const chunks = new Map<string, { offset: number; values: FloatArray }[]>()
  for (const tensor of message.tensors) {
    const list = chunks.get(tensor.name) ?? []
    list.push({ offset: Number(tensor.offset), values: elementsOf(tensor) })
    chunks.set(tensor.name, list)
  }
  for (const [name, list] of chunks) {
    if (list.length === 1) {
      out[name] = list[0].values
      continue
    }
    const length = Math.max(...list.map(({ offset, values }) => offset + values.length))
    const whole = list[0].values instanceof Float64Array ? new Float64Array(length) : new Float32Array(length)
    for (const { offset, values } of list) whole.set(values, offset)
    out[name] = whole
  }
  return out
}

/** Adds a tensor of a message, whole or a chunk, to those that it is a part of. */
export function addTensor({ name, dtype, data, offset, length }: Tensor, to: Tensors): void {
  const into = to[name]
  const at = Number(offset)
  const lossy = LOSSY[dtype]
  if (lossy) return lossy.decode(data, into, at, Number(length), true)
  const values = decode(data, dtype)
  for (let i = 0; i < values.length; i++) into[at + i] += values[i]
}
