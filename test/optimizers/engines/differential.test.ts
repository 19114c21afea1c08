import { beforeAll, describe, expect, test } from 'vitest'
import { engineFor, loadEngine } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import { catalogueRules } from './catalogue.js'
import { compareEngines, ENGINES, FILLS, type Fill, MANIFESTS } from './compare.js'
import { RULES } from './rules.js'

beforeAll(async () => {
  for (const { engine } of ENGINES) await loadEngine(engine)
})

const ALL = Object.keys(FILLS) as Fill[]
/** All inputs where tensors are small and odd, some where they are large. */
const INPUTS: Record<keyof typeof MANIFESTS, readonly Fill[]> = {
  'one element': ALL,
  'odd lengths': ALL,
  'many small': ['ordinary', 'denormal', 'not finite'],
  'one large': ['ordinary', 'huge'],
}

describe.each(Object.keys(RULES))('%s', (name) => {
  const { source, scalars, passes } = RULES[name]
  const program = compileRule(source)
  test('passes', () => {
    expect(engineFor('wasm').compile(program, MANIFESTS['odd lengths'], 'f32').passes).toBe(passes)
  })
  test.each(Object.keys(MANIFESTS) as (keyof typeof MANIFESTS)[])('%s', (manifest) => {
    compareEngines(program, () => scalars, MANIFESTS[manifest], INPUTS[manifest])
  })
})

describe('the catalogue', () => {
  const rules = catalogueRules()
  test('is there', () => {
    expect(rules.length).toBeGreaterThan(100)
  })
  test.each(rules)('$title', ({ program, scalars, shape = (tensor) => tensor.shape }) => {
    for (const [name, fills] of Object.entries(INPUTS)) {
      const tensors = MANIFESTS[name as keyof typeof MANIFESTS]
      const manifest = tensors.map((tensor) => ({ ...tensor, shape: shape(tensor) }))
      compareEngines(program, scalars, manifest, fills, { narrow: true })
    }
  })
})
