/** Parameters for a client that holds a copy of them: what its copy lacks, or all where nothing is known of it. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { encodeLacking, isLossy, type Lossy, type Piece } from '../../core/encodings/index.js'
import { allFinite } from '../../core/finite.js'
import type { Held as ProtoHeld } from '../../core/gen/asktell/v1/service_pb.js'
import type { TensorsSchema } from '../../core/gen/asktell/v1/tensor_pb.js'
import type { Dtype, FloatArray, TensorSpec, Tensors } from '../../core/tensor.js'
import type { Copies, Copy } from '../../sessions/copies.js'
import { count, fail, int64 } from './basics.js'
import { borrow, giveBack } from './staging.js'
import { decodeInto, dtypes, encode, lossies, type Place, placed, type TensorInit } from './tensors.js'

/** The fields of a tensor whose bytes travel with it. */
type Whole = TensorInit & { data: Uint8Array }

export type Held = { name: string; version: number }

export function heldFromProto(held: ProtoHeld, path: string): Held {
  const { copy, version } = held
  if (copy === '' || copy.length > 64) fail(`${path}.copy`, `expected 1 to 64 characters, got ${copy.length}`)
  return { name: copy, version: count(version, `${path}.version`) }
}

/** How deltas travel; in the dtypes of the manifest when `encoding` is undefined. */
export type DeltaFormat = { encoding: Dtype | Lossy | undefined; density: number }

/** The tensors for the holder of a copy; `held` and the copy are then what it makes of them. */
export function tensorsForHolder(
  tensors: Tensors,
  specs: readonly TensorSpec[],
  format: DeltaFormat,
  held: Held,
  copies: Copies,
  place: Place = () => undefined,
): MessageInitShape<typeof TensorsSchema> {
  const copy = copies.find(held.name, held.version)
  const deltas = copy && deltasOf(tensors, specs, format, copy)
  if (deltas) {
    const base = int64(held.version)
    held.version = ++copy.version
    return { tensors: elsewhere(deltas, place), version: int64(held.version), base }
  }
  const messages: Whole[] = []
  const sent: { [name: string]: FloatArray } = {}
  for (const [name, values] of Object.entries(tensors)) {
    sent[name] = like(values)
    messages.push(passOn(name, values, dtypeOf(name, specs), sent[name]))
  }
  held.version = copies.begin(held.name, sent).version
  return { tensors: elsewhere(messages, place), version: int64(held.version) }
}

function elsewhere(messages: Whole[], place: Place): Whole[] {
  for (const message of messages) {
    const { data } = message
    if (!placed(message, data, place)) continue
    message.data = new Uint8Array()
    giveBack(data)
  }
  return messages
}

/** Adds what travels to the copy. Undefined where a delta is no number on the wire; the copy is then of no use. */
function deltasOf(
  tensors: Tensors,
  specs: readonly TensorSpec[],
  { encoding, density }: DeltaFormat,
  copy: Copy,
): Whole[] | undefined {
  const messages: Whole[] = []
  for (const [name, values] of Object.entries(tensors)) {
    const held = copy.tensors[name]
    const format = encoding ?? dtypeOf(name, specs)
    if (isLossy(format)) {
      const pieces = encodeLacking(values, held, format, density)
      if (!pieces) return undefined
      messages.push(...pieces.map((piece) => passPiece(name, piece, format)))
      continue
    }
    const delta = like(values, borrow(values.byteLength).buffer)
    for (let i = 0; i < delta.length; i++) delta[i] = values[i] - held[i]
    messages.push(passOn(name, delta, format, delta))
    if (!allFinite(delta)) return undefined
    for (let i = 0; i < delta.length; i++) held[i] += delta[i]
    giveBack(delta)
  }
  return messages
}

const passPiece = (name: string, { offset, length, data }: Piece, format: Lossy): Whole => ({
  name,
  dtype: lossies.write(format),
  data,
  offset: int64(offset),
  length: int64(length),
})

/** The values as a message, and in `received` what the client makes of it. */
function passOn(name: string, values: FloatArray, dtype: Dtype, received: FloatArray): Whole {
  const data = encode(values, dtype)
  decodeInto(data, dtype, received, 0)
  return { name, dtype: dtypes.write(dtype), data }
}

const dtypeOf = (name: string, specs: readonly TensorSpec[]): Dtype =>
  specs.find((spec) => spec.name === name)?.dtype ?? 'f32'

const like = (values: FloatArray, buffer = new ArrayBuffer(values.byteLength)): FloatArray =>
  values instanceof Float64Array ? new Float64Array(buffer) : new Float32Array(buffer)
