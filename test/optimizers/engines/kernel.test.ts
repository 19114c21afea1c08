import { beforeAll, describe, expect, test } from 'vitest'
import type { EngineId } from '../../../src/core/method.js'
import type { FloatArray, TensorSpec } from '../../../src/core/tensor.js'
import { decodeTree, encodeTree } from '../../../src/core/tree.js'
import type { Slots } from '../../../src/optimizers/engines/engine.js'
import { engineFor, loadEngine } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { RuleSource } from '../../../src/optimizers/language/program.js'
import { RULES } from './rules.js'

/** Those that run on every machine. */
const ENGINES = ['interpreter', 'wasm', 'tensorflow'] as const

beforeAll(async () => {
  for (const engine of ENGINES) await loadEngine(engine)
})

const MANIFEST: TensorSpec[] = [
  { name: 'w', shape: [5, 7], dtype: 'f32' },
  { name: 'b', shape: [3], dtype: 'f32' },
]
const gradients = (t: number) => ({
  w: Float32Array.from({ length: 35 }, (_, i) => Math.sin(i + t)),
  b: Float32Array.from({ length: 3 }, (_, i) => Math.cos(i + t)),
})
const compile = (source: RuleSource, engine: EngineId = 'wasm', manifest = MANIFEST) =>
  engineFor(engine).compile(compileRule(source), manifest, 'f32')
const rule = (text: string, more: Partial<RuleSource> = {}): RuleSource => ({
  text,
  slots: {},
  hyperparameters: [],
  ...more,
})

describe.each(ENGINES)('%s', (engine) => {
  test('initial values, kinds and keys of slots', () => {
    const kinds = ['tensor', 'scalar', 'global', 'row', 'column'] as const
    const slots = Object.fromEntries(kinds.map((kind) => [kind, { kind, initial: 1.5 }]))
    const { slots: made } = compile(rule('x = g', { slots }), engine).allocate()
    const lengths = (slot: Slots[string]) =>
      Object.fromEntries(Object.entries(slot).map(([key, array]) => [key, array.length]))
    expect(Object.fromEntries(Object.entries(made).map(([name, slot]) => [name, lengths(slot)]))).toEqual({
      tensor: { w: 35, b: 3 },
      scalar: { w: 1, b: 1 },
      global: { all: 1 },
      row: { w: 5, b: 0 },
      column: { w: 7, b: 0 },
    })
    for (const slot of Object.values(made))
      for (const array of Object.values(slot)) expect(array.every((v) => v === 1.5)).toBe(true)
  })

  test('a run continues bit for bit from a stored state', () => {
    for (const { source, scalars } of Object.values(RULES)) {
      const run = (restart: boolean) => {
        let kernel = compile(source, engine)
        let state = kernel.allocate()
        for (let t = 1; t <= 4; t++) {
          const inputs = { g: gradients(t), h: gradients(-t) }
          kernel.run({ ...state, inputs, scalars: { ...scalars, t }, seed: t })
          if (!restart) continue
          kernel = compile(source, engine)
          state = kernel.adopt(decodeTree(encodeTree(state)) as typeof state)
        }
        return encodeTree(state)
      }
      expect(run(true)).toEqual(run(false))
    }
  })

  test('values follow the text line by line', () => {
    const kernel = compile(
      rule('a = m\nm = 2\nb = m\nx = x + 1\nx = x*b + a\nreport b = max(x, all)', {
        slots: { m: { kind: 'tensor', initial: 5 } },
      }),
      engine,
    )
    const { x, slots } = kernel.allocate()
    kernel.run({ x, slots, inputs: { g: gradients(1) }, scalars: { t: 1 } })
    expect(x.w[34]).toBe(7)
    expect(slots.m.b[2]).toBe(2)
    expect(kernel.reports()).toEqual({ b: 7 })
  })

  test('a number left out is an error', () => {
    const kernel = compile(rule('x = x - lr*g', { hyperparameters: ['lr'] }), engine)
    const state = kernel.allocate()
    expect(() => kernel.run({ ...state, inputs: { g: gradients(1) }, scalars: { t: 1 } })).toThrow('supplies no "lr"')
  })

  test('rows and columns need matrices, or another branch', () => {
    const slots = { r: { kind: 'row' }, s: { kind: 'scalar' } } as const
    const wrong = [
      'x = g*r',
      'x = g/mean(r)',
      's = max(r)\nx = g',
      'u = r*g\nx = u',
      'x = matrix ? g : g*r',
      'x = rowMean(g)',
      'x = matrix ? g*dot(g, r, all) : g',
      'u = g*r\nn = sum(u, all)\nx = matrix ? n*g : g',
    ]
    for (const text of wrong) {
      expect(() => compile(rule(text, { slots }), engine)).toThrow(/tensor "b" of rank 1/)
      expect(() => compile(rule(text, { slots }), engine, MANIFEST.slice(0, 1))).not.toThrow()
    }
    const right = [
      'x = matrix ? g*r : g',
      'u = g*r\nx = not matrix ? g : u',
      'r = rowMean(g)\nreport r = sum(r, all)\nx = g',
    ]
    for (const text of right) expect(() => compile(rule(text, { slots }), engine)).not.toThrow()
  })
})

describe('wasm memory', () => {
  const { source, scalars } = RULES.adam
  const bits = (array: FloatArray) => [...array]

  test('state and inputs live in one memory, and are used where they are', () => {
    const kernel = compile(source)
    const { x, slots } = kernel.allocate()
    const g = kernel.inputBuffer('g')
    expect(new Set([x.w, x.b, slots.m.w, slots.v.b, g.w].map(({ buffer }) => buffer)).size).toBe(1)
    g.w.set(gradients(1).w)
    g.b.set(gradients(1).b)
    kernel.run({ x, slots, inputs: { g }, scalars: { ...scalars, t: 1 } })
    expect(x.w[3]).toBeCloseTo(-scalars.lr * Math.sign(gradients(1).w[3]), 6)
    expect(() => kernel.inputBuffer('h')).toThrow(RangeError)
  })

  test('arrays that live elsewhere are updated all the same', () => {
    const resident = compile(source)
    const state = resident.allocate()
    const elsewhere = compile(source)
    const { x, slots } = decodeTree(encodeTree(state)) as typeof state
    for (let t = 1; t <= 3; t++) {
      resident.run({ ...state, inputs: { g: gradients(t) }, scalars: { ...scalars, t } })
      elsewhere.run({ x, slots, inputs: { g: gradients(t) }, scalars: { ...scalars, t } })
    }
    expect(bits(x.w)).toEqual(bits(state.x.w))
    expect(bits(slots.v.b)).toEqual(bits(state.slots.v.b))
  })

  test('two states of one kernel do not share memory', () => {
    const kernel = compile(source)
    const first = kernel.allocate()
    const second = kernel.allocate()
    kernel.run({ ...first, inputs: { g: gradients(1) }, scalars: { ...scalars, t: 1 } })
    expect(first.x.w.buffer).not.toBe(second.x.w.buffer)
    expect(second.x.w.every((v) => v === 0)).toBe(true)
    expect(first.x.w.every((v) => v === 0)).toBe(false)
  })

  test('packed slots beyond what a memory can hold are refused', () => {
    const manifest: TensorSpec[] = [{ name: 'huge', shape: [2 ** 15, 2 ** 15], dtype: 'f32' }]
    const packing = { dtype: 'bf16', slots: new Set(['m']) } as const
    const kernel = engineFor('wasm').compile(compileRule(source), manifest, 'f32', packing)
    expect(() => kernel.allocate()).toThrow(/at most 4 GiB/)
  })
})

describe('random fields', () => {
  const statistics = (distribution: string) => {
    const manifest: TensorSpec[] = [{ name: 'w', shape: [200, 250], dtype: 'f32' }]
    const kernel = compile(rule(`x = ${distribution}()`), 'wasm', manifest)
    const { x, slots } = kernel.allocate()
    kernel.run({ x, slots, inputs: { g: { w: new Float32Array(50_000) } }, scalars: { t: 1 }, seed: 77 })
    const draws = [...x.w]
    const mean = draws.reduce((sum, v) => sum + v, 0) / draws.length
    const variance = draws.reduce((sum, v) => sum + (v - mean) ** 2, 0) / draws.length
    return { mean, variance, least: Math.min(...draws), most: Math.max(...draws) }
  }
  // 50,000 draws: five standard errors of the mean are 0.022 standard deviations.
  test.each([
    ['normal', 0, 1],
    ['rademacher', 0, 1],
    ['uniform', 0.5, 1 / 12],
    ['exponential', 1, 1],
  ])('%s', (distribution, mean, variance) => {
    const found = statistics(distribution)
    expect(Math.abs(found.mean - mean)).toBeLessThan(0.023 * Math.sqrt(variance))
    expect(Math.abs(found.variance / variance - 1)).toBeLessThan(0.07)
    if (distribution === 'uniform') expect(found.least >= 0 && found.most < 1).toBe(true)
  })
  test('call sites, seeds and elements draw apart; tensors share one field however it is cut', () => {
    const draw = (manifest: TensorSpec[], seed: number, text = 'x = normal()') => {
      const kernel = compile(rule(text), 'interpreter', manifest)
      const { x, slots } = kernel.allocate()
      const zeros = Object.fromEntries(Object.entries(x).map(([name, array]) => [name, new Float64Array(array.length)]))
      kernel.run({ x, slots, inputs: { g: zeros }, scalars: { t: 1 }, seed })
      return Object.values(x).flatMap((array) => [...array])
    }
    const whole: TensorSpec[] = [{ name: 'a', shape: [38], dtype: 'f32' }]
    expect(draw(MANIFEST, 5)).toEqual(draw(whole, 5))
    const draws = [
      ...draw(whole, 5),
      ...draw(whole, 6),
      ...draw(whole, 5 + 2 ** 32),
      ...draw(whole, 5, 'a = normal()\nx = normal() + 0*a'),
    ]
    expect(new Set(draws).size).toBe(draws.length)
  })
})

describe('elementary functions', () => {
  const special = [0, -0, 5e-324, -5e-324, 1e-310, 2 ** -1022, 1e-200, 1e-9, 0.1, 0.5, 0.7, 0.72, 1, 1.5, 2, 20, 300]
  const extremes = [709.7, 710, 745, 746, 1e4, 1e200, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN]
  const spread = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 53 + 1e-7 * i)
  const powers = Array.from({ length: 600 }, (_, i) => 10 ** (i - 300) * (1 + i / 700))
  const points = [...special, ...extremes, ...[...special, ...extremes].map((v) => -v), ...spread, ...powers]
  const manifest: TensorSpec[] = [{ name: 'p', shape: [points.length], dtype: 'f32' }]

  test.each(['exp', 'log', 'tanh', 'sin', 'cos', 'sqrt'] as const)('%s', (fn) => {
    for (const precision of ['f64', 'f32'] as const) {
      const kernel = engineFor('wasm').compile(compileRule(rule(`x = ${fn}(g)`)), manifest, precision)
      const state = kernel.allocate()
      const given = precision === 'f64' ? points : points.map(Math.fround)
      kernel.run({ ...state, inputs: { g: { p: Float64Array.from(given) } }, scalars: { t: 1 } })
      const wrong = given.flatMap((point, i) => {
        const exact = Math[fn](point)
        const value = precision === 'f64' ? exact : Math.fround(exact)
        const unit = precision === 'f64' ? 2 ** -52 : 2 ** -23
        const least = precision === 'f64' ? 5e-324 : 1.5e-45
        const close = Math.abs(state.x.p[i] - value) <= Math.max(2 * unit * Math.abs(value), least)
        return close || Object.is(value, state.x.p[i]) ? [] : [[point, state.x.p[i], value]]
      })
      expect(wrong.slice(0, 5)).toEqual([])
    }
  })
})
