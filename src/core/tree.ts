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
export type Leaf = null | boolean | number | string | TypedArray
export type Tree = Leaf | readonly Tree[] | { readonly [key: string]: Tree | undefined }

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

class Writer {
  bytes = new Uint8Array(1024)
  view = new DataView(this.bytes.buffer)
  length = 0

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
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  text(value: string) {
    const bytes = encoder.encode(value)
    this.size(bytes.length)
    this.raw(bytes)
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

function write(out: Writer, tree: Tree, path: string): void {
  if (tree === null) return out.byte(Tag.null)
  if (tree === false) return out.byte(Tag.false)
  if (tree === true) return out.byte(Tag.true)
  if (typeof tree === 'number') {
    out.byte(Tag.number)
    return out.size(tree)
  }
  if (typeof tree === 'string') {
    out.byte(Tag.string)
    return out.text(tree)
  }
  if (Array.isArray(tree)) {
    out.byte(Tag.array)
    out.size(tree.length)
    for (let i = 0; i < tree.length; i++) write(out, tree[i], `${path}[${i}]`)
    return
  }
  if (ArrayBuffer.isView(tree)) {
    const kind = ARRAYS.findIndex((A) => tree instanceof A)
    if (kind < 0) throw new TypeError(`state at ${path}: ${tree.constructor.name} cannot be stored`)
    out.byte(Tag.typed + kind)
    out.size(tree.length)
    return out.raw(new Uint8Array(tree.buffer, tree.byteOffset, tree.byteLength))
  }
  if (typeof tree === 'object') {
    const proto = Object.getPrototypeOf(tree)
    if (proto !== Object.prototype && proto !== null)
      throw new TypeError(`state at ${path}: ${proto?.constructor?.name} is not a plain record`)
    const entries = Object.entries(tree).filter(([, value]) => value !== undefined) as [string, Tree][]
    out.byte(Tag.record)
    out.size(entries.length)
    for (const [key, value] of entries) {
      out.text(key)
      write(out, value, `${path}.${key}`)
    }
    return
  }
  throw new TypeError(`state at ${path}: a ${typeof tree} cannot be stored`)
}

/** Bytes of a tree. Throws TypeError naming the path of a value that is not plain data. */
export function encodeTree(tree: Tree): Uint8Array {
  const out = new Writer()
  write(out, tree, 'state')
  return out.bytes.subarray(0, out.length)
}

/** The tree of bytes written by encodeTree. Typed arrays are fresh, aligned copies. Throws RangeError on damage. */
export function decodeTree(bytes: Uint8Array): Tree {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const size = () => {
    const value = view.getFloat64(at, true)
    at += 8
    return value
  }
  const text = () => {
    const n = size()
    if (!(n >= 0 && at + n <= bytes.length)) throw new RangeError(`tree: string of ${n} bytes at ${at} is cut short`)
    const value = decoder.decode(bytes.subarray(at, at + n))
    at += n
    return value
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
        return size()
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
          // "__proto__" as a key must stay data.
          Object.defineProperty(record, key, { value: read(), writable: true, enumerable: true, configurable: true })
        }
        return record
      }
      default: {
        const A = ARRAYS[tag - Tag.typed]
        if (!A) throw new RangeError(`tree: unknown tag ${tag} at byte ${at - 1}`)
        const n = size()
        const length = n * A.BYTES_PER_ELEMENT
        if (!(n >= 0 && at + length <= bytes.length)) throw new RangeError(`tree: array at byte ${at} is cut short`)
        const copy = bytes.slice(at, at + length)
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
  const copy: Record<string, Tree> = {}
  for (const [key, value] of Object.entries(tree)) if (value !== undefined) copy[key] = cloneTree(value as Tree)
  return copy as T
}

/** Bytes that the typed arrays of a tree hold. */
export function treeBytes(tree: Tree | undefined): number {
  if (tree === null || typeof tree !== 'object') return 0
  if (ArrayBuffer.isView(tree)) return tree.byteLength
  return Object.values(tree).reduce((sum: number, value) => sum + treeBytes(value as Tree), 0)
}
