/**
 * State is a plain tree: records, arrays, scalars and typed arrays. Nothing else survives a restart, so nothing
 * else is allowed. The codec round-trips every bit: -0, NaN payloads, dtypes, key order.
 */
export type TypedArray =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array
export type Leaf = null | boolean | number | string | TypedArray | Segments
export type Tree = Leaf | readonly Tree[] | { readonly [key: string]: Tree | undefined }

/** Bytes that lie in several places, stored as one Uint8Array. */
export class Segments {
  readonly length: number
  constructor(readonly parts: readonly Uint8Array[]) {
    this.length = parts.reduce((sum, { length }) => sum + length, 0)
  }
  /** A copy in one piece. */
  join(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.length)
    let at = 0
    for (const part of this.parts) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }
}

const ARRAYS = [
  Float64Array,
  Float32Array,
  Int32Array,
  Uint32Array,
  Int16Array,
  Uint16Array,
  Int8Array,
  Uint8Array,
  BigInt64Array,
  BigUint64Array,
] as const

const Tag = { null: 0, false: 1, true: 2, number: 3, string: 4, array: 5, record: 6, typed: 16 } as const

/** Most trees are small: they are written here and copied out. */
const scratch = new Uint8Array(1 << 16)
const scratchView = new DataView(scratch.buffer)
/** Arrays of so many bytes become parts of their own, uncopied. */
const BULK = 1 << 14

class Writer {
  /** What is complete, ahead of `bytes`. */
  readonly parts: Uint8Array[] = []
  bytes = scratch
  view = scratchView
  length = 0

  finish(): readonly Uint8Array[] {
    if (this.length > 0) this.flush()
    return this.parts
  }
  private flush() {
    const bytes = this.bytes.subarray(0, this.length)
    this.parts.push(this.bytes === scratch ? bytes.slice() : bytes)
    this.bytes = scratch
    this.view = scratchView
    this.length = 0
  }

  reserve(n: number) {
    if (this.length + n <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + n))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }
  byte(value: number) {
    this.reserve(1)
    this.bytes[this.length++] = value
  }
  size(value: number) {
    this.reserve(8)
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }
  raw(bytes: Uint8Array) {
    if (bytes.length >= BULK) {
      this.flush()
      this.parts.push(bytes)
      return
    }
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  text(value: string, trail: readonly (string | number)[]) {
    this.reserve(8 + 3 * value.length)
    const at = this.length + 8
    // Keys and ids are short and ASCII: the encoder costs more than such a string.
    let n = 0
    if (value.length <= 48)
      for (let code: number; n < value.length && (code = value.charCodeAt(n)) < 0x80; n++) this.bytes[at + n] = code
    if (n < value.length) {
      // UTF-8 has no form for half of a surrogate pair: it would come back as another string.
      if (!value.isWellFormed()) throw new TypeError(`state at ${place(trail)}: the string is not well-formed Unicode`)
      n = encoder.encodeInto(value, this.bytes.subarray(at)).written
    }
    this.size(n)
    this.length += n
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `trail` is where the tree lies, for errors. */
function write(out: Writer, tree: Tree, trail: (string | number)[]): void {
  if (tree === null) return out.byte(Tag.null)
  if (tree === false) return out.byte(Tag.false)
  if (tree === true) return out.byte(Tag.true)
  if (typeof tree === 'number') {
    out.byte(Tag.number)
    return out.size(tree)
  }
  if (typeof tree === 'string') {
    out.byte(Tag.string)
    return out.text(tree, trail)
  }
  if (Array.isArray(tree)) {
    out.byte(Tag.array)
    out.size(tree.length)
    for (let i = 0; i < tree.length; i++) {
      trail.push(i)
      write(out, tree[i], trail)
      trail.pop()
    }
    return
  }
  if (ArrayBuffer.isView(tree)) {
    const kind = ARRAYS.findIndex((A) => tree instanceof A)
    if (kind < 0) throw new TypeError(`state at ${place(trail)}: ${tree.constructor.name} cannot be stored`)
    out.byte(Tag.typed + kind)
    out.size(tree.length)
    return out.raw(new Uint8Array(tree.buffer, tree.byteOffset, tree.byteLength))
  }
  if (tree instanceof Segments) {
    out.byte(Tag.typed + ARRAYS.indexOf(Uint8Array))
    out.size(tree.length)
    for (const part of tree.parts) out.raw(part)
    return
  }
  if (typeof tree === 'object') {
    const proto = Object.getPrototypeOf(tree)
    if (proto !== Object.prototype && proto !== null)
      throw new TypeError(`state at ${place(trail)}: ${proto?.constructor?.name} is not a plain record`)
    const record = tree as { readonly [key: string]: Tree | undefined }
    const keys = Object.keys(record)
    let count = 0
    for (const key of keys) if (record[key] !== undefined) count++
    out.byte(Tag.record)
    out.size(count)
    for (const key of keys) {
      const value = record[key]
      if (value === undefined) continue
      out.text(key, trail)
      trail.push(key)
      write(out, value, trail)
      trail.pop()
    }
    return
  }
  throw new TypeError(`state at ${place(trail)}: a ${typeof tree} cannot be stored`)
}

const place = (trail: readonly (string | number)[]): string =>
  `state${trail.map((at) => (typeof at === 'number' ? `[${at}]` : `.${at}`)).join('')}`

/** Sets an own property; "__proto__" as a key must stay data. */
function set(record: Record<string, Tree>, key: string, value: Tree): void {
  if (key !== '__proto__') record[key] = value
  else Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true })
}

/**
 * Bytes of a tree in parts, of which large ones are its own arrays: valid until those change. Throws TypeError naming the path
 * of a value that is not plain data.
 */
export function encodeParts(tree: Tree): readonly Uint8Array[] {
  const out = new Writer()
  write(out, tree, [])
  return out.finish()
}

/** Bytes of a tree, which share nothing with it. Throws as `encodeParts`. */
export function encodeTree(tree: Tree): Uint8Array {
  const parts = encodeParts(tree)
  return parts.length === 1 ? parts[0] : new Segments(parts).join()
}

/** The tree of bytes written by encodeTree. Typed arrays are fresh, aligned copies. Throws RangeError on damage. */
export function decodeTree(bytes: Uint8Array): Tree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const number = () => {
    const value = view.getFloat64(at, true)
    at += 8
    return value
  }
  const size = () => {
    const n = number()
    // Every element takes at least one byte.
    if (!(Number.isInteger(n) && n >= 0 && at + n <= bytes.length))
      throw new RangeError(`tree: a length of ${n} at byte ${at - 8} does not fit`)
    return n
  }
  const text = () => {
    const n = size()
    const start = at
    at += n
    try {
      return decoder.decode(bytes.subarray(start, at))
    } catch {
      throw new RangeError(`tree: string at byte ${start} is not UTF-8`)
    }
  }
  const read = (): Tree => {
    const tag = bytes[at++]
    switch (tag) {
      case Tag.null:
        return null
      case Tag.false:
        return false
      case Tag.true:
        return true
      case Tag.number:
        return number()
      case Tag.string:
        return text()
      case Tag.array: {
        const n = size()
        const array: Tree[] = []
        for (let i = 0; i < n; i++) array.push(read())
        return array
      }
      case Tag.record: {
        const n = size()
        const record: Record<string, Tree> = {}
        for (let i = 0; i < n; i++) {
          const key = text()
          set(record, key, read())
        }
        return record
      }
      default: {
        const A = ARRAYS[tag - Tag.typed]
        if (!A) throw new RangeError(`tree: unknown tag ${tag} at byte ${at - 1}`)
        const n = size()
        const length = n * A.BYTES_PER_ELEMENT
        if (at + length > bytes.length) throw new RangeError(`tree: array at byte ${at} is cut short`)
        // Not slice(): that of a Buffer is no copy.
        const copy = new Uint8Array(bytes.subarray(at, at + length))
        at += length
        return new A(copy.buffer as ArrayBuffer, 0, n)
      }
    }
  }
  const tree = read()
  if (at !== bytes.length) throw new RangeError(`tree: ${bytes.length - at} bytes left over`)
  return tree
}

/** A deep copy that shares nothing with the original. */
export function cloneTree<T extends Tree>(tree: T): T {
  if (tree === null || typeof tree !== 'object') return tree
  if (ArrayBuffer.isView(tree)) return (tree as Float64Array).slice() as unknown as T
  if (Array.isArray(tree)) return tree.map(cloneTree) as unknown as T
  if (tree instanceof Segments) return new Segments(tree.parts.map((part) => part.slice())) as unknown as T
  const copy: Record<string, Tree> = {}
  for (const [key, value] of Object.entries(tree)) if (value !== undefined) set(copy, key, cloneTree(value as Tree))
  return copy as T
}

/** Bytes that the typed arrays of a tree hold. */
export function treeBytes(tree: Tree | undefined): number {
  if (tree === null || typeof tree !== 'object') return 0
  if (ArrayBuffer.isView(tree)) return tree.byteLength
  if (tree instanceof Segments) return tree.length
  return Object.values(tree).reduce((sum: number, value) => sum + treeBytes(value as Tree), 0)
}
