/** The webgpu engine on whatever adapter there is: all rules with awkward inputs, against the interpreter. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TensorSpec } from '../../../src/core/tensor.js'
import { loadEngine } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { Program } from '../../../src/optimizers/language/program.js'
import { catalogueRules } from './catalogue.js'
import { differences, execute, FILLS, type Fill, MANIFESTS } from './compare.js'
import { manifestFor, texts, wellFormed } from './random-rules.js'
import { RULES } from './rules.js'
import { findVulkan } from './vulkan.js'

beforeAll(async () => {
  await findVulkan()
  await Promise.all([loadEngine('webgpu'), loadEngine('wasm')])
})

const DEVICE = { engine: 'webgpu', precision: 'f32', relative: 2e-4, ofLargest: 2e-5 } as const
const REFERENCE = { engine: 'interpreter', precision: 'f64' } as const
const NARROW = { engine: 'wasm', precision: 'f32' } as const

/** WGSL lets compilers regroup sums and products: what is not finite comes out as infinity in one grouping and as NaN in another. */
const NEITHER_FINITE = /^(NaN|-?Infinity) instead of (NaN|-?Infinity)$/

/**
 * Every value is that of the interpreter; or, where digits cancel or squares leave the range, what another engine makes of
 * it in f32. WGSL leaves it to the device whether it takes denormals as zeros.
 */
function compare(
  program: Program,
  scalars: (t: number) => Record<string, number>,
  manifest: TensorSpec[],
  fill: Fill,
  slack = 1,
) {
  const run = (form: typeof DEVICE | typeof REFERENCE | typeof NARROW, filled: Fill) =>
    execute(program, scalars, form, manifest, filled)
  const outcome = run(DEVICE, fill)
  const form = { ...DEVICE, relative: slack * DEVICE.relative, ofLargest: slack * DEVICE.ofLargest }
  const readings: (() => ReturnType<typeof run>)[] = [
    () => run(REFERENCE, fill),
    () => run(NARROW, fill),
    ...(fill === 'denormal' ? [() => run(REFERENCE, 'zeros'), () => run(NARROW, 'zeros')] : []),
  ]
  let wrong: Map<string, string> | undefined
  for (const reading of readings) {
    const unlike = differences(outcome, reading(), form)
    for (const [path, text] of unlike) if (NEITHER_FINITE.test(text)) unlike.delete(path)
    wrong = wrong ? new Map([...wrong].filter(([path]) => unlike.has(path))) : unlike
    if (wrong.size === 0) return
  }
  expect([...wrong!].slice(0, 3), fill).toEqual([])
}

const ALL = Object.keys(FILLS) as Fill[]
const INPUTS: Record<keyof typeof MANIFESTS, readonly Fill[]> = {
  'one element': ALL,
  'odd lengths': ALL,
  'many small': ['ordinary', 'denormal', 'not finite'],
  'one large': ['ordinary', 'huge'],
}

describe.each(Object.keys(RULES))('%s', (name) => {
  const { source, scalars } = RULES[name]
  test.each(Object.keys(MANIFESTS) as (keyof typeof MANIFESTS)[])('%s', (manifest) => {
    for (const fill of INPUTS[manifest]) compare(compileRule(source), () => scalars, MANIFESTS[manifest], fill)
  })
})

describe('the catalogue', () => {
  test.each(catalogueRules())('$title', ({ program, scalars, shape = (tensor) => tensor.shape }) => {
    const manifest = MANIFESTS['odd lengths'].map((tensor) => ({ ...tensor, shape: shape(tensor) }))
    for (const fill of ALL) compare(program, scalars, manifest, fill)
  })
})

test('random rules', () => {
  fc.assert(
    fc.property(texts, (lines) => {
      const program = wellFormed(lines)
      compare(program, () => ({ lr: 0.1 }), manifestFor(program), 'ordinary', 50)
    }),
    { seed: 20_261_126, numRuns: 60 },
  )
})
