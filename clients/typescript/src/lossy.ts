/** What a client keeps so that lossy encodings lose nothing in the long run. */
import { randomUUID } from 'node:crypto'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { DENSITY, encodeWithRest, isLossy, type Lossy } from './encodings/index.js'
import { Dtype, type TensorSchema, type Tensors as TensorsMessage, TensorsSchema } from './gen/asktell/v1/tensor_pb.js'
import { addTensor, type FloatArray, type Tensors, unpackTensors } from './tensors.js'

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
  /** What was left out, and an array for what is left out of the next. */
  private readonly rests = new Map<string, { rest: FloatArray; next: FloatArray }>()

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
    const touched: { rest: FloatArray; next: FloatArray }[] = []
    for (const [name, values] of Object.entries(gradient)) {
      const kept = this.kept(place, name, values)
      const { rest, next } = kept
      const pieces = encodeWithRest(values, rest, next, this.encoding, this.density)
      if (!pieces) {
        const i = values.findIndex((value, i) => !Number.isFinite(Math.fround(rest[i] + value)))
        throw new RangeError(`gradient ${name}[${i}]: expected a finite number, got ${values[i]}`)
      }
      touched.push(kept)
      for (const { offset, length, data } of pieces)
        tensors.push({ name, dtype: dtypeOf(this.encoding), data, offset: BigInt(offset), length: BigInt(length) })
    }
    for (const kept of touched) [kept.rest, kept.next] = [kept.next, kept.rest]
    return create(TensorsSchema, { tensors })
  }

  private kept(place: string, name: string, { length, BYTES_PER_ELEMENT }: FloatArray) {
    const key = JSON.stringify([place, name])
    const known = this.rests.get(key)
    if (known?.rest.length === length) return known
    const array = () => (BYTES_PER_ELEMENT === 8 ? new Float64Array(length) : new Float32Array(length))
    const fresh = { rest: array(), next: array() }
    this.rests.set(key, fresh)
    return fresh
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
    if (message.version === 0n) return unpackTensors(message)
    if (message.base === 0n)
      this.tensors = Object.fromEntries(
        Object.entries(unpackTensors(message)).map(([name, values]) => [name, values.slice()]),
      )
    else if (message.base === this.version) for (const tensor of message.tensors) addTensor(tensor, this.tensors)
    else throw new Error(`the session sent a delta of version ${message.base}, the copy is of version ${this.version}`)
    this.version = message.version
    return Object.fromEntries(Object.entries(this.tensors).map(([name, values]) => [name, values.slice()]))
  }
}
