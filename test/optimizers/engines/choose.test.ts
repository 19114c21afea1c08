import { expect, test } from 'vitest'
import { AsktellError } from '../../../src/core/errors.js'
import type { EngineId } from '../../../src/core/method.js'
import { chooseEngine } from '../../../src/optimizers/engines/choose.js'

const running =
  (...ids: EngineId[]) =>
  async (id: EngineId) => {
    if (ids.includes(id)) return `${id} of the test`
    throw new AsktellError('UNSUPPORTED', `${id} is not installed`)
  }

test('auto takes the best that runs here, and says what it passed over', async () => {
  expect(await chooseEngine('auto')).toMatchObject({ id: 'wasm', why: expect.stringContaining('SIMD') })
  const { id, why } = await chooseEngine('auto', running('interpreter', 'tensorflow'))
  expect(id).toBe('tensorflow')
  expect(why).toContain('tensorflow of the test')
  expect(why).toContain('not wasm: wasm is not installed')
  expect((await chooseEngine('auto', running('interpreter'))).id).toBe('interpreter')
})

test('an engine asked for is taken or refused, never replaced', async () => {
  expect(await chooseEngine('interpreter')).toMatchObject({ id: 'interpreter' })
  expect(await chooseEngine('tensorflow')).toMatchObject({ why: expect.stringContaining('@tensorflow/tfjs 4') })
  await expect(chooseEngine('tensorflow', running('wasm'))).rejects.toThrow('tensorflow is not installed')
})
