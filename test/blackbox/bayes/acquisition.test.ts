import { describe, expect, it } from 'vitest'
import { logExpectedImprovement, logH, normalCdf } from '../../../src/blackbox/bayes/acquisition.js'
import golden from './golden.json' with { type: 'json' }

const relative = (a: number, b: number) => Math.abs(a - b) / Math.max(Math.abs(b), 1e-300)

describe('log expected improvement', () => {
  for (const { z, logH: expected, ratio, cdf } of golden.improvement)
    it(`agrees with high precision at z = ${z}`, () => {
      const found = logH(z)
      expect(Math.abs(found.value - expected)).toBeLessThan(4e-15 * Math.max(1, Math.abs(expected)))
      expect(relative(found.cdf, ratio)).toBeLessThan(1e-13)
      if (cdf > 1e-300) expect(relative(normalCdf(z), cdf)).toBeLessThan(1e-13)
    })

  it('has no step where the branches meet', () => {
    for (const z of [-1, -2, 2]) {
      const [a, b] = [logH(z - 1e-9), logH(z + 1e-9)]
      expect(b.value - a.value).toBeCloseTo(2e-9 * a.cdf, 14)
      expect(normalCdf(z + 1e-9) - normalCdf(z - 1e-9)).toBeGreaterThan(0)
    }
  })

  it('is the logarithm of EI (mean 1.2 above a best of 1, deviation 0.5, to be maximized)', () => {
    // The catalogue's number, by its formula; minimization of the negative.
    expect(Math.exp(logExpectedImprovement(-1.2, 0.5, -1).value)).toBeCloseTo(0.315219418, 9)
  })

  it('has the derivatives of its finite differences', () => {
    for (const [mean, deviation, best] of [
      [0, 1, 0],
      [3, 0.2, -1],
      [-1, 0.5, 0],
      [50, 0.01, 0],
    ]) {
      const at = logExpectedImprovement(mean, deviation, best)
      const step = 1e-5 * deviation
      const slope = (dm: number, ds: number) =>
        (logExpectedImprovement(mean + dm, deviation + ds, best).value -
          logExpectedImprovement(mean - dm, deviation - ds, best).value) /
        (2 * step)
      expect(relative(slope(step, 0), at.dMean)).toBeLessThan(1e-6)
      expect(relative(slope(0, step), at.dDeviation)).toBeLessThan(1e-6)
    }
  })

  it('stays finite and sloped where EI is zero in float64', () => {
    const at = logExpectedImprovement(1, 1e-6, 0)
    expect(at.value).toBeLessThan(-4e11)
    expect(Number.isFinite(at.value)).toBe(true)
    expect(at.dMean).toBeLessThan(0)
    expect(at.dDeviation).toBeGreaterThan(0)
  })
})
