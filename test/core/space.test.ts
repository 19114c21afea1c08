import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  checkParams,
  checkSpace,
  contains,
  isActive,
  type Parameter,
  type SearchSpace,
  type Space,
} from '../../src/core/space.js'

const search = (...parameters: Parameter[]): SearchSpace => ({ kind: 'search', parameters })
const float = (more: object = {}): Parameter => ({ name: 'x', type: 'float', low: 0, high: 1, ...more }) as Parameter
const paths = (space: Space) => checkSpace(space).map(({ path }) => path)

describe('checkSpace', () => {
  it('wants start values inside the box', () => {
    const box = (more: object, dtype: 'f32' | 'f64' | 'bf16' = 'f64'): Space => ({
      kind: 'tensors',
      tensors: [{ name: 'w', shape: [2], dtype }],
      ...more,
    })
    const w = (...values: number[]) => ({ initial: { w: Float64Array.from(values) } })
    expect(paths(box({ low: -1, high: 1 }))).toEqual([])
    expect(paths(box({ low: Number.NaN }))).toEqual(['space.low'])
    expect(paths(box({ high: Infinity }))).toEqual(['space.high'])
    expect(paths(box({ low: 2, high: 1 }))).toEqual(['space.low'])
    expect(paths(box({ low: 0.5, high: 1 }))).toEqual(['space.low'])
    expect(paths(box({ high: -1 }))).toEqual(['space.high'])
    expect(paths(box({ low: 0.5, high: 1, ...w(0.5, 1) }))).toEqual([])
    expect(paths(box({ low: 0.5, high: 1, ...w(0.7, 1.1) }))).toEqual(['space.initial.w[1]'])
    expect(paths(box({ low: 0.5, ...w(0.4, 7) }))).toEqual(['space.initial.w[0]'])
    expect(paths(box(w(0, Number.NaN)))).toEqual(['space.initial.w[1]'])
    expect(paths(box(w(0)))).toEqual(['space.initial.w'])
    expect(paths(box({ initial: { v: new Float64Array(2) } }))).toEqual(['space.initial.v'])
    // A bound is kept as well as the type can hold it.
    expect(paths(box({ high: 0.1, initial: { w: Float32Array.of(0.1, 0.1) } }, 'f32'))).toEqual([])
    expect(paths(box({ high: 0.1, initial: { w: Float32Array.of(0.1, 0.10009765625) } }, 'bf16'))).toEqual([])
    expect(paths(box({ high: 0.1, initial: { w: Float32Array.of(0.1, 0.10009765625) } }, 'f32'))).toEqual([
      'space.initial.w[1]',
    ])
  })

  it('wants start texts that fit', () => {
    const text = (initial: string): Space => ({
      kind: 'text',
      components: [
        { name: 'free', initial },
        { name: 'short', initial, maxLength: 3 },
      ],
    })
    expect(paths(text('abc'))).toEqual([])
    expect(paths(text('abcd'))).toEqual(['space.components[1].initial'])
  })

  it.each<[string, Space, string[]]>([
    ['low > high', search(float({ low: 2 })), ['space.parameters[0].low']],
    ['a log scale from zero', search(float({ log: true })), ['space.parameters[0].low']],
    ['NaN bounds', search(float({ high: Number.NaN })), ['space.parameters[0].high']],
    [
      'infinite bounds',
      search(float({ low: -Infinity, high: Infinity })),
      ['space.parameters[0].low', 'space.parameters[0].high'],
    ],
    ['a negative step', search(float({ step: -1 })), ['space.parameters[0].step']],
    ['a step on a log scale', search(float({ low: 1, high: 2, log: true, step: 1 })), ['space.parameters[0].step']],
    ['a broken integer', search({ name: 'n', type: 'int', low: 0.5, high: 3 }), ['space.parameters[0].low']],
    [
      'a fractional integer step',
      search({ name: 'n', type: 'int', low: 0, high: 3, step: 0.5 }),
      ['space.parameters[0].step'],
    ],
    ['no choices', search({ name: 'c', type: 'categorical', choices: [] }), ['space.parameters[0].choices']],
    ['a choice twice', search({ name: 'c', type: 'ordinal', choices: [1, 2, 1] }), ['space.parameters[0].choices[2]']],
    ['a name twice', search(float(), float()), ['space.parameters[1].name']],
    ['no name', search(float({ name: '' })), ['space.parameters[0].name']],
    ['a name that every record has', search(float({ name: 'constructor' })), ['space.parameters[0].name']],
    ['no parameters', search(), ['space.parameters']],
    [
      'a condition on a later parameter',
      search(float({ condition: { parent: 'y', values: [1] } }), float({ name: 'y' })),
      ['space.parameters[0].condition.parent'],
    ],
    [
      'a condition on a value that the parent cannot take',
      search(float(), float({ name: 'y', condition: { parent: 'x', values: [7] } })),
      ['space.parameters[1].condition.values[0]'],
    ],
    [
      'a condition without values',
      search(float(), float({ name: 'y', condition: { parent: 'x', values: [] } })),
      ['space.parameters[1].condition.values'],
    ],
    [
      'a zero dimension',
      { kind: 'tensors', tensors: [{ name: 'w', shape: [2, 0], dtype: 'f32' }] },
      ['space.tensors[0].shape[1]'],
    ],
    [
      'an unknown dtype',
      { kind: 'tensors', tensors: [{ name: 'w', shape: [], dtype: 'i8' as 'f32' }] },
      ['space.tensors[0].dtype'],
    ],
    [
      'a crossed box',
      { kind: 'tensors', tensors: [{ name: 'w', shape: [], dtype: 'f32' }], low: 1, high: 0 },
      ['space.low'],
    ],
    ['no components', { kind: 'text', components: [] }, ['space.components']],
    [
      'items of different width',
      { kind: 'items', items: [{ id: 'a', features: [1] }, { id: 'b' }] },
      ['space.items[1].features'],
    ],
    ['an item twice', { kind: 'items', items: [{ id: 'a' }, { id: 'a' }] }, ['space.items[1].name']],
  ])('locates %s', (_, space, expected) => {
    expect(paths(space)).toEqual(expected)
  })

  it('takes what is right', () => {
    const space = search(
      { name: 'rate', type: 'float', low: 1e-5, high: 1, log: true },
      { name: 'kind', type: 'categorical', choices: ['a', 'b', true, 3] },
      { name: 'depth', type: 'int', low: 1, high: 9, step: 2, condition: { parent: 'kind', values: ['a'] } },
    )
    expect(paths(space)).toEqual([])
  })
})

describe('points', () => {
  const space = search(
    { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
    { name: 'x', type: 'float', low: 0, high: 1, condition: { parent: 'kind', values: ['a'] } },
    { name: 'n', type: 'int', low: 0, high: 4, condition: { parent: 'x', values: [0.5] } },
  )

  it('contains: bounds, integers, steps, choices', () => {
    expect(contains(float({ step: 0.1 }), 0.1 + 0.2)).toBe(true)
    expect(contains(float({ step: 0.1 }), 0.25)).toBe(false)
    expect(contains(float(), '0.5')).toBe(false)
    expect(contains({ name: 'n', type: 'int', low: 0, high: 4 }, 1.5)).toBe(false)
    expect(contains({ name: 'c', type: 'ordinal', choices: [1, '1'] }, true)).toBe(false)
  })

  it('a float of the range is contained, one outside is not', () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => contains(float(), x) === (x >= 0 && x <= 1)))
  })

  it('conditions chain: a child of an inactive parent is inactive', () => {
    expect(isActive(space.parameters[2], { kind: 'b' })).toBe(false)
    expect(isActive(space.parameters[2], { kind: 'a', x: 0.5 })).toBe(true)
  })

  it.each([
    [{ kind: 'b' }, []],
    [{ kind: 'a', x: 0.5, n: 2 }, []],
    [{ kind: 'a' }, ['p.x']],
    [{ kind: 'b', x: 0.4 }, ['p.x']],
    [{ kind: 'c' }, ['p.kind']],
    [{ kind: 'b', z: 1 }, ['p.z']],
    [{ kind: 'a', x: Number.NaN }, ['p.x']],
  ] as [Record<string, string | number>, string[]][])('checkParams %j: issues at %j', (params, expected) => {
    expect(checkParams(space, params, 'p').map(({ path }) => path)).toEqual(expected)
  })
})
