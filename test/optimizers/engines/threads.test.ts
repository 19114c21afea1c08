import { describe, expect, test } from 'vitest'
import type { TensorSpec } from '../../../src/core/tensor.js'
import { encodeTree } from '../../../src/core/tree.js'
import { loadWasmEngine, type WasmOptions } from '../../../src/optimizers/engines/wasm/index.js'
import { BLOCK } from '../../../src/optimizers/engines/wasm/work.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { RuleSource } from '../../../src/optimizers/language/program.js'
import { catalogueRules } from './catalogue.js'
import { spec } from './compare.js'
import { RULES } from './rules.js'

const MANIFESTS: Record<string, TensorSpec[]> = {
  'one of odd size': [spec('w', 11 * BLOCK + 1234 + 5)],
  'matrices of short and of long rows': [spec('a', 3, 701, 13), spec('b', 3, 9001), spec('c', 5, 0), spec('d', 3)],
  'many small and one large': [
    ...Array.from({ length: 20 }, (_, i) => spec(`s${i}`, i, 7)),
    spec('w', 150, 177),
    ...Array.from({ length: 20 }, (_, i) => spec(`t${i}`, i + 1)),
  ],
}
type Tested = { source: RuleSource; scalars: (t: number) => Record<string, number> }

/** What an engine makes of three steps, as bytes. */
async function outcome(
  { source, scalars }: Tested,
  manifest: TensorSpec[],
  precision: 'f32' | 'f64',
  options: WasmOptions,
) {
  const kernel = (await engineOf(options)).compile(compileRule(source), manifest, precision)
  const { x, slots } = kernel.allocate()
  const fill = (k: number) =>
    Object.fromEntries(
      Object.entries(x).map(([name, array]) => [
        name,
        array.slice().map((_, i) => Math.sin(12.9898 * i + k) * (i % 3 ? 1 : 1e3)),
      ]),
    )
  for (const [name, array] of Object.entries(fill(0))) x[name].set(array)
  const steps = []
  for (let t = 1; t <= 3; t++) {
    const inputs = Object.fromEntries(['g', ...(source.inputs ?? [])].map((name, k) => [name, fill(10 * t + k)]))
    kernel.run({ x, slots, inputs, scalars: { ...scalars(t), t }, seed: 2 ** 40 + t })
    steps.push({ ...kernel.reports() })
    // The threads of a first step may come too late for it.
    if (t === 1 && options.threads !== 1) await new Promise((resolve) => setTimeout(resolve, 30))
  }
  return Buffer.from(encodeTree({ x, slots, steps }))
}

const engines = new Map<string, ReturnType<typeof loadWasmEngine>>()
function engineOf(options: WasmOptions) {
  const key = JSON.stringify(options)
  if (!engines.has(key)) engines.set(key, loadWasmEngine({ large: 0, chunk: BLOCK, ...options }))
  return engines.get(key)!
}
const ALONE = { threads: 1 }
/** Threads that share the work; and tensors outside of the memory, as beyond 4 GiB. */
const OTHERS: WasmOptions[] = [{ threads: 2 }, { threads: 3 }, { threads: 5 }, { threads: 3, above: 0 }]

const random: RuleSource = {
  text: 'u = normal()\nn = norm(u, all)\nx = x - lr*(g + u/n + uniform())\nreport drawn = n',
  slots: {},
  hyperparameters: ['lr'],
}

describe('the bits are the same, shared out or streamed', () => {
  const own = Object.entries(RULES).map(([title, { source, scalars }]) => ({ title, source, scalars: () => scalars }))
  const rules = [...own, { title: 'random fields and their norm', source: random, scalars: () => ({ lr: 0.1 }) }]
  test.each(rules)('$title', async (rule) => {
    for (const manifest of Object.values(MANIFESTS))
      for (const precision of ['f32', 'f64'] as const) {
        const alone = await outcome(rule, manifest, precision, ALONE)
        for (const options of precision === 'f32' ? OTHERS : OTHERS.slice(2)) {
          const same = alone.equals(await outcome(rule, manifest, precision, options))
          expect(same, `${precision} ${JSON.stringify(options)}`).toBe(true)
        }
      }
  })

  test.each(catalogueRules())('$title', async ({ program, scalars, shape = (tensor) => tensor.shape }) => {
    const rule = { source: program.source, scalars }
    const manifest = MANIFESTS['matrices of short and of long rows'].map((t) => ({ ...t, shape: shape(t) }))
    const alone = await outcome(rule, manifest, 'f32', ALONE)
    for (const options of OTHERS.slice(2))
      expect(alone.equals(await outcome(rule, manifest, 'f32', options)), JSON.stringify(options)).toBe(true)
  })
})
