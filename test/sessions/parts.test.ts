import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Damage, frame, unframe } from '../../src/sessions/frame.js'
import { IdSet } from '../../src/sessions/ids.js'
import { digest } from '../../src/sessions/record.js'

describe('sets of ids', () => {
  it('hold what was put in, in any order, and nothing else', () => {
    const id = fc.oneof(
      fc.nat(40).map((n) => `q${n}`),
      fc.constantFrom('', 'a', 'q', '0', '00', '007', 'q01', 'q9007199254740993', 'x-1', 'x-2', '__proto__'),
    )
    fc.assert(
      fc.property(fc.array(id), fc.array(id), (put, asked) => {
        const set = new IdSet()
        for (const id of put) set.add(id)
        const again = IdSet.fromTree(set.toTree())
        for (const id of [...put, ...asked]) {
          expect(set.has(id)).toBe(put.includes(id))
          expect(again.has(id)).toBe(put.includes(id))
        }
      }),
    )
  })

  it('take no room for ids in order', () => {
    const set = new IdSet()
    for (let i = 0; i < 10_000; i++) set.add(`q${i}`)
    expect(set.toTree()).toEqual({ ranges: { q: [0, 10_000] }, others: [] })
  })
})

describe('frames', () => {
  it('find every flipped bit and every cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), fc.nat(7), fc.boolean(), (payload, where, bit, cut) => {
        const bytes = frame(payload)
        expect([...unframe(bytes)]).toEqual([...payload])
        const at = where % bytes.length
        const bad = cut ? bytes.slice(0, at) : bytes.slice()
        if (!cut) bad[at] ^= 1 << bit
        expect(() => unframe(bad)).toThrow(Damage)
      }),
    )
  })
})

describe('digests of requests', () => {
  it('tell bodies apart, and do not depend on the order of fields', () => {
    const body = (w: Float32Array, more: object = {}) => ({ count: 1, gradients: [{ w }], ...more })
    const one = digest('step', body(Float32Array.of(1, 2)))
    expect(digest('step', { gradients: [{ w: Float32Array.of(1, 2) }], count: 1, note: undefined })).toBe(one)
    for (const other of [
      digest('step', body(Float32Array.of(1, 3))),
      digest('step', body(Float32Array.of(1, 2, 0))),
      digest('step', body(Float32Array.of(1, 2), { note: '' })),
      digest('tell', body(Float32Array.of(1, 2))),
    ])
      expect(other).not.toBe(one)
    expect(digest('x', NaN)).not.toBe(digest('x', null))
  })
})
