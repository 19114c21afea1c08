import { expect, it } from 'vitest'
import { allFinite } from '../../src/core/finite.js'

it('finds one number that is not finite wherever it lies, in both precisions', () => {
  for (const A of [Float32Array, Float64Array])
    for (const length of [0, 1, 15, 16, 17, 1000, (1 << 14) - 1, (1 << 14) + 3, 50_001]) {
      const memory = new A(length + 1)
      const array = memory.subarray(1).fill(A === Float32Array ? 3.4e38 : 1.7e308)
      array[0] = -0
      expect(allFinite(array)).toBe(true)
      for (const at of new Set([0, length >> 1, length - 1, Math.min(length - 1, 1 << 13)])) {
        if (at < 0 || at >= length) continue
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          const before = array[at]
          array[at] = bad
          expect([A.name, length, at, bad, allFinite(array)]).toEqual([A.name, length, at, bad, false])
          array[at] = before
        }
      }
      // What lies before the array is not its own.
      memory[0] = Number.NaN
      expect(allFinite(array)).toBe(true)
    }
})
