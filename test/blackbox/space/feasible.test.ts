import { describe, expect, it } from 'vitest'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import { checkFeasible } from '../../../src/blackbox/space/feasible.js'
import { freshPoint, uniformPoint } from '../../../src/blackbox/space/fresh.js'
import type { SpaceConstraint } from '../../../src/core/constraints.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, Params, SearchSpace } from '../../../src/core/space.js'

const unit = (...names: string[]): Parameter[] => names.map((name) => ({ name, type: 'float', low: 0, high: 1 }))
const space = (parameters: Parameter[], ...constraints: SpaceConstraint[]): SearchSpace => ({
  kind: 'search',
  parameters,
  constraints,
})
const rng = () => new Rng(rngStream(1, 'test'))

describe('where constraints hold', () => {
  it('uniform points are uniform: the middle of a triangle', () => {
    const encoding = encodingOf(space(unit('x', 'y'), { type: 'linear', coefficients: { x: 1, y: 1 }, bound: 1 }))
    const random = rng()
    const points = Array.from({ length: 2000 }, () => uniformPoint(encoding, random))
    const mean = (name: string) => points.reduce((sum, p) => sum + (p[name] as number), 0) / points.length
    // Each coordinate has mean 1/3 and deviation 1/sqrt(18): four standard errors.
    for (const name of ['x', 'y']) expect(Math.abs(mean(name) - 1 / 3)).toBeLessThan(4 / Math.sqrt(18 * 2000))
  })

  it('a walk finds its way about a corner that draws miss', () => {
    // A part of 1 / 8! of the cube, and of that a slice: no draw is expected among thousands.
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    const of = space(unit(...names), {
      type: 'linear',
      coefficients: Object.fromEntries(names.map((name) => [name, 1])),
      bound: 0.5,
    })
    const encoding = encodingOf(of)
    expect(checkFeasible(of)).toEqual([])
    const random = rng()
    const points = Array.from({ length: 30 }, () => uniformPoint(encoding, random))
    const sums = points.map((p) => names.reduce((sum, name) => sum + (p[name] as number), 0))
    for (const sum of sums) expect(sum).toBeLessThanOrEqual(0.5 + 1e-12)
    // The mean of each is 0.5 / 9; a walk that stays where it begins has none of that spread.
    for (const name of names) {
      const mean = points.reduce((sum, p) => sum + (p[name] as number), 0) / points.length
      expect(mean).toBeGreaterThan(0.02)
      expect(mean).toBeLessThan(0.13)
    }
  })

  it('every vector stands for a point that satisfies them, those inside for themselves', () => {
    const encoding = encodingOf(space(unit('x', 'y'), { type: 'expression', expression: 'x^2 + y^2 <= 0.5' }))
    expect(encoding.decode([0.3, 0.4])).toEqual({ x: 0.3, y: 0.4 })
    const { x, y } = encoding.decode([1, 1]) as { x: number; y: number }
    expect(x * x + y * y).toBeLessThanOrEqual(0.5)
    // Moved to the border, not into the middle.
    expect(x * x + y * y).toBeGreaterThan(0.499)
    expect(encoding.decode([1, 1])).toEqual({ x, y })
  })

  it('a finite space ends when what is allowed was asked', () => {
    const of = space(
      [
        { name: 'n', type: 'int', low: 0, high: 9 },
        { name: 'k', type: 'categorical', choices: ['a', 'b'] },
      ],
      { type: 'forbidden', when: { k: ['a'], n: [0, 1, 2, 3, 4, 5, 6, 7] } },
      { type: 'expression', expression: 'n != 9' },
    )
    const encoding = encodingOf(of)
    const seen = new Set<string>()
    const random = rng()
    const next = () =>
      freshPoint(
        encoding,
        (p: Params) => seen.has(JSON.stringify(p)),
        () => uniformPoint(encoding, random),
        (n) => random.integer(n),
      )
    for (let p = next(); p; p = next()) seen.add(JSON.stringify(p))
    expect(seen.size).toBe(10)
  })

  it.each<[string, SearchSpace, RegExp]>([
    ['nothing', space(unit('x'), { type: 'expression', expression: 'x > 2' }), /no point .* was found/],
    ['an equality of floats', space(unit('x', 'y'), { type: 'expression', expression: 'x + y == 1' }), /compute it/],
    [
      'none of a few',
      space([{ name: 'n', type: 'int', low: 1, high: 4 }], { type: 'forbidden', when: { n: [1, 2, 3, 4] } }),
      /none of the 4 points/,
    ],
  ])('%s is refused', (_, of, message) => {
    const [issue] = checkFeasible(of)
    expect(issue.path).toBe('space.constraints')
    expect(issue.message).toMatch(message)
  })

  it('one point of thousands is found by counting, a thin slab by projection', () => {
    const needle = space([{ name: 'n', type: 'int', low: 1, high: 50_000 }], {
      type: 'expression',
      expression: 'n == 31337',
    })
    expect(checkFeasible(needle)).toEqual([])
    expect(encodingOf(needle).decode([0.1])).toEqual({ n: 31337 })
    const slab = space(
      unit('x', 'y', 'z'),
      { type: 'linear', coefficients: { x: 1, y: 1, z: 1 }, bound: 1.00001 },
      { type: 'linear', coefficients: { x: -1, y: -1, z: -1 }, bound: -1 },
    )
    expect(checkFeasible(slab)).toEqual([])
  })
})

describe('permutations', () => {
  const of = space([{ name: 'o', type: 'permutation', items: ['a', 'b', 'c', 'd'] }, ...unit('x')])
  const encoding = encodingOf(of)
  it('take a coordinate per item and come back', () => {
    expect(encoding.dimension).toBe(5)
    for (const o of [
      ['a', 'b', 'c', 'd'],
      ['d', 'b', 'a', 'c'],
    ])
      expect(encoding.decode(encoding.encode({ o, x: 0.5 }).u)).toEqual({ o, x: 0.5 })
  })
  it('are counted: every order once', () => {
    const orders = encodingOf(space([{ name: 'o', type: 'permutation', items: [1, 2, 3, 4] }]))
    expect(orders.cardinality).toBe(24)
    expect(new Set(Array.from({ length: 24 }, (_, i) => `${orders.point(i).o}`)).size).toBe(24)
    const many = Array.from({ length: 30 }, (_, i) => i)
    expect(encodingOf(space([{ name: 'o', type: 'permutation', items: many }])).cardinality).toBe(Infinity)
  })
  it('are uniform', () => {
    const random = rng()
    const counts = new Map<string, number>()
    for (let i = 0; i < 2400; i++) {
      const { o } = uniformPoint(encoding, random)
      counts.set(`${o}`, (counts.get(`${o}`) ?? 0) + 1)
    }
    // 100 expected of each, five standard deviations.
    expect(counts.size).toBe(24)
    for (const n of counts.values()) expect(Math.abs(n - 100)).toBeLessThan(50)
  })
})
