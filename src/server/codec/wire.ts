/**
 * Messages as bytes, written once and in one pass. The writer of protobuf-es moves a nested payload once per level and
 * once more at the end; of a step's answer that took longer than the step.
 *
 * Fields are written from the last to the first, into the end of a buffer, so that the length of a nested message is known
 * when its header is written; large bytes fields are not copied but become parts of their own.
 */
import { type DescField, type DescMessage, fromJson, ScalarType, toBinary } from '@bufbuild/protobuf'
import { StructSchema, ValueSchema } from '@bufbuild/protobuf/wkt'

type Fields = Record<string, unknown>
/** Writes a value, without its tag. */
type WriteValue = (out: Backwards, value: never) => void
/** Writes a field of a message with its tags, or nothing when it is not set. */
type WriteField = (out: Backwards, message: Fields) => void

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5]
/** Bytes fields from this length on are not copied. */
const LARGE = 1 << 10
const IMPLICIT = 2

const encoder = new TextEncoder()
/** Longer than whatever is written in one piece. */
const scratch = Buffer.allocUnsafeSlow(1 << 16)

/** A buffer that fills from its end. */
class Backwards {
  readonly parts: Uint8Array[] = []
  /** Of all that was written. */
  length = 0
  private at = scratch.length
  private end = scratch.length

  private reserve(n: number): void {
    if (this.at >= n) return
    this.flush()
    // What was flushed lies elsewhere: the buffer is free again.
    this.at = this.end = scratch.length
  }
  private flush(): void {
    if (this.at < this.end) this.parts.push(Buffer.from(scratch.subarray(this.at, this.end)))
    this.end = this.at
  }
  finish(): Uint8Array[] {
    this.flush()
    return this.parts.reverse()
  }
  /** Makes room for n bytes and gives its beginning. */
  private take(n: number): number {
    this.reserve(n)
    this.length += n
    this.at -= n
    return this.at
  }

  varint(value: number): void {
    if (value < 0 || !Number.isSafeInteger(value)) return this.varint64(BigInt(value))
    let n = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) n++
    let at = this.take(n)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) scratch[at++] = (rest % 0x80) | 0x80
    scratch[at] = rest
  }
  varint64(value: bigint): void {
    if (value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) return this.varint(Number(value))
    const bytes: number[] = []
    let rest = BigInt.asUintN(64, value)
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    scratch.set(bytes, this.take(bytes.length))
  }
  double(value: number): void {
    const at = this.take(8)
    scratch.writeDoubleLE(value, at)
  }
  float(value: number): void {
    const at = this.take(4)
    scratch.writeFloatLE(value, at)
  }
  text(value: string): void {
    const start = this.length
    // Ids and names are short and ASCII: the encoder costs more than such a string.
    let ascii = value.length <= 64
    for (let i = 0; ascii && i < value.length; i++) ascii = value.charCodeAt(i) < 0x80
    if (ascii) {
      const at = this.take(value.length)
      for (let i = 0; i < value.length; i++) scratch[at + i] = value.charCodeAt(i)
    } else this.bytes(encoder.encode(value))
    this.varint(this.length - start)
  }
  /** The bytes alone. */
  bytes(value: Uint8Array): void {
    if (value.length < LARGE) return scratch.set(value, this.take(value.length))
    this.flush()
    this.parts.push(value)
    this.length += value.length
  }
}

const scalars: { readonly [type: number]: { wire: number; write: WriteValue } | undefined } = {
  [ScalarType.DOUBLE]: { wire: FIXED64, write: (out, value: number) => out.double(value) },
  [ScalarType.FLOAT]: { wire: FIXED32, write: (out, value: number) => out.float(value) },
  [ScalarType.INT32]: { wire: VARINT, write: (out, value: number) => out.varint(value) },
  [ScalarType.UINT32]: { wire: VARINT, write: (out, value: number) => out.varint(value) },
  [ScalarType.INT64]: { wire: VARINT, write: (out, value: bigint) => out.varint64(value) },
  [ScalarType.UINT64]: { wire: VARINT, write: (out, value: bigint) => out.varint64(value) },
  [ScalarType.BOOL]: { wire: VARINT, write: (out, value: boolean) => out.varint(Number(value)) },
  [ScalarType.STRING]: { wire: DELIMITED, write: (out, value: string) => out.text(value) },
  [ScalarType.BYTES]: { wire: DELIMITED, write: delimited((out, value: Uint8Array) => out.bytes(value)) },
}

/** The same behind its length. */
function delimited<T>(write: (out: Backwards, value: T) => void): (out: Backwards, value: T) => void {
  return (out, value) => {
    const start = out.length
    write(out, value)
    out.varint(out.length - start)
  }
}

/** How a value of a field is written; for a map, the value of an entry. */
function writerOf(field: DescField): { wire: number; write: WriteValue } {
  if (field.enum) return scalars[ScalarType.INT32]!
  if (field.scalar !== undefined) {
    const scalar = scalars[field.scalar]
    if (!scalar) throw new Error(`${field}: this scalar type has no writer`)
    return scalar
  }
  const { message } = field
  // Generated code holds a Struct as the plain object that it stands for, but for the one in a Value.
  if (message?.typeName === StructSchema.typeName && field.parent.typeName !== ValueSchema.typeName)
    return {
      wire: DELIMITED,
      write: delimited((out, value) => out.bytes(toBinary(StructSchema, fromJson(StructSchema, value)))),
    }
  return { wire: DELIMITED, write: delimited((out, value: Fields) => write(out, message as DescMessage, value)) }
}

/** Values that count as false and are written all the same. */
const signs = (value: unknown): boolean => Number.isNaN(value) || Object.is(value, -0)

function fieldOf(field: DescField): WriteField {
  const { localName: name } = field
  const { wire, write: put } = writerOf(field)
  const tag = (field.number << 3) | wire
  const one = (out: Backwards, value: unknown) => {
    put(out, value as never)
    out.varint(tag)
  }
  if (field.fieldKind === 'map') {
    const key = scalars[field.mapKey]!
    return (out, message) => {
      for (const [k, value] of Object.entries((message[name] ?? {}) as Fields).reverse()) {
        const start = out.length
        put(out, value as never)
        out.varint((2 << 3) | wire)
        key.write(out, (field.mapKey === ScalarType.STRING ? k : JSON.parse(k)) as never)
        out.varint((1 << 3) | key.wire)
        out.varint(out.length - start)
        out.varint((field.number << 3) | DELIMITED)
      }
    }
  }
  if (field.fieldKind === 'list')
    return (out, message) => {
      const list = message[name] as readonly unknown[] | undefined
      if (!list?.length) return
      const start = out.length
      for (let i = list.length - 1; i >= 0; i--) (field.packed ? put : one)(out, list[i] as never)
      if (!field.packed) return
      out.varint(out.length - start)
      out.varint((field.number << 3) | DELIMITED)
    }
  const { oneof } = field
  if (oneof)
    return (out, message) => {
      const chosen = message[oneof.localName] as { case?: string; value?: unknown } | undefined
      if (chosen?.case === name) one(out, chosen.value)
    }
  if (field.presence === IMPLICIT)
    return (out, message) => {
      const value = message[name]
      const empty = value instanceof Uint8Array ? value.length === 0 : !value && !signs(value)
      if (!empty) one(out, value)
    }
  return (out, message) => {
    if (message[name] !== undefined) one(out, message[name])
  }
}

/** By type, the last field first. */
const plans = new WeakMap<DescMessage, readonly WriteField[]>()

function write(out: Backwards, desc: DescMessage, message: Fields): void {
  let plan = plans.get(desc)
  if (!plan) {
    plan = [...desc.fields].sort((a, b) => b.number - a.number).map(fieldOf)
    plans.set(desc, plan)
  }
  for (const field of plan) field(out, message)
}

/**
 * The bytes of a message, or of the fields of one, in parts: large bytes fields as they lie, and what is between them. Fields
 * alone do: to make messages of all that they hold takes longer than to write them.
 */
export function encode(desc: DescMessage, message: object): Uint8Array[] {
  const out = new Backwards()
  write(out, desc, message as Fields)
  return out.finish()
}
