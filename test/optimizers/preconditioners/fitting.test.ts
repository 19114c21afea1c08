import { describe, expect, it } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { gaussian } from '../../../src/optimizers/flat.js'
import { FITTINGS, type FittingName, fittings } from '../../../src/optimizers/preconditioners/index.js'
import { layoutOf } from './fits.js'

const rng = new Rng(rngStream(1, 'fitting'))
/** Two tensors, 4 x 3 and 5, the longer sides of which may be diagonal. */
const LAYOUT = layoutOf(17, {
  sides: [
    [4, 3],
    [5, 1],
  ],
  rank: 2,
})
/** A vector, and one that is its product with a positive matrix but for noise. */
function pair(n: number) {
  const v = gaussian(rng, n)
  return { v, h: v.map((value, i) => (1 + i / 4) * value + 0.1 * rng.normal()) }
}

describe.each(FITTINGS)('%s', (name: FittingName) => {
  const fitting = fittings[name]

  it.each([1024, 3])('is symmetric, positive, and has the inverse that it says (longest side %d)', (maxSide) => {
    const layout = { ...LAYOUT, maxSide }
    const fit = fitting.begin(layout, 1.5, rng)
    for (let k = 0; k < 60; k++) fitting.learn(fit, layout, pair(17), 0.1, rng)
    for (let k = 0; k < 5; k++) {
      const { v, h } = pair(17)
      const [Pv, Ph] = [fitting.apply(fit, layout, v), fitting.apply(fit, layout, h)]
      const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, ai, i) => sum + ai * b[i], 0)
      expect(dot(h, Pv) / dot(v, Ph)).toBeCloseTo(1, 8)
      expect(dot(v, Pv)).toBeGreaterThan(0)
      fitting.invert(fit, layout, Pv).forEach((value, i) => {
        expect(value).toBeCloseTo(v[i], 6)
      })
    }
    expect(Object.values(fit).reduce((sum, array) => sum + array.length, 0) - fitting.size(layout)).toBeLessThanOrEqual(
      1,
    )
  })

  it('zeros change nothing that would not pass', () => {
    const fit = fitting.begin(LAYOUT, 1, rng)
    const zero = new Float64Array(17)
    fitting.learn(fit, LAYOUT, { v: zero, h: zero }, 1, rng)
    for (const array of Object.values(fit)) for (const value of array) expect(value).toBeTypeOf('number')
    expect(fitting.apply(fit, LAYOUT, gaussian(rng, 17)).every(Number.isFinite)).toBe(true)
  })
})
