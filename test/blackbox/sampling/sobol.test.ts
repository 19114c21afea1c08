import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MAX_DIMENSION, method, sobolSequence } from '../../../src/blackbox/sampling/sobol.js'
import { rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'

const golden = JSON.parse(readFileSync(new URL('../golden/sobol.json', import.meta.url), 'utf8')) as {
  few: number[][]
  many: Record<string, number[]>
}
const floats = (n: number): Parameter[] =>
  Array.from({ length: n }, (_, i) => ({ name: `x${i}`, type: 'float', low: 0, high: 1 }))

describe('sobolSequence', () => {
  it('gives the unscrambled points of SciPy, bit for bit', () => {
    const few = sobolSequence(10)
    golden.few.forEach((point, i) => {
      expect([...few(i)]).toEqual(point)
    })
    const many = sobolSequence(512)
    for (const [i, point] of Object.entries(golden.many)) expect([...many(Number(i))]).toEqual(point)
  })

  it.each([1, 2, 3])('stays balanced when scrambled: seed %i', (seed) => {
    const d = 40
    const point = sobolSequence(d, rngStream(seed, 'scramble'))
    // Every dimension of 2^8 points is a (0, 8, 1)-net: one point in each of 256 intervals.
    const points = Array.from({ length: 256 }, (_, i) => point(i))
    for (let j = 0; j < d; j++)
      expect(new Set(points.map((x) => Math.floor(256 * x[j]))).size, `dimension ${j}`).toBe(256)
    // The first two dimensions are a (0, 8, 2)-net: one point in each of 16 x 16 boxes.
    expect(new Set(points.map((x) => 16 * Math.floor(16 * x[0]) + Math.floor(16 * x[1]))).size).toBe(256)
  })

  it('integrates a smooth function far better than random points would', () => {
    const d = 6
    const errors = Array.from({ length: 20 }, (_, seed) => {
      const point = sobolSequence(d, rngStream(seed, 'scramble'))
      let sum = 0
      for (let i = 0; i < 1024; i++) sum += point(i).reduce((p, x) => p * (1 + 0.5 * (x - 0.5)), 1)
      return (sum / 1024 - 1) ** 2
    })
    const rms = Math.sqrt(errors.reduce((a, b) => a + b) / errors.length)
    // Random points: sqrt(((1 + 1/48)^6 - 1) / 1024) = 0.0113.
    expect(rms).toBeLessThan(0.0113 / 20)
  })
})

describe('sobol', () => {
  it('depends on the seed when scrambled, and not otherwise', () => {
    const points = (config: object, seed: number) =>
      new Driver(method, searchProblem(floats(3)), config, seed).ask(8).map(paramsOf)
    expect(points({}, 1)).not.toEqual(points({}, 2))
    expect(points({}, 1)).toEqual(points({}, 1))
    expect(points({ scramble: false }, 1)).toEqual(points({ scramble: false }, 2))
  })

  it('goes on after a restart where it was', () => {
    const a = new Driver(method, searchProblem(floats(5)), {}, 4)
    const b = new Driver(method, searchProblem(floats(5)), {}, 4)
    const straight = a.ask(20)
    const first = b.ask(7)
    b.restart()
    expect([...first, ...b.ask(13)]).toEqual(straight)
  })

  it('refuses more parameters than it has direction numbers for', () => {
    expect(MAX_DIMENSION).toBe(512)
    const check = (n: number) => method.check!(parseConfig(method.config, {}), searchProblem(floats(n)))
    expect(check(512)).toEqual([])
    expect(check(513)).toEqual([
      { path: 'space.parameters', message: 'sobol has direction numbers for 512 parameters, got 513' },
    ])
  })
})
