import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import { checkParams, checkSpace, contains, type Parameter, type SearchSpace } from '../../../src/core/space.js'

const one = (parameter: Parameter): SearchSpace => ({ kind: 'search', parameters: [parameter] })
const axisOf = (parameter: Parameter) => encodingOf(one(parameter)).axes[0]

const conditional: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'a', type: 'categorical', choices: ['x', 'y', 'z'] },
    { name: 'b', type: 'int', low: 1, high: 2, condition: { parent: 'a', values: ['x', 'y'] } },
    { name: 'c', type: 'ordinal', choices: [1, 2, 4, 8], condition: { parent: 'b', values: [2] } },
    { name: 'd', type: 'float', low: 0, high: 1, step: 0.5 },
  ],
}

const discrete: fc.Arbitrary<Parameter> = fc.oneof(
  fc
    .tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.nat(1e6), fc.integer({ min: 1, max: 7 }))
    .map(([low, width, step]): Parameter => ({ name: 'p', type: 'int', low, high: low + width, step })),
  fc
    .tuple(fc.integer({ min: 1, max: 1e6 }), fc.nat(1e6))
    .map(([low, width]): Parameter => ({ name: 'p', type: 'int', low, high: low + width, log: true })),
  fc
    .tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 10_000 }), fc.nat(4))
    .map(([low, steps, decimals]): Parameter => {
      const step = 10 ** -decimals
      return { name: 'p', type: 'float', low, high: Number((low + steps * step).toFixed(decimals)), step }
    }),
  fc
    .uniqueArray(fc.oneof(fc.string(), fc.boolean(), fc.integer()), { minLength: 1, maxLength: 12 })
    .chain((choices) =>
      fc
        .constantFrom('categorical' as const, 'ordinal' as const)
        .map((type): Parameter => ({ name: 'p', type, choices })),
    ),
)

const continuous: fc.Arbitrary<Parameter> = fc.oneof(
  fc
    .tuple(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.double({ noNaN: true, noDefaultInfinity: true }))
    .map(([a, b]): Parameter => ({ name: 'p', type: 'float', low: Math.min(a, b), high: Math.max(a, b) })),
  fc.tuple(fc.double({ min: -300, max: 300, noNaN: true }), fc.double({ min: -300, max: 300, noNaN: true })).map(
    ([a, b]): Parameter => ({
      name: 'p',
      type: 'float',
      low: 10 ** Math.min(a, b),
      high: 10 ** Math.max(a, b),
      log: true,
    }),
  ),
)

describe('encoding', () => {
  it('decodes only values of the parameter, whatever the coordinate', () => {
    fc.assert(
      fc.property(fc.oneof(discrete, continuous), fc.double({ min: 0, max: 1, noNaN: true }), (p, u) => {
        fc.pre(checkSpace(one(p)).length === 0)
        for (const x of [u, 0, 1, -0.5, 1.5, 1 - Number.EPSILON / 2])
          expect(contains(p, axisOf(p).decode(x)), `${JSON.stringify(p)} at ${x}`).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('decode(encode(p)) = p for every discrete value', () => {
    fc.assert(
      fc.property(discrete, fc.double({ min: 0, max: 1, noNaN: true }), (p, r) => {
        fc.pre(checkSpace(one(p)).length === 0)
        const { decode, encode, size, values } = axisOf(p)
        const i = Math.min(Math.floor(r * size), size - 1)
        const value = values!.at(i)
        const u = encode(value)
        expect(decode(u)).toBe(value)
        expect(values!.index(u)).toBe(i)
        expect(u).toBeGreaterThan(values!.edge(i))
        expect(u).toBeLessThan(values!.edge(i + 1))
      }),
      { numRuns: 2000 },
    )
  })

  it('is exact for integers up to 2^50 values, and for decimal steps written by hand', () => {
    const wide = axisOf({ name: 'p', type: 'int', low: -(2 ** 49), high: 2 ** 49 })
    for (const value of [-(2 ** 49), -12345678901234, -1, 0, 1, 98765432109876, 2 ** 49])
      expect(wide.decode(wide.encode(value))).toBe(value)
    const tenths = axisOf({ name: 'p', type: 'float', low: 0, high: 1, step: 0.1 })
    expect(tenths.size).toBe(11)
    for (const value of [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
      expect(tenths.decode(tenths.encode(value))).toBe(value)
  })

  it('knows its own values where the range lies far from zero', () => {
    const p: Parameter = { name: 'p', type: 'float', low: 1e6, high: 1e6 + 1, step: 0.001 }
    const { size, values, encode, decode } = axisOf(p)
    expect(size).toBe(1001)
    for (let i = 0; i < size; i++) {
      expect(contains(p, values!.at(i))).toBe(true)
      expect(decode(encode(values!.at(i)))).toBe(values!.at(i))
    }
    expect(contains(p, 1e6 + 0.0005)).toBe(false)
  })

  it('gives a continuous float back within rounding of the coordinate, its ends exactly', () => {
    fc.assert(
      fc.property(continuous, fc.double({ min: 0, max: 1, noNaN: true }), (p, u) => {
        fc.pre(p.type === 'float' && p.low < p.high)
        const { low, high, log } = p as { low: number; high: number; log?: boolean }
        const { decode, encode } = axisOf(p)
        expect(decode(encode(low))).toBe(low)
        expect(decode(encode(high))).toBe(high)
        const value = decode(u) as number
        const again = decode(encode(value)) as number
        if (log) expect(Math.abs(Math.log(again / value))).toBeLessThan(1e-12)
        else
          expect(Math.abs(again / 2 - value / 2)).toBeLessThanOrEqual(
            1e-15 * (high / 2 - low / 2) + 4e-16 * Math.max(Math.abs(low), Math.abs(high)),
          )
      }),
      { numRuns: 2000 },
    )
  })

  it('shares the unit interval equally among the values', () => {
    for (const p of [
      { name: 'p', type: 'int', low: -3, high: 6 },
      { name: 'p', type: 'int', low: 0, high: 10, step: 3 },
      { name: 'p', type: 'float', low: -1, high: 1, step: 0.25 },
      { name: 'p', type: 'categorical', choices: ['a', 'b', true, 3] },
      { name: 'p', type: 'ordinal', choices: [1, 10, 100] },
    ] as const) {
      const { size, decode } = axisOf(p)
      const counts = new Map<unknown, number>()
      const draws = size * 1000
      for (let i = 0; i < draws; i++) {
        const value = decode((i + 0.5) / draws)
        counts.set(value, (counts.get(value) ?? 0) + 1)
      }
      expect([...counts.values()], p.type).toEqual(new Array(size).fill(1000))
    }
  })

  it('gives integers on a log scale the share of their half-open neighbourhood', () => {
    const { values, size } = axisOf({ name: 'p', type: 'int', low: 1, high: 100, log: true })
    const share = (k: number) => values!.edge(k) - values!.edge(k - 1)
    expect(share(1) / share(50)).toBeCloseTo(Math.log(3) / Math.log(50.5 / 49.5), 10)
    expect(values!.edge(0)).toBe(0)
    expect(values!.edge(size)).toBeCloseTo(1, 15)
  })

  it('decodes active parameters only, and masks the others', () => {
    const { decode, encode } = encodingOf(conditional)
    expect(decode([0.9, 0.9, 0.9, 0.9])).toEqual({ a: 'z', d: 1 })
    expect(decode([0.1, 0.1, 0.9, 0.1])).toEqual({ a: 'x', b: 1, d: 0 })
    expect(decode([9, 0.1, 0.9, 0.9, 0.1], 1)).toEqual({ a: 'x', b: 2, c: 8, d: 0 })
    const { u, active } = encode({ d: 1, a: 'y', b: 1 })
    expect([...active]).toEqual([1, 1, 0, 1])
    expect([...u]).toEqual([0.5, 0.25, 0.5, 5 / 6])
  })

  it('numbers every distinct point of a finite space once', () => {
    const { cardinality, point } = encodingOf(conditional)
    // d has 3 values; a: z alone, or x and y each with b = 1, or b = 2 and 4 values of c.
    expect(cardinality).toBe(3 * (1 + 2 * (1 + 4)))
    const points = Array.from({ length: cardinality }, (_, i) => point(i))
    expect(new Set(points.map((p) => JSON.stringify(Object.entries(p).sort()))).size).toBe(cardinality)
    for (const p of points) expect(checkParams(conditional, p, 'params')).toEqual([])
    expect(encodingOf(one({ name: 'x', type: 'float', low: 0, high: 1 })).cardinality).toBe(Number.POSITIVE_INFINITY)
    expect(encodingOf(one({ name: 'x', type: 'float', low: 2, high: 2 })).cardinality).toBe(1)
  })

  it('stands ranges at the ends of the numbers', () => {
    const huge = axisOf({ name: 'p', type: 'float', low: -1.7e308, high: 1.7e308 })
    expect(huge.decode(0.5)).toBe(0)
    expect(huge.encode(0)).toBe(0.5)
    const tiny = axisOf({ name: 'p', type: 'float', low: 0, high: 5e-324 })
    expect([0, 1].map((u) => tiny.decode(u))).toEqual([0, 5e-324])
    const log = axisOf({ name: 'p', type: 'float', low: 1e-300, high: 1e300, log: true })
    expect(log.decode(0.5)).toBeCloseTo(1, 12)
  })
})
