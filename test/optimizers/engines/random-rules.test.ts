import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { loadEngine } from '../../../src/optimizers/engines/index.js'
import { compareEngines, ENGINES } from './compare.js'
import { MIXED, manifestFor, texts, wellFormed } from './random-rules.js'

beforeAll(async () => {
  for (const { engine } of ENGINES) await loadEngine(engine)
})

test('random rules: the engines agree', () => {
  let mixed = 0
  fc.assert(
    fc.property(texts, (lines) => {
      const program = wellFormed(lines)
      const manifest = manifestFor(program)
      if (manifest === MIXED) mixed++
      compareEngines(program, () => ({ lr: 0.1 }), manifest, ['ordinary'], { slack: 50 })
    }),
    { seed: 20_261_125, numRuns: 300 },
  )
  expect(mixed).toBeGreaterThan(50)
})
