import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cloneTree, decodeTree, encodeParts, encodeTree, Segments, type Tree, treeBytes } from '../../src/core/tree.js'

const wellFormed = fc.string({ unit: 'binary' })
const typed = fc.oneof(
  // From raw bytes, so that NaN payloads and subnormals occur.
  fc.uint8Array({ maxLength: 64 }).map((bytes) => {
    const whole = bytes.slice(0, bytes.length & ~7)
    return new Float64Array(whole.buffer)
  }),
  fc.uint8Array({ maxLength: 32 }).map((bytes) => new Float32Array(bytes.slice(0, bytes.length & ~3).buffer)),
  fc.int32Array(),
  fc.uint32Array(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int8Array(),
  fc.uint8Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
)
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double(),
    wellFormed,
    typed,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(wellFormed, fc.constant('__proto__'), fc.constant('constructor')), tie('tree'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
}))

describe('tree codec', () => {
  it('round-trips every tree to equal values and equal bytes', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const bytes = encodeTree(value)
        const again = decodeTree(bytes)
        expect(encodeTree(again)).toEqual(bytes)
        expect(again).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })

  it('gives large arrays as parts of their own, and takes bytes in parts for bytes', () => {
    const large = Float32Array.from({ length: 10_000 }, (_, i) => i)
    const value = { small: [1, 'a'], large, after: { large: large.slice(0, 5000), last: null } }
    const parts = encodeParts(value)
    expect(parts.filter(({ buffer }) => buffer === large.buffer)).toHaveLength(1)
    expect(new Segments(parts).join()).toEqual(encodeTree(value))
    expect(decodeTree(encodeTree(value))).toEqual(value)

    const whole = { before: 1, state: encodeTree(value), behind: [2] }
    const pieces = { ...whole, state: new Segments(parts) }
    expect(encodeTree(pieces)).toEqual(encodeTree(whole))
    expect(encodeTree(cloneTree(pieces))).toEqual(encodeTree(whole))
    expect(treeBytes(pieces)).toBe(treeBytes(whole))
  })

  it('keeps -0, NaN payloads, infinities and dtypes', () => {
    const payload = new Float64Array(new BigUint64Array([0x7ff8dead_beef0001n, 0xfff0000000000001n]).buffer)
    const again = decodeTree(encodeTree({ zero: -0, inf: [-Infinity, Number.NaN], payload })) as Record<string, Tree>
    expect(Object.is(again.zero, -0)).toBe(true)
    expect(again.inf).toEqual([-Infinity, Number.NaN])
    const bits = new BigUint64Array((again.payload as Float64Array).buffer)
    expect([...bits]).toEqual([0x7ff8dead_beef0001n, 0xfff0000000000001n])
  })

  it('keeps a byte order mark, NUL, astral and combining characters, short and long', () => {
    for (const text of ['\ufeffx', '\0', 'e\u0301', '\u{1f600}', '\uffff', 'x'.repeat(47) + 'é', '\ufeff'.repeat(5000)])
      for (const value of [text, { [text]: 1 }]) expect(decodeTree(encodeTree(value))).toEqual(value)
  })

  it('trees larger than any buffer kept between calls, one after another', () => {
    const large = { a: new Float64Array(20_000).fill(1.5), s: 'é'.repeat(70_000) }
    const first = encodeTree(large)
    const second = encodeTree({ small: 1 })
    expect(decodeTree(first)).toEqual(large)
    expect(decodeTree(second)).toEqual({ small: 1 })
    expect(decodeTree(encodeTree([first, second]))).toEqual([first, second])
  })

  it('a copy of a Buffer is a copy', () => {
    const bytes = Buffer.from(encodeTree(Float64Array.of(1, 2)))
    const tree = decodeTree(bytes) as Float64Array
    bytes.fill(0)
    expect(tree).toEqual(Float64Array.of(1, 2))
  })

  it('keeps "__proto__" as a plain key, also when cloned', () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": 1}, "a": 2}') as Tree
    for (const copy of [decodeTree(encodeTree(hostile)), cloneTree(hostile)]) {
      expect(Object.keys(copy as object)).toEqual(['__proto__', 'a'])
      expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
      expect((copy as { polluted?: number }).polluted).toBeUndefined()
    }
  })

  it('writes only the window of a typed array and hands back aligned copies', () => {
    const whole = Float32Array.of(1, 2, 3, 4)
    const again = decodeTree(encodeTree({ odd: 'x', window: whole.subarray(1, 3) })) as { window: Float32Array }
    expect(again.window).toEqual(Float32Array.of(2, 3))
    whole[1] = 9
    expect(again.window[0]).toBe(2)
    const shared = new Float64Array(new SharedArrayBuffer(16))
    shared[1] = 5
    expect(decodeTree(encodeTree(shared))).toEqual(Float64Array.of(0, 5))
  })

  it('drops undefined fields, keeps key order', () => {
    expect(decodeTree(encodeTree({ b: 1, a: undefined, c: 2 }))).toEqual({ b: 1, c: 2 })
    expect(Object.keys(decodeTree(encodeTree({ b: 1, a: 2 })) as object)).toEqual(['b', 'a'])
  })

  it.each([
    ['a function', { a: [() => 1] }, 'state.a[0]: a function'],
    ['undefined in an array', { a: [undefined] }, 'state.a[0]: a undefined'],
    ['a bigint', { a: 1n }, 'state.a: a bigint'],
    ['a Map', { a: { b: new Map() } }, 'state.a.b: Map'],
    ['a DataView', { a: new DataView(new ArrayBuffer(1)) }, 'state.a: DataView'],
    ['half a surrogate pair', { a: '\ud800' }, 'state.a: the string is not well-formed'],
  ])('refuses %s and says where', (_, value, message) => {
    expect(() => encodeTree(value as unknown as Tree)).toThrow(TypeError)
    expect(() => encodeTree(value as unknown as Tree)).toThrow(message)
  })

  it('every truncation is a RangeError', () => {
    fc.assert(
      fc.property(tree, fc.nat(), (value, at) => {
        const bytes = encodeTree(value)
        expect(() => decodeTree(bytes.subarray(0, at % bytes.length))).toThrow(RangeError)
      }),
      { numRuns: 500 },
    )
  })

  it('bytes left over are a RangeError', () => {
    expect(() => decodeTree(Uint8Array.of(0, 0))).toThrow('1 bytes left over')
  })

  it('any bytes decode to a tree or throw RangeError', () => {
    const damaged = fc.tuple(tree, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
      const bytes = encodeTree(value)
      bytes[at % bytes.length] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        try {
          decodeTree(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('a length that the bytes cannot hold is refused before anything is allocated', () => {
    const bytes = encodeTree(new Float64Array(2))
    new DataView(bytes.buffer, bytes.byteOffset).setFloat64(1, 2 ** 40, true)
    expect(() => decodeTree(bytes)).toThrow(RangeError)
    new DataView(bytes.buffer, bytes.byteOffset).setFloat64(1, Number.NaN, true)
    expect(() => decodeTree(bytes)).toThrow(RangeError)
  })
})

describe('cloneTree and treeBytes', () => {
  it('a clone is equal and shares nothing', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(encodeTree(cloneTree(value))).toEqual(encodeTree(value))
      }),
    )
    const original = { a: [Float64Array.of(1)] }
    cloneTree(original).a[0][0] = 2
    expect(original.a[0][0]).toBe(1)
  })

  it('treeBytes counts the typed arrays alone', () => {
    expect(treeBytes({ a: new Float32Array(3), b: ['text', new Int8Array(2)], c: undefined, d: null })).toBe(14)
  })
})
