/** Which engine a server takes, and what it says of it. */
import { pino } from 'pino'
import { expect, it, vi } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import type * as Package from '../../src/optimizers/engines/tensorflow/package.js'
import { configSchema } from '../../src/server/config.js'
import { startServer } from '../../src/server/index.js'

// Files share the modules of a worker; those that the server loaded for another one know nothing of the mock.
vi.hoisted(() => vi.resetModules())

let installed = true
vi.mock('../../src/optimizers/engines/tensorflow/package.js', async (original) => {
  const { loadTensorFlow } = await original<typeof Package>()
  return {
    loadTensorFlow: async () => {
      if (installed) return loadTensorFlow()
      throw new AsktellError('UNSUPPORTED', 'the tensorflow engine needs a package')
    },
  }
})

async function start(engine: string) {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  let ready: Record<string, unknown> = {}
  const config = configSchema.parse({ grpcPort: 0, httpPort: 0, store: 'memory', drainSeconds: 1, engine })
  const server = await startServer(config, { log, onReady: (line) => (ready = JSON.parse(line)) })
  const version = await (await fetch(`http://127.0.0.1:${server.httpPort}/version`)).json()
  await server.close()
  return { ready, version, logged: lines.find(({ msg }) => msg === 'engine') }
}

it('auto picks an engine and says why in the log, the ready line and /version', async () => {
  const { ready, version, logged } = await start('auto')
  expect(ready.engine).toBe('wasm')
  expect(logged).toMatchObject({ engine: 'wasm', why: expect.stringContaining('SIMD') })
  expect(version.engine).toEqual({ id: 'wasm', why: logged?.why })
})

it('an engine that cannot run is refused at the start, with what to install', async () => {
  installed = false
  const refused = start('tensorflow')
  await expect(refused).rejects.toMatchObject({ reason: 'CONFIG_INVALID', issues: [{ path: 'engine' }] })
  await expect(refused).rejects.toThrow(/engine: the tensorflow engine needs a package/)
  installed = true
  expect((await start('tensorflow')).version.engine.why).toContain('@tensorflow/tfjs')
  expect(() => configSchema.parse({ engine: 'cuda' })).toThrow(/engine/)
})
