/** The lossy encodings: bounds of what they leave out, and the bits that all clients agree on. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodePieces, ENCODINGS, encodePieces, LOSSY, type Lossy, PIECE } from '../../src/core/encodings/index.js'

const BLOCK = 256
const decode = (encoding: Lossy, data: Uint8Array, length: number): Float32Array => {
  const into = new Float32Array(length).fill(Number.NaN)
  ENCODINGS[encoding].decode(data, into, 0, length)
  return into
}
const roundTrip = (encoding: Lossy, values: Float32Array, density = 0.1) =>
  decode(encoding, ENCODINGS[encoding].encode(values, density), values.length)

const float = fc.oneof(
  { weight: 8, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e4, max: 1e4 }) },
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, -0, 1, -1, 1.401298464324817e-45, 3.4028234663852886e38),
)
const floats = fc.array(float, { minLength: 1, maxLength: 700 }).map((list) => Float32Array.from(list))
const squared = (values: Iterable<number>) => [...values].reduce((sum, x) => sum + x * x, 0)
const blocks = (values: Float32Array) =>
  Array.from({ length: Math.ceil(values.length / BLOCK) }, (_, i) => values.subarray(i * BLOCK, (i + 1) * BLOCK))

describe('what an encoding leaves out', () => {
  it('block-int8: at most half a step of the block, a 254th of its largest magnitude', () => {
    fc.assert(
      fc.property(floats, (values) => {
        const back = blocks(roundTrip('block-int8', values))
        blocks(values).forEach((block, b) => {
          const most = Math.max(...block.map(Math.abs))
          // The scale is a float32 and may be subnormal: off by a relative 2^-24, or by 2^-150 for each of 127 steps.
          const bound = (most / 254) * (1 + 2 ** -15) + 127 * 2 ** -149
          block.forEach((x, i) => {
            if (!(Math.abs(x - back[b][i]) <= bound)) throw new Error(`${x} came back as ${back[b][i]}, of ${most}`)
          })
        })
      }),
    )
  })

  it('sign: of each block the squared norm less ||x||_1^2 / n, and no sign is turned', () => {
    fc.assert(
      fc.property(floats, (values) => {
        const back = blocks(roundTrip('sign', values))
        blocks(values).forEach((block, b) => {
          const lost = squared(block.map((x, i) => x - back[b][i]))
          const l1 = block.reduce((sum, x) => sum + Math.abs(x), 0)
          const norm = squared(block)
          expect(lost).toBeLessThanOrEqual(norm - l1 ** 2 / block.length + 1e-6 * norm + 1e-80)
          block.forEach((x, i) => {
            if (x * back[b][i] < 0) throw new Error(`${x} came back as ${back[b][i]}`)
          })
        })
      }),
    )
  })

  it('top-k: all but the k largest, which come back as they are', () => {
    fc.assert(
      fc.property(floats, fc.double({ min: 0.001, max: 1, noNaN: true }), (values, density) => {
        const back = roundTrip('top-k', values, density)
        const k = Math.max(1, Math.ceil(density * values.length))
        const order = [...values.keys()].sort((i, j) => Math.abs(values[j]) - Math.abs(values[i]) || i - j)
        const expected = new Float32Array(values.length)
        for (const i of order.slice(0, k)) expected[i] = values[i]
        expect(back.map((x) => x + 0)).toEqual(expected.map((x) => x + 0))
        const [lost, norm] = [squared(values.map((x, i) => x - back[i])), squared(values)]
        expect(lost).toBeLessThanOrEqual((1 - k / values.length) * norm * (1 + 1e-9))
      }),
    )
  })

  it('what is left out and added to the next is never lost: sums of what came differ by the last rest', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...LOSSY),
        fc.array(fc.array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: 40, maxLength: 40 }), {
          minLength: 1,
          maxLength: 12,
        }),
        (encoding, gradients) => {
          const rest = new Float32Array(40)
          const [told, came] = [new Float64Array(40), new Float64Array(40)]
          for (const gradient of gradients) {
            gradient.forEach((x, i) => {
              told[i] += x
              rest[i] += x
            })
            const sent = roundTrip(encoding, rest)
            sent.forEach((x, i) => {
              came[i] += x
              rest[i] -= x
            })
          }
          told.forEach((x, i) => {
            expect(Math.abs(x - came[i] - rest[i])).toBeLessThan(1e-2)
          })
        },
      ),
    )
  })
})

describe('bytes', () => {
  it('are as many as the layout says', () => {
    fc.assert(
      fc.property(floats, (values) => {
        const n = values.length
        const scales = 4 * Math.ceil(n / BLOCK)
        expect(ENCODINGS['block-int8'].encode(values, 1)).toHaveLength(scales + n)
        expect(ENCODINGS.sign.encode(values, 1)).toHaveLength(scales + Math.ceil(n / 8))
        expect(ENCODINGS['top-k'].encode(values, 0.25)).toHaveLength(8 * Math.ceil(n / 4))
        for (const encoding of LOSSY)
          expect(ENCODINGS[encoding].wrong(ENCODINGS[encoding].encode(values, 0.25), n)).toBeUndefined()
      }),
    )
  })

  it('are read at any offset', () => {
    for (const encoding of LOSSY) {
      const data = ENCODINGS[encoding].encode(Float32Array.of(3, -1, 0.5), 0.5)
      const shifted = new Uint8Array(data.length + 1)
      shifted.set(data, 1)
      expect(decode(encoding, shifted.subarray(1), 3)).toEqual(decode(encoding, data, 3))
    }
  })

  it('that stand for something else are told apart', () => {
    const pairs = (...indices: number[]) => {
      const view = new DataView(new ArrayBuffer(8 * indices.length))
      for (const [j, index] of indices.entries()) view.setUint32(4 * j, index, true)
      return new Uint8Array(view.buffer)
    }
    const wrong = (encoding: Lossy, bytes: Uint8Array, length: number) => ENCODINGS[encoding].wrong(bytes, length)
    expect(wrong('block-int8', new Uint8Array(261), 256)).toBe('expected 260 bytes, got 261')
    expect(wrong('sign', new Uint8Array(35), 256)).toBe('expected 36 bytes, got 35')
    expect(wrong('top-k', new Uint8Array(12), 256)).toBe('expected a multiple of 8 bytes, got 12')
    expect(wrong('top-k', pairs(0, 256), 256)).toBe('expected indices below 256, got 256')
    expect(wrong('top-k', pairs(3, 3), 256)).toBe('expected indices that rise, got 3 after 3')
    expect(wrong('top-k', pairs(), 256)).toBeUndefined()
  })

  it('of a long tensor come in pieces, of f64 as of the f32 nearest to it', () => {
    const values = Float64Array.from({ length: PIECE + 300 }, (_, i) => Math.sin(i))
    for (const encoding of LOSSY) {
      const pieces = encodePieces(values, encoding, 0.01)
      expect(pieces.map(({ offset, length }) => [offset, length])).toEqual([
        [0, PIECE],
        [PIECE, 300],
      ])
      const [doubles, singles] = [new Float64Array(values.length), new Float32Array(values.length)]
      decodePieces(pieces, encoding, doubles)
      decodePieces(encodePieces(new Float32Array(values), encoding, 0.01), encoding, singles)
      expect(doubles.every((x, i) => x === singles[i])).toBe(true)
    }
  })
})

it('agrees with the bits that the Python client is tested with', () => {
  const golden = JSON.parse(readFileSync(new URL('../golden/encodings.json', import.meta.url), 'utf8'))
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
  const words = (text: string) => new Uint32Array(bytes(text).buffer)
  expect(golden.encode.length).toBeGreaterThan(20)
  for (const { name, encoding, density, values, data, decoded } of golden.encode) {
    const floats = new Float32Array(words(values).buffer)
    const found = ENCODINGS[encoding as Lossy].encode(floats, density)
    expect(found, `${encoding} of ${name}`).toEqual(bytes(data))
    const back = decode(encoding, found, floats.length)
    expect(new Uint32Array(back.buffer), `${encoding} of ${name}`).toEqual(words(decoded))
  }
})
