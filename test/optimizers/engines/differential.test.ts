import { beforeAll, describe, expect, test } from 'vitest'
import type { TensorSpec, Tensors } from '../../../src/core/tensor.js'
import { elements } from '../../../src/core/tensor.js'
import type { Kernel, Slots } from '../../../src/optimizers/engines/engine.js'
import { engineFor, loadEngines } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import { RULES, type TestRule } from './rules.js'

beforeAll(loadEngines)

const spec = (name: string, ...shape: number[]): TensorSpec => ({ name, shape, dtype: 'f32' })
const MANIFESTS: Record<string, TensorSpec[]> = {
  'one element': [spec('a')],
  'odd lengths': [spec('a', 7), spec('b', 3, 5), spec('c', 1), spec('d', 2, 3, 5), spec('e', 0), spec('f', 13)],
  'many small': Array.from({ length: 41 }, (_, i) =>
    i % 3 === 0 ? spec(`t${i}`, (i % 5) + 1, 3) : spec(`t${i}`, (i % 6) + 1),
  ),
  'one large': [spec('w', 91, 103)],
}

/** Values by a fixed formula: no stream to keep. */
const FILLS: Record<string, (i: number) => number> = {
  ordinary: (i) => Math.fround(Math.sin(i * 12.9898 + 1) * 2),
  zeros: () => 0,
  tiny: (i) => (i % 2 ? 1 : -1) * Math.fround(1e-41 * (i % 7)),
  'wide range': (i) => Math.fround((i % 2 ? 1 : -1) * 10 ** ((i % 13) - 6)),
}
const filled = (manifest: readonly TensorSpec[], f: (i: number) => number): Tensors => {
  let at = 0
  return Object.fromEntries(
    manifest.map(({ name, shape }) => [name, Float64Array.from({ length: elements(shape) }, () => f(at++))]),
  )
}

type Run = { x: Tensors; slots: Slots; reports: Record<string, number>; kernel: Kernel }
function execute(
  rule: TestRule,
  engine: 'interpreter' | 'wasm',
  manifest: TensorSpec[],
  fill: string,
  precision: 'f32' | 'f64',
  steps = 3,
): Run {
  const kernel = engineFor(engine).compile(compileRule(rule.source), manifest, precision)
  const { x, slots } = kernel.allocate()
  for (const [name, array] of Object.entries(filled(manifest, (i) => Math.fround(Math.cos(i * 7.7 + 1)))))
    x[name].set(array)
  for (let t = 1; t <= steps; t++) {
    const inputs = Object.fromEntries(
      ['g', ...(rule.source.inputs ?? [])].map((name, k) => [
        name,
        filled(manifest, (i) => FILLS[fill](i + 1000 * t + 17 * k)),
      ]),
    )
    kernel.run({ x, slots, inputs, scalars: { ...rule.scalars, t }, seed: 1234567890123 + t })
  }
  return { x, slots, reports: { ...kernel.reports() }, kernel }
}

/** All arrays of a run by path. */
function arraysOf({ x, slots, reports }: Run): [string, ArrayLike<number>][] {
  const named = Object.entries({ ...slots, x }).flatMap(([slot, arrays]) =>
    Object.entries(arrays).map(([tensor, array]) => [`${slot}.${tensor}`, array] as [string, ArrayLike<number>]),
  )
  return [...named, ...Object.entries(reports).map(([name, value]) => [name, [value]] as [string, number[]])]
}

function compare(actual: Run, expected: Run, relative: number, absolute: number) {
  const wrong: string[] = []
  const found = new Map(arraysOf(actual))
  for (const [path, want] of arraysOf(expected)) {
    const got = found.get(path) as ArrayLike<number>
    expect(got.length).toBe(want.length)
    for (let i = 0; i < want.length; i++) {
      const close = Math.abs(want[i] - got[i]) <= absolute + relative * Math.abs(want[i])
      if (!close && !Object.is(want[i], got[i])) wrong.push(`${path}[${i}]: ${got[i]} instead of ${want[i]}`)
    }
  }
  expect(found.size).toBe(arraysOf(expected).length)
  expect(wrong.slice(0, 5)).toEqual([])
}

describe.each(Object.keys(RULES))('%s', (name) => {
  const rule = RULES[name]
  test('passes', () => {
    const kernel = engineFor('wasm').compile(compileRule(rule.source), MANIFESTS['odd lengths'], 'f32')
    expect(kernel.passes).toBe(rule.passes)
  })
  test.each(Object.keys(MANIFESTS))('%s', (manifest) => {
    for (const fill of Object.keys(FILLS)) {
      const expected = execute(rule, 'interpreter', MANIFESTS[manifest], fill, 'f64')
      compare(execute(rule, 'wasm', MANIFESTS[manifest], fill, 'f64'), expected, 1e-11, 1e-13)
      if (fill === 'ordinary') compare(execute(rule, 'wasm', MANIFESTS[manifest], fill, 'f32'), expected, 2e-4, 2e-5)
    }
  })
})
