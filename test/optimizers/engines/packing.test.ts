/** State in bf16 and int8: the bits of plain loops, bounds of the error, and a mean that is the value. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { FloatArray } from '../../../src/core/tensor.js'
import { blocksOf } from '../../../src/optimizers/engines/blocks.js'
import type { Graph } from '../../../src/optimizers/engines/graph.js'
import {
  BLOCK,
  type PackedDtype,
  pack,
  packedBytes,
  siteOf,
  unpack,
} from '../../../src/optimizers/engines/packing/codec.js'
import { SIGNED, UNSIGNED, widestGap } from '../../../src/optimizers/engines/packing/map.js'
import { tensorShape } from '../../../src/optimizers/engines/shapes.js'
import { spec } from './compare.js'
import { draws, floatOf, toBf16, toInt8 } from './plain-packing.js'

const rng = new Rng(rngStream(5, 'packing'))
const normal = (length: number, scale = 1) => Float32Array.from({ length }, () => scale * rng.normal())
const wide = (length: number) => Float32Array.from({ length }, () => rng.normal() * 10 ** (70 * rng.uniform() - 38))
const { POSITIVE_INFINITY: INFINITY, NaN: NAN } = Number
const LARGEST = floatOf(0x7f7fffff)

const AWKWARD: { readonly [name: string]: FloatArray } = {
  one: Float32Array.of(-3),
  zeros: Float32Array.from({ length: 513 }, (_, i) => (i % 2 ? -0 : 0)),
  subnormal: normal(700, 3e-44),
  squares: normal(3000).map((value) => value ** 2),
  largest: Float32Array.of(LARGEST, -LARGEST, floatOf(0x7f7f0000), 1e30, 0),
  'not finite': Float32Array.from({ length: 600 }, (_, i) => [NAN, INFINITY, -INFINITY, 1][i < 256 ? 3 : i % 4]),
  infinite: Float32Array.of(INFINITY, -INFINITY, 1e38, 0, -1),
  'all magnitudes': wide(5000),
  'parts and a bit': normal((1 << 14) * 2 + 257),
  doubles: Float64Array.from({ length: 2100 }, () => rng.normal() * 10 ** (100 * rng.uniform() - 50)),
}

const DRAW = { seed: 2 ** 40 + 12_345, tensor: 3, site: siteOf('m') }
const packed = (dtype: PackedDtype, values: FloatArray, seed = DRAW.seed) => {
  const bytes = new Uint8Array(packedBytes(dtype, values.length))
  pack(dtype, values, bytes, { ...DRAW, seed })
  return bytes
}
function back(dtype: PackedDtype, bytes: Uint8Array, length: number): Float32Array {
  const values = new Float32Array(length)
  unpack(dtype, bytes, values)
  return values
}
const through = (dtype: PackedDtype, values: FloatArray, seed = DRAW.seed) =>
  back(dtype, packed(dtype, values, seed), values.length)
const same = (a: ArrayBufferView, b: ArrayBufferView) => {
  const [left, right] = [a, b].map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))
  expect(left.equals(right)).toBe(true)
}

describe.each(Object.entries(AWKWARD))('%s', (_, values) => {
  const random = draws(DRAW.seed, DRAW.tensor, 'm')

  it('has the bits of plain loops', () => {
    same(packed('bf16', values), toBf16(values, random))
    const { scales, codes } = toInt8(values, { signed: SIGNED, unsigned: UNSIGNED }, random)
    const bytes = packed('int8', values)
    same(bytes.subarray(0, scales.byteLength), scales)
    same(bytes.subarray(scales.byteLength), codes)
    const doubles = new Float64Array(values.length)
    for (const dtype of ['bf16', 'int8'] as const) {
      unpack(dtype, packed(dtype, values), doubles)
      same(Float32Array.from(doubles), through(dtype, values))
    }
  })

  it('stays as it came back, however it is rounded', () => {
    for (const dtype of ['bf16', 'int8'] as const) {
      const once = through(dtype, values, 1)
      same(through(dtype, once, 2), once)
    }
  })
})

it('parts of a tensor are packed and unpacked where they lie, with the bits of the whole', () => {
  const values = normal(3000)
  for (const dtype of ['bf16', 'int8'] as const) {
    const [whole, parts] = [packed(dtype, values), new Uint8Array(packedBytes(dtype, 3000))]
    for (const [from, to] of [[1024, 3000], [0, 256], [256, 1024]] as const) // biome-ignore format: one line
      pack(dtype, values.subarray(from, to), parts, DRAW, 3000, from)
    same(parts, whole)
    const middle = new Float32Array(500)
    unpack(dtype, whole, middle, 3000, 768)
    same(middle, back(dtype, whole, 3000).slice(768, 1268))
  }
})

it('engines that work block by block cut tensors where a part may begin', () => {
  const shapes = [spec('a', 300), spec('b', 2000), spec('c', 100)].map(tensorShape)
  const cut = (domain: string) =>
    blocksOf({ nodes: [{ domain }] } as unknown as Graph, shapes, 1000, BLOCK).map(({ size, first, pieces }) => {
      expect(pieces.every(({ from }) => from % BLOCK === 0)).toBe(true)
      expect(pieces.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(size)
      expect(size).toBeLessThanOrEqual(1000)
      return [first, size]
    })
  // Of 1,000 elements 700 are left behind `a`, of which two whole parts of 256 are taken.
  expect(cut('tensor')).toEqual([
    [0, 812],
    [812, 768],
    [1580, 820],
  ])
  expect(cut('scalar')).toEqual([
    [0, 300],
    [300, 768],
    [1068, 768],
    [1836, 464],
    [2300, 100],
  ])
})

it('the maps are those of the paper: 256 numbers, halves of a decade per bit, 1 as the largest', () => {
  for (const map of [SIGNED, UNSIGNED]) {
    expect(new Set(map).size).toBe(256)
    expect(map[255]).toBe(1)
    expect(map).toContain(0)
  }
  expect(SIGNED[0]).toBe(-1)
  expect(UNSIGNED[0]).toBe(0)
  // The highest decade has 64 numbers of each sign, or 128.
  expect(widestGap(SIGNED)).toBeCloseTo(0.9 / 64, 6)
  expect(widestGap(UNSIGNED)).toBeCloseTo(0.9 / 128, 6)
})

const finite = { noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 600 }

it('bf16 comes back as one of the two numbers around a value, within 1/128 of it', () => {
  fc.assert(
    fc.property(fc.float32Array(finite), fc.nat(), (values, seed) => {
      const found = through('bf16', values, seed)
      const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
      for (const [i, value] of values.entries()) {
        const below = Math.floor(bits[i] / 2 ** 16)
        // Above the largest bf16 there is none.
        const around = [below, (below & 0x7fff) === 0x7f7f ? below : below + 1].map((code) => floatOf(code * 2 ** 16))
        expect(around).toContain(found[i])
        // Subnormal numbers lie 2^-133 apart.
        expect(Math.abs(found[i] - value)).toBeLessThanOrEqual(Math.max(2 ** -7 * Math.abs(value), 2 ** -133))
      }
    }),
  )
})

it('int8 comes back within the widest gap of the map, times the largest of the block; the largest as it was', () => {
  fc.assert(
    fc.property(fc.float32Array(finite), fc.nat(), fc.boolean(), (drawn, seed, squares) => {
      const values = squares ? drawn.map(Math.abs) : drawn
      const found = through('int8', values, seed)
      for (let start = 0; start < values.length; start += BLOCK) {
        const block = values.subarray(start, start + BLOCK)
        const most = block.reduce((m, value) => Math.max(m, Math.abs(value)), 0)
        const gap = widestGap(block.some((value) => value < 0) ? SIGNED : UNSIGNED)
        for (const [i, value] of block.entries()) {
          // Products with the scale are rounded to float32.
          const slack = 2 ** -23 * most + 2 ** -149
          expect(Math.abs(found[start + i] - value)).toBeLessThanOrEqual(gap * most + slack)
          if (Math.abs(value) === most) expect(found[start + i]).toBe(value === 0 ? 0 : value)
        }
      }
    }),
  )
})

it.each(['bf16', 'int8'] as const)('%s: the mean of many roundings is the value', (dtype) => {
  for (const values of [normal(256), normal(256).map((value) => value ** 2)]) {
    const rounds = 4000
    const sums = new Float64Array(256)
    const squares = new Float64Array(256)
    for (let seed = 0; seed < rounds; seed++)
      for (const [i, value] of through(dtype, values, seed).entries()) {
        sums[i] += value - values[i]
        squares[i] += (value - values[i]) ** 2
      }
    const most = values.reduce((m, value) => Math.max(m, Math.abs(value)), 0)
    for (const [i, sum] of sums.entries()) {
      // Of 256 normal numbers one is beyond 5 standard errors once in 7,000 runs; below the smallest number of the map,
      // where all is rounded up, the mean is that.
      const error = Math.sqrt(squares[i] / rounds / rounds)
      const smallest = dtype === 'int8' ? 3.3e-7 * most : 0
      expect(Math.abs(sum / rounds)).toBeLessThanOrEqual(5 * error + smallest + 2 ** -22 * Math.abs(values[i]))
    }
  }
})

it.each(['bf16', 'int8'] as const)('%s: a mean of squares follows them down, where half of a block stays', (dtype) => {
  const n = 512
  let v: Float32Array = new Float32Array(n)
  const steps = 3000
  for (let t = 1; t <= 2 * steps; t++) {
    const square = (i: number) => (i % 2 && t > steps ? 0.01 : 1) * (0.5 + 1.0 * ((t + i) % 2))
    v = through(
      dtype,
      v.map((value, i) => value + 0.001 * (square(i) - value)),
      t,
    )
  }
  const fallen = v.filter((_, i) => i % 2).reduce((sum, value) => sum + value / (n / 2), 0)
  const kept = v.filter((_, i) => i % 2 === 0).reduce((sum, value) => sum + value / (n / 2), 0)
  const [rest, full] = [0.999 ** steps, 1 - 0.999 ** (2 * steps)]
  // Each step rounds by less than a gap g with a variance of at most g times the change, about g*0.001*v: the mean of 256
  // has a standard error of v*sqrt(0.5*0.02/256) = 0.006*v or less in the decades that these are in.
  expect(Math.abs(kept / full - 1)).toBeLessThan(0.04)
  expect(Math.abs(fallen / (0.01 * (1 - rest) + (1 - rest) * rest) - 1)).toBeLessThan(0.04)
})
