import { create } from '@bufbuild/protobuf'
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

/** A half-precision number (bits) as a double. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Elements of packed little-endian bytes; the bytes may lie at any alignment. */
export function decode(data: Uint8Array, dtype: Dtype): FloatArray {
  const width = dtype === Dtype.F64 ? 8 : dtype === Dtype.F32 ? 4 : 2
  // Not slice(): of a Buffer, as grpc-js hands out, that is a view at the same offset.
  const aligned = data.byteOffset % width === 0 ? data : new Uint8Array(data)
  const length = data.byteLength / width
  if (dtype === Dtype.F64) return new Float64Array(aligned.buffer, aligned.byteOffset, length)
  if (dtype === Dtype.F32) return new Float32Array(aligned.buffer, aligned.byteOffset, length)
  const bits = new Uint16Array(aligned.buffer, aligned.byteOffset, length)
  const out = new Float32Array(length)
  if (dtype === Dtype.F16) for (let i = 0; i < length; i++) out[i] = half(bits[i])
  else {
    const words = new Uint32Array(out.buffer)
    for (let i = 0; i < length; i++) words[i] = bits[i] << 16
  }
  return out
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
