import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { philox4x32, Rng, type RngState, rngStream } from '../../src/core/rng.js'
import { cloneTree, decodeTree, encodeTree } from '../../src/core/tree.js'

const hex = (words: Iterable<number>) => Array.from(words, (w) => w.toString(16).padStart(8, '0')).join(' ')
const block = (counter: number[], key: number[]) => {
  const out = new Uint32Array(4)
  philox4x32(counter, key[0], key[1], out)
  return out
}
const words = (rng: Rng, n: number) => Array.from({ length: n }, () => rng.word())
const revive = (state: RngState) => new Rng(decodeTree(encodeTree(state)) as RngState)

describe('Philox4x32-10', () => {
  // The kat_vectors file of the Random123 library.
  it.each([
    ['zeros', [0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [
      'ones',
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      '408f276d 41c83b0e a20bc7c6 6d5451fd',
    ],
    [
      'the digits of pi',
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ])('known answer: %s', (_, counter, key, expected) => {
    expect(hex(block(counter, key))).toBe(expected)
  })

  it('agrees with an exact integer implementation', () => {
    const mask = 0xffffffffn
    const exact = (counter: number[], key: number[]) => {
      let [c0, c1, c2, c3] = counter.map(BigInt)
      let [k0, k1] = key.map(BigInt)
      for (let round = 0; round < 10; round++) {
        const a = 0xd2511f53n * c0
        const b = 0xcd9e8d57n * c2
        ;[c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & mask, (a >> 32n) ^ c3 ^ k1, a & mask]
        k0 = (k0 + 0x9e3779b9n) & mask
        k1 = (k1 + 0xbb67ae85n) & mask
      }
      return [c0, c1, c2, c3].map(Number)
    }
    const word = fc.nat(0xffffffff)
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        expect(Array.from(block(counter, key))).toEqual(exact(counter, key))
      }),
    )
  })
})

describe('streams', () => {
  it('hand out the blocks of consecutive counters', () => {
    const state = rngStream(7, 'points')
    const key = [state.key0, state.key1]
    expect(words(new Rng(state), 8)).toEqual([...block([0, 0, 0, 0], key), ...block([1, 0, 0, 0], key)])
    expect(state.counter).toEqual([2, 0, 0, 0])
  })

  it('differ by name, by seed, and by the high bits of a seed', () => {
    const first = (seed: number, name: string) => hex(words(new Rng(rngStream(seed, name)), 4))
    const seen = new Set(
      [0, 1, 2, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1].flatMap((seed) =>
        ['a', 'b', 'ab', 'ba', ''].map((name) => first(seed, name)),
      ),
    )
    expect(seen.size).toBe(30)
    expect(first(3, 'x')).toBe(first(3, 'x'))
  })

  it('are uncorrelated across names', () => {
    const a = new Rng(rngStream(1, 'a'))
    const b = new Rng(rngStream(1, 'b'))
    const n = 20_000
    let sum = 0
    for (let i = 0; i < n; i++) sum += a.normal() * b.normal()
    // Standard deviation of the mean: 1/sqrt(n) = 0.007.
    expect(Math.abs(sum / n)).toBeLessThan(0.03)
  })

  it('resume bit-identically at any draw', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 40 }), (seed, before, after) => {
        const rng = new Rng(rngStream(seed, 's'))
        words(rng, before)
        const again = revive(rng.state)
        expect(words(again, after)).toEqual(words(rng, after))
        expect(again.state).toEqual(rng.state)
      }),
    )
  })

  it.each([
    [
      [0xffffffff, 0, 0, 0],
      [1, 1, 0, 0],
    ],
    [
      [0xffffffff, 0xffffffff, 4, 0],
      [1, 0, 5, 0],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [1, 0, 0, 0],
    ],
  ] as [RngState['counter'], RngState['counter']][])('carry the counter: %j becomes %j', (counter, later) => {
    const start: RngState = { ...rngStream(5, 's'), counter }
    const whole = words(new Rng(cloneTree(start)), 8)
    const key = [start.key0, start.key1]
    const next = later.map((w, i) => (i === 0 ? w - 1 : w))
    expect(whole).toEqual([...block(counter, key), ...block(next, key)])
    for (let cut = 0; cut <= 8; cut++) {
      const rng = new Rng(cloneTree(start))
      const head = words(rng, cut)
      const again = revive(rng.state)
      expect([...head, ...words(again, 8 - cut)]).toEqual(whole)
      if (cut > 4) expect(again.state.counter).toEqual(later)
    }
  })

  it('may be drawn from through several Rng objects over one state', () => {
    const whole = words(new Rng(rngStream(9, 's')), 15)
    const state = rngStream(9, 's')
    const a = new Rng(state)
    const b = new Rng(state)
    expect([...words(a, 1), ...words(b, 6), ...words(a, 1), ...words(b, 7)]).toEqual(whole)
  })
})

describe('distributions', () => {
  const rng = () => new Rng(rngStream(11, 'moments'))

  it('uniform: in [0, 1), moments', () => {
    const r = rng()
    const xs = Array.from({ length: 50_000 }, () => r.uniform())
    expect(xs.every((x) => x >= 0 && x < 1)).toBe(true)
    expect(xs.reduce((s, x) => s + x) / xs.length).toBeCloseTo(0.5, 2)
    expect(xs.reduce((s, x) => s + (x - 0.5) ** 2, 0) / xs.length).toBeCloseTo(1 / 12, 2)
  })

  it('normal: moments up to the fourth', () => {
    const r = rng()
    const xs = Array.from({ length: 100_000 }, () => r.normal())
    const moment = (k: number) => xs.reduce((s, x) => s + x ** k, 0) / xs.length
    expect(moment(1)).toBeCloseTo(0, 1)
    expect(moment(2)).toBeCloseTo(1, 1)
    expect(Math.abs(moment(3))).toBeLessThan(0.05)
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.15)
  })

  it('integer: every value about equally often, also for a count that does not divide 2^32', () => {
    const r = rng()
    const counts = new Array(7).fill(0)
    for (let i = 0; i < 70_000; i++) counts[r.integer(7)]++
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400)
    expect(r.integer(1)).toBe(0)
    expect(r.integer(2 ** 32)).toBeLessThan(2 ** 32)
  })

  it('shuffle: a permutation, and the argument is left alone', () => {
    const items = [1, 2, 3, 4, 5, 6]
    const shuffled = rng().shuffle(items)
    expect(items).toEqual([1, 2, 3, 4, 5, 6])
    expect([...shuffled].sort()).toEqual(items)
  })
})
