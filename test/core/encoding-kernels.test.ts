/** The kernels of the encodings give the bits of plain loops, with and without what is computed around them. */
import { describe, expect, it } from 'vitest'
import { decodeHalf, encodeHalf, type Half } from '../../src/core/encodings/halves.js'
import {
  decodePieces,
  ENCODINGS,
  encodeLacking,
  encodePieces,
  encodeWithRest,
  LOSSY,
  PIECE,
  type Piece,
} from '../../src/core/encodings/index.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { fromBf16, fromF16, PLAIN, toBf16, toF16 } from './plain-encodings.js'

const rng = new Rng(rngStream(3, 'kernels'))
const normal = (length: number, scale = 1) => Float32Array.from({ length }, () => scale * rng.normal())
const wide = (length: number) => Float32Array.from({ length }, () => rng.normal() * 10 ** (76 * rng.uniform() - 38))
/** The same bits; matchers that explain a difference take seconds for a million elements. */
const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength)
const same = (a: ArrayBufferView, b: ArrayBufferView) => expect(bytes(a).equals(bytes(b))).toBe(true)
const samePieces = (a: readonly Piece[] | undefined, b: readonly Piece[]) => {
  expect(a?.map(({ offset, length }) => [offset, length])).toEqual(b.map(({ offset, length }) => [offset, length]))
  b.forEach(({ data }, i) => {
    same(a![i].data, data)
  })
}
const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length)

const AWKWARD: { readonly [name: string]: Float32Array } = {
  none: new Float32Array(),
  one: Float32Array.of(-3),
  zeros: Float32Array.from({ length: 513 }, (_, i) => (i % 2 ? -0 : 0)),
  subnormal: normal(700, 3e-44),
  'two of one magnitude': Float32Array.from({ length: 777 }, (_, i) => (i % 3 ? 2 : -2)),
  largest: Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38, 1e30),
  'all magnitudes': wide(5000),
  'a whole part': normal(1 << 14),
  'parts and a bit': normal((1 << 14) * 2 + 257),
  'steps of halves': Float32Array.from({ length: 2049 }, (_, i) => (i - 1024) / 2),
}

describe.each(LOSSY)('%s', (name) => {
  it.each(Object.entries(AWKWARD))('of %s', (_, values) => {
    for (const density of [0.001, 0.1, 0.7, 1]) {
      same(ENCODINGS[name].encode(values, density), PLAIN[name](values, density))
      if (name !== 'top-k') break
    }
  })

  it('of float64, as of the float32 nearest to them', () => {
    const doubles = Float64Array.from({ length: 3000 }, () => rng.normal() * 1e-3)
    same(ENCODINGS[name].encode(doubles, 0.1), PLAIN[name](doubles, 0.1))
  })

  it.each([Float32Array, Float64Array])('error feedback and deltas, as %O', (Kind) => {
    const n = PIECE + 300
    const [values, before] = [Kind.from(normal(n)), Kind.from(normal(n, 0.1))]
    const total = values.map((x, i) => x + before[i])
    const pieces = encodePieces(total, name, 0.01)
    const came = new Float32Array(n)
    decodePieces(pieces, name, came)

    const left = new Kind(n)
    samePieces(encodeWithRest(values, before, left, name, 0.01), pieces)
    same(
      left,
      total.map((x, i) => x - came[i]),
    )

    const copy = before.slice()
    const delta = encodeLacking(values, copy, name, 0.01)!
    const lacked = values.map((x, i) => x - before[i])
    samePieces(delta, encodePieces(lacked, name, 0.01))
    const added = before.slice()
    for (const { offset, length, data } of delta) ENCODINGS[name].decode(data, added, offset, length, true)
    same(added, copy)
    decodePieces(delta, name, came)
    same(
      copy,
      before.map((x, i) => x + came[i]),
    )
  })

  it('what is no finite float32 is told, and what was left out before stays', () => {
    for (const Kind of [Float32Array, Float64Array]) {
      const rest = Kind.of(3e38, 1)
      expect(encodeWithRest(Kind.of(3e38, 1), rest, new Kind(2), name, 1)).toBeUndefined()
      expect(encodeWithRest(Kind.of(Number.NaN, 1), rest, new Kind(2), name, 1)).toBeUndefined()
      expect(rest).toEqual(Kind.of(3e38, 1))
      expect(encodeLacking(Kind.of(3e38, 1), Kind.of(-3e38, 1), name, 1)).toBeUndefined()
    }
  })
})

describe.each<[Half, (bits: number) => number, (value: number) => number]>([
  ['f16', fromF16, toF16],
  ['bf16', fromBf16, toBf16],
])('%s', (dtype, from, to) => {
  it('all of its numbers', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i)
    const values = new Float32Array(65536)
    decodeHalf(dtype, new Uint8Array(all.buffer), values, 0)
    const expected = Float32Array.from(all, from)
    const numbers = [...all].filter((i) => !Number.isNaN(expected[i]))
    expect(numbers.filter((i) => bits(values)[i] !== bits(expected)[i])).toEqual([])
    expect([...all].filter((i) => Number.isNaN(values[i]) !== Number.isNaN(expected[i]))).toEqual([])
    const back = new Uint16Array(encodeHalf(dtype, values).buffer)
    expect(numbers.filter((i) => back[i] !== i)).toEqual([])
    expect([...all].filter((i) => Number.isNaN(values[i]) && !Number.isNaN(from(back[i])))).toEqual([])
  })

  it('the nearest to any number, at any offset', () => {
    const values = wide(20_001).map((x, i) => (i % 4 ? x : rng.normal()))
    const found = new Uint16Array(encodeHalf(dtype, values).buffer)
    same(found, Uint16Array.from(values, to))
    const shifted = new Uint8Array(2 * values.length + 1)
    shifted.set(new Uint8Array(found.buffer), 1)
    const [a, b] = [new Float64Array(values.length), new Float32Array(values.length)]
    decodeHalf(dtype, shifted.subarray(1), a, 0)
    decodeHalf(dtype, new Uint8Array(found.buffer), b, 0)
    same(new Float32Array(a), b)
  })
})
