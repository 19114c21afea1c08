/** A session keeps the engine that it was created with, whatever the server computes new sessions with. */
import { afterAll, expect, it } from 'vitest'
import type { SessionSpec, Sessions } from '../../src/sessions/api.js'
import { createSessions } from '../../src/sessions/index.js'

const spec = (config: object, dtype: 'f32' | 'f64' = 'f32'): SessionSpec => ({
  method: 'adam',
  config: { learningRate: 0.1, transforms: [{ id: 'clip-norm' }, { id: 'gradient-noise' }], ...config },
  problem: {
    space: { kind: 'tensors', tensors: [{ name: 'w', shape: [4, 3], dtype }] },
    objectives: [{ name: 'loss', direction: 'minimize' }],
  },
  seed: 7,
})

async function* whole(chunks: Uint8Array[]) {
  yield* chunks
}

const values = (sessions: Sessions, id: string) => sessions.view(id, 'x', ({ w }) => Array.from(w)) as Promise<number[]>

/** Steps down the slope of sum (w - 1)^2. */
async function descend(sessions: Sessions, id: string, steps: number) {
  for (let step = 0; step < steps; step++) {
    const { queries } = await sessions.step(id, { observations: [], count: 1 })
    const gradients = [{ w: Float32Array.from(await values(sessions, id), (value) => 2 * (value - 1)) }]
    const observations = queries.map((query) => ({ queryId: query.id, status: 'ok' as const, gradients }))
    await sessions.step(id, { observations, count: 0 })
  }
}

const opened = new Map<string, Sessions>()
afterAll(() => Promise.all([...opened.values()].map((sessions) => sessions.close())))
const by = async (engine: 'wasm' | 'tensorflow') => {
  const sessions = opened.get(engine) ?? (await createSessions({ store: { kind: 'memory' }, engine }))
  opened.set(engine, sessions)
  return sessions
}

it('continues bit for bit where another engine is the default, and the engine is in the hash', async () => {
  const [tensorflow, wasm] = [await by('tensorflow'), await by('wasm')]
  for (const sessions of [tensorflow, wasm]) {
    await sessions.create(spec({}), { id: 'a' })
    await descend(sessions, 'a', 5)
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of tensorflow.export('a')) chunks.push(chunk)
  await wasm.import(whole(chunks), { id: 'moved' })
  for (const [sessions, id] of [
    [tensorflow, 'a'],
    [wasm, 'moved'],
    [wasm, 'a'],
  ] as const)
    await descend(sessions, id, 5)

  const hash = async (sessions: Sessions, id: string) => (await sessions.get(id, { stateHash: true })).stateHash
  expect(await hash(wasm, 'moved')).toBe(await hash(tensorflow, 'a'))
  expect(await hash(wasm, 'a')).not.toBe(await hash(tensorflow, 'a'))
  const there = await values(tensorflow, 'a')
  for (const [i, value] of (await values(wasm, 'a')).entries()) expect(there[i]).toBeCloseTo(value, 4)
})

it('a precision that the engine has not is refused when the session is created', async () => {
  const sessions = await by('tensorflow')
  const refused = { reason: 'METHOD_UNSUITABLE', issues: [{ path: 'config.precision' }] }
  await expect(sessions.create(spec({ precision: 'f64' }))).rejects.toMatchObject(refused)
  await expect(sessions.create(spec({}, 'f64'))).rejects.toMatchObject(refused)
  await expect(sessions.create(spec({ precision: 'f32' }, 'f64'))).resolves.toBeDefined()
})
