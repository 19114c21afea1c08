import { describe, expect, it } from 'vitest'
import type { Point, Want } from '../../src/core/query.js'
import { checkSpace } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import { coordinate, flatOf, plus } from '../../src/optimizers/flat.js'
import { problem, problemNames } from './index.js'
import { rankingOf } from './oracle.js'

const dense = (d: number): Want => ({
  kind: 'quantities',
  quantities: [{ name: 'hessian', shape: [d, d], description: 'the Hessian' }],
})
const noView = (name: string): never => {
  throw new Error(`no view ${name}`)
}
const at = (point: Point) => ({ kind: 'best' as const, points: [{ point }], step: 0 })

describe('test problems', () => {
  it.each(problemNames)('%s has a valid space', (name) => {
    expect(checkSpace(problem(name).problem.space)).toEqual([])
  })

  it.each(['quadratic', 'rosenbrock'])('%s: the gradient is that of the value', (name) => {
    const { problem: p, answer } = problem(name)
    if (p.space.kind !== 'tensors') throw new Error('expected tensors')
    const start = p.space.initial as Tensors
    const ask = (tensors: Tensors) =>
      answer(
        { id: 'q', points: [{ kind: 'tensors', tensors }], wants: [{ kind: 'value' }, { kind: 'gradient' }] },
        noView,
      )
    const gradient = ask(start).gradients![0]
    for (const tensor of Object.keys(start))
      for (let i = 0; i < start[tensor].length; i++) {
        const moved = (by: number) => ({
          ...start,
          [tensor]: Float64Array.from(start[tensor], (x, j) => (i === j ? x + by : x)),
        })
        const slope = (ask(moved(1e-5)).values![0][0] - ask(moved(-1e-5)).values![0][0]) / 2e-5
        expect(slope).toBeCloseTo(gradient[tensor][i], 4)
      }
  })

  it.each(['quadratic', 'rosenbrock', 'separable', 'low-rank'])('%s: the Hessian is that of the gradient', (name) => {
    const { problem: p, answer } = problem(name, { dtype: 'f64' })
    const { dimension, start, tensors, vector } = flatOf(p)
    const point = (x: Float64Array): Point => ({ kind: 'tensors', tensors: tensors(x) })
    const gradient = (x: Float64Array) =>
      vector(answer({ id: 'q', points: [point(x)], wants: [{ kind: 'gradient' }] }, noView).gradients![0])
    const x = start().map((v, i) => v + 0.1 * Math.sin(i))
    const [{ hessian }] = answer({ id: 'q', points: [point(x)], wants: [dense(dimension)] }, noView).quantities!
    for (let i = 0; i < dimension; i++) {
      const axis = coordinate(i, dimension)
      const wants = [{ kind: 'hvp', curvature: 'hessian' } as const]
      const [product] = answer({ id: 'q', points: [point(x), point(axis)], wants }, noView).products!
      expect(vector(product)).toEqual(hessian.slice(i * dimension, (i + 1) * dimension))
      const [above, below] = [1e-5, -1e-5].map((by) => gradient(plus(x, by, axis)))
      above.forEach((g, j) => {
        expect(hessian[i * dimension + j]).toBeCloseTo((g - below[j]) / 2e-5, 4)
      })
    }
  })

  it.each([
    ['branin', { kind: 'params', params: { x1: Math.PI, x2: 2.275 } }],
    ['sphere-5d', { kind: 'params', params: { x0: 1.3, x1: -2.1, x2: 0.7, x3: 2.9, x4: -0.4 } }],
    ['mixed', { kind: 'params', params: { learningRate: 10 ** -2.5, width: 64, optimizer: 'sgd', momentum: 0.9 } }],
    ['rosenbrock', { kind: 'tensors', tensors: { x: Float64Array.of(1, 1) } }],
    ['bilinear-game', { kind: 'tensors', tensors: { x: Float64Array.of(0), y: Float64Array.of(0) } }],
    ['keywords', { kind: 'text', text: { instruction: 'units, dates, sources, rounding' } }],
  ] as [string, Point][])('%s takes its optimum at its solution', (name, point) => {
    const { value, optimum } = problem(name)
    expect(value(at(point), noView)).toBeCloseTo(optimum, 6)
  })

  it('a shift moves start, bounds and solution together', () => {
    const { problem: p, value } = problem('branin', { shift: 3 })
    expect(p.space).toMatchObject({ parameters: [{ low: -2, high: 13 }, { low: 3 }] })
    expect(value(at({ kind: 'params', params: { x1: Math.PI + 3, x2: 5.275 } }), noView)).toBeCloseTo(0.397887, 5)
  })

  it('rankings group ties and stop at top', () => {
    expect(rankingOf([3, 1, 2, 1], false, 4)).toEqual([[1, 3], [2], [0]])
    expect(rankingOf([3, 1, 2, 1], true, 2)).toEqual([[0], [2]])
    expect(rankingOf([3, 1, 2, 1], false, 1)).toEqual([[1, 3]])
  })

  it('refuses what it does not offer', () => {
    const query = { id: 'q', points: [], wants: [{ kind: 'gradient' as const }] }
    expect(() => problem('branin').answer(query, noView)).toThrow('does not answer gradient')
    expect(() => problem('nowhere')).toThrow('no test problem')
  })
})
