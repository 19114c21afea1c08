/**
 * Messages that carry many bytes, written with one copy. The writer of protobuf-es moves a nested payload once per
 * level and once more at the end; of 10 MB in a step's answer that was twenty times the cost of a copy.
 *
 * A message is the concatenation of its fields in any order, so the light fields are left to protobuf-es, and the
 * fields that lead to bytes follow, each behind its tag and length.
 */
import { type DescField, type DescMessage, type Message, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { giveBack } from './staging.js'

/** Below this, the general writer is as good. */
const LARGE = 4 << 10
const BYTES = 12

type Fields = Record<string, unknown>

const plans = new WeakMap<DescMessage, readonly DescField[]>()

/** Fields of a message that are bytes or lead to bytes. */
function heavyFields(desc: DescMessage): readonly DescField[] {
  let plan = plans.get(desc)
  if (!plan) {
    // A type that contains itself is not followed again.
    plans.set(desc, [])
    plan = desc.fields.filter(
      (field) =>
        field.scalar === BYTES || (field.message && field.fieldKind !== 'map' && heavyFields(field.message).length > 0),
    )
    plans.set(desc, plan)
  }
  return plan
}

function valuesOf(message: Fields, field: DescField): readonly unknown[] {
  if (field.oneof) {
    const { case: name, value } = message[field.oneof.localName] as { case?: string; value?: unknown }
    return name === field.localName ? [value] : []
  }
  const value = message[field.localName]
  if (field.fieldKind === 'list') return value as unknown[]
  return value === undefined ? [] : [value]
}

/** How many bytes the bytes fields of a message hold, nested ones included. */
function heavyBytes(desc: DescMessage, message: Fields): number {
  let sum = 0
  for (const field of heavyFields(desc))
    for (const value of valuesOf(message, field))
      sum += field.message ? heavyBytes(field.message, value as Fields) : (value as Uint8Array).length
  return sum
}

function without(message: Fields, fields: readonly DescField[]): Fields {
  const light = { ...message }
  for (const field of fields) {
    if (!field.oneof)
      light[field.localName] = field.fieldKind === 'list' ? [] : field.message ? undefined : new Uint8Array(0)
    else if ((message[field.oneof.localName] as { case?: string }).case === field.localName)
      light[field.oneof.localName] = { case: undefined }
  }
  return light
}

/** Appends the parts of a message and returns their length. */
function collect(desc: DescMessage, message: Fields, parts: Uint8Array[]): number {
  const heavy = heavyFields(desc)
  const light = toBinary(desc, without(message, heavy) as unknown as Message)
  parts.push(light)
  let length = light.length
  for (const field of heavy)
    for (const value of valuesOf(message, field)) {
      const at = parts.push(light) - 1
      const size = field.message
        ? collect(field.message, value as Fields, parts)
        : parts.push(value as Uint8Array) && (value as Uint8Array).length
      const header = new BinaryWriter().tag(field.number, WireType.LengthDelimited).uint32(size).finish()
      parts[at] = header
      length += header.length + size
    }
  return length
}

/**
 * The bytes of a message, not yet put together. It stands in for a Buffer where grpc-js serializes: there a message is
 * only asked for its length and to copy itself into the frame that is sent, once: the parts may be used again after that.
 */
export class Encoded {
  readonly parts: Uint8Array[] = []
  readonly byteLength: number

  constructor(desc: DescMessage, message: Message) {
    const fields = message as unknown as Fields
    if (heavyBytes(desc, fields) >= LARGE) this.byteLength = collect(desc, fields, this.parts)
    else this.byteLength = this.parts[this.parts.push(toBinary(desc, message)) - 1].length
  }

  copy(target: Uint8Array, start: number): void {
    let at = start
    for (const part of this.parts) {
      target.set(part, at)
      at += part.length
      giveBack(part)
    }
  }

  toBuffer(): Buffer {
    const bytes = Buffer.allocUnsafe(this.byteLength)
    this.copy(bytes, 0)
    return bytes
  }
}
