import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { LmdbStore } from '../../src/sessions/stores/lmdb.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import { refusal } from './fakes.js'
import { storeConformance } from './stores.conformance.js'

const root = mkdtempSync(join(tmpdir(), 'asktell-stores-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let count = 0
const paths = new WeakMap<object, string>()
const openAt = (path: string) => {
  const store = new LmdbStore(path)
  paths.set(store, path)
  return store
}

storeConformance('memory', async () => new MemoryStore())
storeConformance(
  'lmdb',
  async () => openAt(join(root, `${count++}`)),
  async (store) => {
    await store.close()
    return openAt(paths.get(store)!)
  },
)

it('lets one process open a data directory, and says who has it', async () => {
  const path = join(root, 'locked')
  const store = new LmdbStore(path)
  await expect(refusal((async () => new LmdbStore(path))())).resolves.toMatchObject({
    reason: 'STORE_FAILED',
    message: expect.stringContaining(`in use by process ${process.pid}`),
  })
  await store.close()
  await new LmdbStore(path).close()
})
