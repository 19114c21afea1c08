import { describe, expect, it } from 'vitest'
import { lbfgs, minimizeTogether, type Sample } from '../../../src/blackbox/bayes/lbfgs.js'

const options = { maxEvaluations: 500, tolerance: 1e-8, progress: 0, firstStep: 1 }
const box = (d: number, low: number, high: number) =>
  [new Float64Array(d).fill(low), new Float64Array(d).fill(high)] as const

function minimize(start: number[], f: (x: Float64Array) => Sample, low: number, high: number, more = {}) {
  const run = lbfgs(Float64Array.from(start), ...box(start.length, low, high), { ...options, ...more })
  return minimizeTogether([run], (points) => points.map(f))[0]
}
const rosenbrock = ([a, b]: Float64Array): Sample => ({
  value: 100 * (b - a * a) ** 2 + (1 - a) ** 2,
  gradient: Float64Array.of(-400 * a * (b - a * a) - 2 * (1 - a), 200 * (b - a * a)),
})

describe('lbfgs', () => {
  it('finds the minimum of a curved valley', () => {
    const { x, value, evaluations } = minimize([-1.2, 1], rosenbrock, -5, 5)
    expect(value).toBeLessThan(1e-15)
    expect(Math.abs(x[0] - 1)).toBeLessThan(1e-6)
    expect(evaluations).toBeLessThan(100)
  })

  it('ends on the face of the box that holds the solution', () => {
    // On a <= 0.5 the best b is a^2.
    const { x } = minimize([-0.4, 0.3], rosenbrock, -0.5, 0.5)
    expect(x[0]).toBe(0.5)
    expect(x[1]).toBeCloseTo(0.25, 6)
  })

  it('solves an ill-conditioned quadratic with some coordinates at their bounds', () => {
    const scales = [1, 10, 100, 1000, 10000]
    const targets = [2, 0.3, -3, 0.6, 0.1]
    const f = (x: Float64Array): Sample => ({
      value: x.reduce((sum, v, i) => sum + 0.5 * scales[i] * (v - targets[i]) ** 2, 0),
      gradient: x.map((v, i) => scales[i] * (v - targets[i])),
    })
    const { x } = minimize([0.5, 0.5, 0.5, 0.5, 0.5], f, 0, 1)
    const expected = [1, 0.3, 0, 0.6, 0.1]
    x.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 6)
    })
  })

  it('stays where it is when the start is the solution, a corner, or not finite', () => {
    expect(minimize([1, 1], rosenbrock, -5, 5).evaluations).toBe(1)
    const slope = (x: Float64Array): Sample => ({ value: x[0], gradient: Float64Array.of(1) })
    expect(minimize([0], slope, 0, 1)).toMatchObject({ value: 0, evaluations: 1 })
    const broken = (): Sample => ({ value: Number.NaN, gradient: Float64Array.of(Number.NaN) })
    expect(minimize([0.5], broken, 0, 1).evaluations).toBe(1)
  })

  it('backs off from a step into values that are not finite', () => {
    const f = ([x]: Float64Array): Sample => ({
      value: x > 0 ? x - Math.log(x) : Number.POSITIVE_INFINITY,
      gradient: Float64Array.of(1 - 1 / x),
    })
    expect(minimize([3], f, -10, 10, { firstStep: 10 }).x[0]).toBeCloseTo(1, 5)
  })

  it('respects the limit on evaluations', () => {
    expect(minimize([-1.2, 1], rosenbrock, -5, 5, { maxEvaluations: 7 }).evaluations).toBe(7)
  })

  it('gives each of several runs what it would get alone', () => {
    const starts = [
      [-1.2, 1],
      [0, 0],
      [3, -2],
      [1, 1],
    ]
    const batches: number[] = []
    const together = minimizeTogether(
      starts.map((start) => lbfgs(Float64Array.from(start), ...box(2, -5, 5), options)),
      (points) => {
        batches.push(points.length)
        return points.map(rosenbrock)
      },
    )
    starts.forEach((start, i) => {
      expect(together[i]).toEqual(minimize(start, rosenbrock, -5, 5))
    })
    expect(batches[0]).toBe(4)
    expect(batches.at(-1)).toBeLessThan(4)
  })
})
