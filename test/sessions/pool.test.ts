import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { BreakableStore, Clock, dice, ok, open, refusal, search } from './fakes.js'
import { heavy } from './heavy.js'

const threadModules = [fileURLToPath(new URL('../../dist/test/sessions/heavy.js', import.meta.url))]
const store = new BreakableStore()
const clock = new Clock()
const start = () => open({ store, clock: clock.read, methods: [dice, heavy], threads: 2, threadModules })
const opened: { close(): Promise<void> }[] = []
const fresh = async () => {
  const sessions = await start()
  opened.push(sessions)
  return sessions
}
afterAll(() => Promise.all(opened.map((sessions) => sessions.close())))

const spec = { method: 'heavy', problem: search, seed: 3 }

describe('the worker pool', () => {
  it('gives the same run as the calling thread, before and after a restart', async () => {
    const sessions = await fresh()
    await sessions.create(spec, { id: 'a' })
    await sessions.create({ ...spec, method: 'dice' }, { id: 'b' })
    const first = await sessions.step('a', { count: 2 })
    const same = await sessions.step('b', { count: 2 })
    expect(first.queries).toEqual(same.queries)
    const observations = first.queries.map((q) => ok(q))
    const next = await sessions.step('a', { observations, count: 1 })
    expect(next.queries).toEqual((await sessions.step('b', { observations, count: 1 })).queries)
    const { stateHash, revision } = await sessions.get('a')
    const again = await fresh()
    expect(await again.get('a')).toMatchObject({ stateHash, revision })
    expect(await again.estimate('a')).toMatchObject({ kind: 'best', step: 2 })
  })

  it('does not hold up other sessions', async () => {
    const sessions = await fresh()
    const done: string[] = []
    const slow = sessions.step('a', { count: 1 }).then(() => done.push('heavy'))
    await sessions.step('b', { count: 1 }).then(() => done.push('light'))
    await slow
    expect(done).toEqual(['light', 'heavy'])
  })

  it('ends with the process that closes it', () => {
    const built = new URL('../../dist/src/sessions/index.js', import.meta.url)
    const script = `
      import { openManager } from '${built}'
      const sessions = await openManager({ store: { kind: 'memory' }, methods: [], threads: 1 })
      await sessions.context.pool.open({ method: 'none' }).catch(() => {})
      await sessions.close()
      console.log('closed')`
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script]).toString()).toBe('closed\n')
  })

  it('keeps a session as it was when its step throws, or its thread dies', async () => {
    const sessions = await fresh()
    await sessions.create(spec, { id: 'c' })
    const { queries } = await sessions.step('c', { count: 5 })
    await sessions.step('c', { observations: queries.slice(0, 3).map((q) => ok(q)), count: 0 })
    const before = await sessions.get('c')
    expect(await refusal(sessions.step('c', { count: 1 }))).toMatchObject({
      reason: 'INTERNAL',
      message: 'three is too much',
    })
    expect(await sessions.get('c')).toEqual(before)
    await sessions.create(spec, { id: 'd' })
    const four = await sessions.step('d', { count: 4 })
    await sessions.step('d', { observations: four.queries.map((q) => ok(q)), count: 0 })
    const untouched = await sessions.get('d')
    expect(await refusal(sessions.step('d', { count: 1 }))).toMatchObject({ reason: 'UNAVAILABLE' })
    expect(await sessions.get('d')).toEqual(untouched)
    expect((await sessions.get('a')).revision).toBeGreaterThan(1)
  })
})
