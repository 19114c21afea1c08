/** What a client keeps so that lossy encodings lose nothing in the long run. */
import { randomUUID } from 'node:crypto'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DENSITY, decodePieces, encodePieces, isLossy, type Lossy } from './encodings/index.js'
import { Dtype, type TensorSchema, type Tensors as TensorsMessage, TensorsSchema } from './gen/asktell/v1/tensor_pb.js'
import { type FloatArray, type Tensors, unpackTensors } from './tensors.js'

/** How tensors travel. Plain floats always do; the lossy ones in sessions that were created with them. */
export type Encoding = 'f32' | 'f64' | 'bf16' | 'f16' | Lossy

const DTYPES: { readonly [name in Encoding]: Dtype } = {
  f32: Dtype.F32,
  f64: Dtype.F64,
  bf16: Dtype.BF16,
  f16: Dtype.F16,
  'block-int8': Dtype.BLOCK_INT8,
  sign: Dtype.SIGN,
  'top-k': Dtype.TOP_K,
}

/** Throws TypeError for a name that is none of an encoding. */
export function dtypeOf(name: Encoding): Dtype {
  const names = Object.keys(DTYPES)
  if (!names.includes(name)) throw new TypeError(`encoding: expected one of ${names.join(', ')}, got ${name}`)
  return DTYPES[name]
}

/**
 * Encodes gradients; what an encoding leaves out of one is added to the next.
 * Karimireddy, Rebjock, Stich, Jaggi, Error feedback fixes SignSGD (2019), https://arxiv.org/abs/1901.09847.
 */
export class ErrorFeedback {
  private readonly left = new Map<string, FloatArray>()
  /** What the session makes of the tensor under way. */
  private came = new Float32Array()

  /** `density` is the share of the elements that `top-k` keeps. */
  constructor(
    readonly encoding: Lossy,
    readonly density: number = DENSITY,
  ) {
    if (!isLossy(encoding)) throw new TypeError(`${encoding} leaves nothing out that could be added later`)
  }

  /**
   * A gradient for an observation. Those with one `place` follow on each other: of one purpose, at one of its points.
   * Throws RangeError when an element is no finite float32; nothing is kept of such a gradient.
   */
  encode(gradient: Tensors, place = ''): TensorsMessage {
    const tensors: MessageInitShape<typeof TensorSchema>[] = []
    const entries = Object.entries(gradient).map(([name, values]) => ({
      name,
      values,
      rest: this.rest(place, name, values),
    }))
    for (const { name, values, rest } of entries)
      for (let i = 0; i < rest.length; i++)
        if (!Number.isFinite(Math.fround(rest[i] + values[i])))
          throw new RangeError(`gradient ${name}[${i}]: expected a finite number, got ${values[i]}`)
    for (const { name, values, rest } of entries) {
      for (let i = 0; i < rest.length; i++) rest[i] += values[i]
      const pieces = encodePieces(rest, this.encoding, this.density)
      for (const { offset, length, data } of pieces)
        tensors.push({ name, dtype: dtypeOf(this.encoding), data, offset: BigInt(offset), length: BigInt(length) })
      const came = this.room(rest.length)
      decodePieces(pieces, this.encoding, came)
      for (let i = 0; i < rest.length; i++) rest[i] -= came[i]
    }
    return create(TensorsSchema, { tensors })
  }

  private rest(place: string, name: string, { length, BYTES_PER_ELEMENT }: FloatArray): FloatArray {
    const key = JSON.stringify([place, name])
    const known = this.left.get(key)
    if (known?.length === length) return known
    const rest = BYTES_PER_ELEMENT === 8 ? new Float64Array(length) : new Float32Array(length)
    this.left.set(key, rest)
    return rest
  }

  private room(length: number): Float32Array {
    if (this.came.length < length) this.came = new Float32Array(length)
    return this.came
  }
}

/** The parameters as this client holds them, which a session may send deltas against. Belongs to one session. */
export class HeldCopy {
  /** By which the session knows it. */
  readonly name = randomUUID()
  version = 0n
  private tensors: { readonly [name: string]: FloatArray } = {}

  /** Tensors of a message: added to the copy when they are a delta. */
  unpack(message: TensorsMessage): Record<string, FloatArray> {
    const received = unpackTensors(message)
    if (message.version === 0n) return received
    if (message.base !== 0n) {
      if (message.base !== this.version)
        throw new Error(`the session sent a delta of version ${message.base}, the copy is of version ${this.version}`)
      for (const [name, values] of Object.entries(this.tensors)) {
        const delta = received[name]
        for (let i = 0; i < values.length; i++) values[i] += delta[i]
      }
    } else this.tensors = Object.fromEntries(Object.entries(received).map(([name, values]) => [name, values.slice()]))
    this.version = message.version
    return Object.fromEntries(Object.entries(this.tensors).map(([name, values]) => [name, values.slice()]))
  }
}
