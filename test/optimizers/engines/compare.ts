/** Runs a rule on every engine with awkward inputs, and compares each with the interpreter. */
import { expect } from 'vitest'
import type { EngineId } from '../../../src/core/method.js'
import { elements, type TensorSpec, type Tensors } from '../../../src/core/tensor.js'
import type { Slots } from '../../../src/optimizers/engines/engine.js'
import { engineFor } from '../../../src/optimizers/engines/index.js'
import type { Program } from '../../../src/optimizers/language/program.js'

export type Precision = 'f32' | 'f64'

type Form = { engine: EngineId; precision: Precision; relative: number; ofLargest: number }

/**
 * How close an engine comes to the interpreter: to each value, and beside that to the largest of its array. float32 has
 * 24 bits, of which a few steps of a rule, with their sums and differences, cost ten.
 */
export const ENGINES: readonly Form[] = [
  { engine: 'wasm', precision: 'f64', relative: 1e-11, ofLargest: 1e-13 },
  { engine: 'wasm', precision: 'f32', relative: 2e-4, ofLargest: 2e-5 },
  { engine: 'tensorflow', precision: 'f32', relative: 2e-4, ofLargest: 2e-5 },
]

export const spec = (name: string, ...shape: number[]): TensorSpec => ({ name, shape, dtype: 'f32' })

export const MANIFESTS = {
  'one element': [spec('a')],
  'odd lengths': [
    spec('a', 7),
    spec('b', 3, 5),
    spec('c', 1),
    spec('d', 2, 3, 5),
    spec('e', 0),
    spec('f', 13),
    spec('h', 1, 17),
    spec('k', 2, 2, 1),
  ],
  'many small': Array.from({ length: 41 }, (_, i) =>
    i % 3 === 0 ? spec(`t${i}`, (i % 5) + 1, 3) : spec(`t${i}`, (i % 6) + 1),
  ),
  'one large': [spec('w', 43, 71)],
} satisfies Record<string, TensorSpec[]>

/** Gradients by a fixed formula of the element: no stream to keep. */
export const FILLS = {
  ordinary: (i: number) => Math.sin(i * 12.9898 + 1) * 2,
  zeros: () => 0,
  denormal: (i: number) => (i % 2 ? 1 : -1) * 1e-41 * (i % 7),
  huge: (i: number) => Math.cos(i * 4.1) * 1e11,
  'wide range': (i: number) => (i % 2 ? 1 : -1) * 10 ** ((i % 11) - 8),
  'not finite': (i: number) => [Number.NaN, 1, Number.POSITIVE_INFINITY, -1, Number.NEGATIVE_INFINITY, 0, 2][i % 7],
} satisfies Record<string, (i: number) => number>
export type Fill = keyof typeof FILLS

function filled(manifest: readonly TensorSpec[], f: (i: number) => number): Tensors {
  let at = 0
  return Object.fromEntries(
    manifest.map(({ name, shape }) => [
      name,
      Float64Array.from({ length: elements(shape) }, () => Math.fround(f(at++))),
    ]),
  )
}

type Outcome = { x: Tensors; slots: Slots; reports: Record<string, number> }
type Scalars = (t: number) => Record<string, number>

export function execute(
  program: Program,
  scalars: Scalars,
  { engine, precision }: { engine: EngineId; precision: Precision },
  manifest: readonly TensorSpec[],
  fill: Fill,
  steps = 2,
): Outcome {
  const kernel = engineFor(engine).compile(program, manifest, precision)
  const { x, slots } = kernel.allocate()
  for (const [name, array] of Object.entries(filled(manifest, (i) => Math.cos(i * 7.7 + 1)))) x[name].set(array)
  for (let t = 1; t <= steps; t++) {
    const inputs = Object.fromEntries(
      ['g', ...(program.source.inputs ?? [])].map((name, k) => [
        name,
        filled(manifest, (i) => FILLS[fill](i + 1000 * t + 17 * k)),
      ]),
    )
    kernel.run({ x, slots, inputs, scalars: { ...scalars(t), t }, seed: 1234567890123 + t })
  }
  return { x, slots, reports: { ...kernel.reports() } }
}

/** All arrays of an outcome by path. */
function arraysOf({ x, slots, reports }: Outcome): [string, ArrayLike<number>][] {
  const named = Object.entries({ ...slots, x }).flatMap(([slot, arrays]) =>
    Object.entries(arrays).map(([tensor, array]) => [`${slot}.${tensor}`, array] as [string, ArrayLike<number>]),
  )
  return [...named, ...Object.entries(reports).map(([name, value]) => [name, [value]] as [string, number[]])]
}

const largest = (array: ArrayLike<number>): number =>
  Array.from(array).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0)

/** What differs by more than an engine may, as text by path. */
export function differences(actual: Outcome, expected: Outcome, { relative, ofLargest }: Form): Map<string, string> {
  const found = new Map(arraysOf(actual))
  const wrong = new Map<string, string>()
  expect([...found.keys()]).toEqual(arraysOf(expected).map(([path]) => path))
  for (const [path, want] of arraysOf(expected)) {
    const got = found.get(path) as ArrayLike<number>
    expect(got.length).toBe(want.length)
    const slack = ofLargest * Math.max(1, largest(want))
    for (let i = 0; i < want.length; i++) {
      const close = Math.abs(want[i] - got[i]) <= slack + relative * Math.abs(want[i])
      if (!close && !Object.is(want[i], got[i])) wrong.set(`${path}[${i}]`, `${got[i]} instead of ${want[i]}`)
    }
  }
  return wrong
}

/**
 * Compares all engines with the interpreter on one manifest. Where `narrow`, a value in f32 may also be what the other
 * engines in f32 make of it: there, squares over- and underflow that float64 holds, and digits cancel. `slack` widens
 * the tolerances.
 */
export function compareEngines(
  program: Program,
  scalars: Scalars,
  manifest: readonly TensorSpec[],
  fills: readonly Fill[],
  { narrow = false, slack = 1 } = {},
): void {
  for (const fill of fills) {
    const expected = execute(program, scalars, { engine: 'interpreter', precision: 'f64' }, manifest, fill)
    const outcomes = ENGINES.map(({ relative, ofLargest, ...form }) => ({
      ...form,
      relative: slack * relative,
      ofLargest: slack * ofLargest,
    })).map((form) => ({ form, outcome: execute(program, scalars, form, manifest, fill) }))
    for (const { form, outcome } of outcomes) {
      let wrong = differences(outcome, expected, form)
      for (const other of outcomes)
        if (
          wrong.size > 0 &&
          narrow &&
          form.precision === 'f32' &&
          other.form.precision === 'f32' &&
          other.form !== form
        ) {
          const alike = differences(outcome, other.outcome, form)
          wrong = new Map([...wrong].filter(([path]) => alike.has(path)))
        }
      expect([...wrong].slice(0, 3), `${form.engine} in ${form.precision}, ${fill}`).toEqual([])
    }
  }
}
