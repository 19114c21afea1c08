import { describe, expect, it } from 'vitest'
import type { SpaceConstraint } from '../../src/core/constraints.js'
import { checkParams, checkSpace, type Parameter, type Params, type SearchSpace } from '../../src/core/space.js'

const parameters: readonly Parameter[] = [
  { name: 'x', type: 'float', low: -5, high: 5 },
  { name: 'n', type: 'int', low: 1, high: 8 },
  { name: 'kind', type: 'categorical', choices: ['sgd', 'adam'] },
  { name: 'on', type: 'categorical', choices: [true, false] },
  { name: 'size', type: 'ordinal', choices: [16, 32, 64] },
  { name: 'mixed', type: 'categorical', choices: ['a', 1, true] },
  { name: 'decay', type: 'float', low: 0, high: 1, condition: { parent: 'kind', values: ['adam'] } },
  { name: 'order', type: 'permutation', items: ['p', 'q'] },
]
const space = (...constraints: SpaceConstraint[]): SearchSpace => ({ kind: 'search', parameters, constraints })
const expression = (text: string) => space({ type: 'expression', expression: text })
const point: Params = { x: 2, n: 3, kind: 'sgd', on: true, size: 32, mixed: 1, order: ['q', 'p'] }
const holds = (of: SearchSpace, more: Params = {}) => {
  expect(checkSpace(of)).toEqual([])
  return checkParams(of, { ...point, ...more }, 'p').length === 0
}

describe('expressions', () => {
  it.each<[string, boolean]>([
    ['x + n <= 5', true],
    ['x + n < 5', false],
    ['x^2 * n == 12', true],
    ['-x < 0', true],
    ['1 < x < n', true],
    ['1 < x < 2', false],
    ['n mod 2 == 1', true],
    ['sqrt(x - 3) < 1', false],
    ['max(x, n, 1) == 3 and min(x, n) == 2', true],
    ['abs(log(exp(x)) - 2) < 1e-12', true],
    ['kind == "sgd" and not (size > 32)', true],
    ['kind != "sgd" or on', true],
    ['not on', false],
    ['mixed == 1 and mixed != "a"', true],
    ['x * pi > 2 * e', true],
    ['decay > 0.5', true],
  ])('%s is %s', (text, expected) => {
    expect(holds(expression(text))).toBe(expected)
  })

  it('of an active conditional parameter counts', () => {
    expect(holds(expression('decay > 0.5'), { kind: 'adam', decay: 0.4 })).toBe(false)
    expect(holds(expression('decay > 0.5'), { kind: 'adam', decay: 0.6 })).toBe(true)
  })

  it.each<[string, RegExp]>([
    ['x +', /is not an expression/],
    ['x + 1', /expected a comparison/],
    ['1 < 2', /names no parameter/],
    ['y < 1', /"y" is neither a parameter nor pi or e/],
    ['x = 1', /not part of the language/],
    ['f(x) = x; f(x) < 1', /not part of the language/],
    ['import("fs") < x', /is not one of abs/],
    ['x.constructor < 1', /not part of the language/],
    ['constructor(x) < 1', /is not one of abs/],
    ['toString < x', /neither a parameter/],
    ['[x, 1] < 2', /not part of the language/],
    ['kind < 1', /expected a number/],
    ['kind == 1', /never equal/],
    ['x and on', /expected true or false/],
    ['mod(x, 2) < 1', /is not one of abs/],
    ['max() < x', /max takes 1 to 20/],
    ['sqrt(x, 2) < 1', /sqrt takes 1/],
    ['order == 1', /permutation/],
    [`x < ${'('.repeat(60)}1${')'.repeat(60)}`, /levels of nesting/],
    [`x < ${'1 + '.repeat(1000)}1`, /2000 characters/],
  ])('%s is refused', (text, message) => {
    const [{ path, message: said }] = checkSpace(expression(text))
    expect(path).toBe('space.constraints[0].expression')
    expect(said).toMatch(message)
  })
})

describe('linear constraints and forbidden combinations', () => {
  it('hold or not', () => {
    const linear = (bound: number) => space({ type: 'linear', coefficients: { x: 2, n: -1 }, bound })
    expect(holds(linear(1))).toBe(true)
    expect(holds(linear(0.999))).toBe(false)
    const forbidden = space({ type: 'forbidden', when: { kind: ['sgd'], n: [3, 4] } })
    expect(holds(forbidden)).toBe(false)
    expect(holds(forbidden, { n: 5 })).toBe(true)
    // Sums of decimals are rounded.
    const thirds = space({ type: 'linear', coefficients: { x: 1, decay: 1 }, bound: 0.3 })
    expect(holds(thirds, { kind: 'adam', x: 0.1, decay: 0.2 })).toBe(true)
  })

  it('name the violated one, located', () => {
    const of = space({ type: 'linear', coefficients: { x: 1 }, bound: 1 }, { type: 'expression', expression: 'n > 3' })
    expect(checkParams(of, point, 'point')).toEqual([
      { path: 'point', message: 'violates "1*x <= 1"' },
      { path: 'point', message: 'violates "n > 3"' },
    ])
  })

  it.each<[SpaceConstraint, string]>([
    [{ type: 'linear', coefficients: {}, bound: 1 }, 'coefficients'],
    [{ type: 'linear', coefficients: { x: 1 }, bound: Number.NaN }, 'bound'],
    [{ type: 'linear', coefficients: { y: 1 }, bound: 1 }, 'coefficients.y'],
    [{ type: 'linear', coefficients: { kind: 1 }, bound: 1 }, 'coefficients.kind'],
    [{ type: 'linear', coefficients: { x: Infinity }, bound: 1 }, 'coefficients.x'],
    [{ type: 'forbidden', when: {} }, 'when'],
    [{ type: 'forbidden', when: { order: ['p'] } }, 'when.order'],
    [{ type: 'forbidden', when: { kind: [] } }, 'when.kind'],
    [{ type: 'forbidden', when: { toString: ['p'] } as never }, 'when.toString'],
  ])('are refused where they are wrong: %j', (constraint, path) => {
    expect(checkSpace(space(constraint)).map((issue) => issue.path)).toEqual([`space.constraints[0].${path}`])
  })
})

describe('permutations', () => {
  it('take every order of their items and nothing else', () => {
    for (const order of [['p'], ['p', 'p'], ['p', 'q', 'p'], ['p', 'r'], 'pq', 1, ['p', ['q']]])
      expect(checkParams(space(), { ...point, order: order as string[] }, 'p').map(({ path }) => path)).toEqual([
        'p.order',
      ])
    expect(checkParams(space(), { ...point, order: ['p', 'q'] }, 'p')).toEqual([])
    expect(checkParams(space(), { ...point, kind: ['sgd'] }, 'p').map(({ path }) => path)).toEqual(['p.kind'])
  })
  it('have items of their own and no children', () => {
    const of = (...list: Parameter[]) => checkSpace({ kind: 'search', parameters: list }).map(({ path }) => path)
    expect(of({ name: 'o', type: 'permutation', items: [] })).toEqual(['space.parameters[0].items'])
    expect(of({ name: 'o', type: 'permutation', items: [1, 2, 1] })).toEqual(['space.parameters[0].items[2]'])
    const child: Parameter = { name: 'c', type: 'float', low: 0, high: 1, condition: { parent: 'o', values: [1] } }
    expect(of({ name: 'o', type: 'permutation', items: [1, 2] }, child)).toEqual([
      'space.parameters[1].condition.parent',
    ])
  })
})
