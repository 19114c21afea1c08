import { describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/sessions/stores/memory.js'
import { ok, open, refusal, search, tensors } from './fakes.js'

const spec = { method: 'dice', problem: search, seed: 1, prefetch: 2 }

describe('prefetched suggestions', () => {
  it('are made once a second worker is out, are handed out in order, and are made up for', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    const waiting = async () => (await sessions.trials('a', { filter: 'state = WAITING' })).items.map((t) => t.number)
    const first = await sessions.step('a', { count: 1, worker: 'one' })
    expect(await waiting()).toEqual([])
    await sessions.step('a', { count: 1, worker: 'two' })
    expect(await waiting()).toEqual([2, 3])

    const next = await sessions.step('a', { observations: [ok(first.queries[0])], count: 1, worker: 'one' })
    expect(next.queries.map(({ trial }) => trial)).toEqual([2])
    expect(await waiting()).toEqual([3, 4])
  })

  it('know every answer where one worker tells and then asks', async () => {
    const [plain, ahead] = [await open(), await open()]
    await plain.create({ ...spec, prefetch: undefined }, { id: 'a' })
    await ahead.create(spec, { id: 'a' })
    for (let i = 0; i < 5; i++) {
      const [p] = (await plain.step('a', { count: 1 })).queries
      const { revision } = await ahead.get('a')
      const [q] = (await ahead.step('a', { count: 1 })).queries
      expect(q.points).toEqual(p.points)
      await plain.step('a', { observations: [ok(p)], count: 0 })
      await ahead.step('a', { observations: [ok(q)], count: 0 })
      // The ask, the tell, and the point that is made before the next ask.
      expect((await ahead.get('a')).revision).toBe(revision + 3)
    }
  })

  it('are in the journal: a restart goes on where they were', async () => {
    const store = new MemoryStore()
    const sessions = await open({ store })
    await sessions.create(spec, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 3 })
    await sessions.step('a', { observations: queries.slice(0, 2).map((q) => ok(q)), count: 2 })
    const before = await sessions.get('a')
    const again = await open({ store })
    expect(await again.get('a')).toMatchObject({ revision: before.revision, stateHash: before.stateHash })
    const [one, two] = [await sessions.step('a', { count: 3 }), await again.step('a', { count: 3 })]
    expect(two.queries.map(({ points }) => points)).toEqual(one.queries.map(({ points }) => points))
  })

  it('keep to the budget', async () => {
    const sessions = await open()
    await sessions.create({ ...spec, prefetch: 10, budget: { maxEvaluations: 4 } }, { id: 'a' })
    let { queries } = await sessions.step('a', { count: 2 })
    for (let i = 0; i < 10 && queries.length > 0; i++)
      queries = [...(await sessions.step('a', { observations: queries.map((q) => ok(q)), count: 2 })).queries]
    expect(await sessions.get('a')).toMatchObject({ state: 'done', counts: { asked: 4, told: 4, open: 0 } })
    expect((await sessions.trials('a', {})).items).toHaveLength(4)
  })

  it('are refused where there is nothing to make ahead', async () => {
    const sessions = await open()
    const create = (more: object) => sessions.create({ ...spec, ...more })
    expect(await refusal(create({ prefetch: -1 }))).toMatchObject({ path: 'prefetch' })
    expect(await refusal(create({ prefetch: 1.5 }))).toMatchObject({ path: 'prefetch' })
    expect(await refusal(create({ method: 'slope', problem: tensors }))).toMatchObject({ path: 'prefetch' })
  })
})
