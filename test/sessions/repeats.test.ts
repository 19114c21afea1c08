import { describe, expect, it } from 'vitest'
import type { Query } from '../../src/core/query.js'
import { BreakableStore, ok, open, refusal, search, tensors } from './fakes.js'

const gradients = (value: number) => [{ w: new Float32Array(20).fill(value), b: Float64Array.of(value) }]
const told = (query: Query, value: number) => ({
  queryId: query.id,
  status: 'ok' as const,
  gradients: gradients(value),
})
const slope = { method: 'slope', problem: tensors, config: { learningRate: 1 } }

describe('a repeated step', () => {
  it('hands over the point that was asked at, and never another', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    await sessions.create(slope, { id: 'a' })
    const [first] = (await sessions.step('a', { count: 1 })).queries
    const a = { observations: [told(first, 1)], count: 1, requestId: 'A' }
    const answer = await sessions.step('a', a)
    const [second] = answer.queries
    // Its query is open: nothing has moved since.
    expect(await sessions.step('a', a)).toEqual({ ...answer, repeated: true })
    const at = (query: Query) => sessions.view('a', 'x', ({ w }) => w[0], query.id)
    expect(await at(second)).toBe(-1)

    const b = { observations: [told(second, 1)], count: 1, requestId: 'B' }
    const [third] = (await sessions.step('a', b)).queries
    expect(await at(second)).toBeUndefined()
    expect(await at(third)).toBe(-2)
    for (const each of [sessions, await open({ store })]) {
      const again = await each.step('a', a)
      expect(again).toMatchObject({ repeated: true, revision: answer.revision, queries: [] })
      expect(again.short?.reason).toBe('1 of 1 queries have been answered since, and their points are gone')
      expect((await each.step('a', b)).queries).toEqual([third])
    }
  })

  it('keeps small points of its own, answered or not', async () => {
    const sessions = await open()
    await sessions.create({ method: 'dice', problem: search, seed: 1 }, { id: 'a' })
    const call = { count: 2, requestId: 'r' }
    const first = await sessions.step('a', call)
    await sessions.step('a', { observations: [ok(first.queries[0])], count: 0 })
    expect(await sessions.step('a', call)).toEqual({ ...first, repeated: true })
  })
})

describe('views', () => {
  it('are read between two tells, however close they come', async () => {
    const sessions = await open()
    await sessions.create(slope, { id: 'a' })
    let [query] = (await sessions.step('a', { count: 1 })).queries
    for (let i = 0; i < 20; i++) {
      const reads: Promise<number | undefined>[] = []
      const read = () => reads.push(sessions.view('a', 'x', ({ w }) => w[0], query.id))
      read()
      const next = sessions.step('a', { observations: [told(query, 1)], count: 1 })
      for (let tick = 0; tick < i; tick++) await Promise.resolve()
      read()
      const { queries } = await next
      read()
      for (const seen of await Promise.all(reads)) expect([-i, undefined]).toContain(seen === 0 ? -0 : seen)
      expect(await reads[2]).toBeUndefined()
      query = queries[0]
    }
  })
})

describe('a step that tells and waits', () => {
  it('answers with the metrics of its tell', async () => {
    const sessions = await open()
    await sessions.create(slope, { id: 'a' })
    const [first] = (await sessions.step('a', { count: 1 })).queries
    const [second] = (await sessions.step('a', { observations: [told(first, 1)], count: 1 })).queries
    await sessions.update('a', { state: 'paused' })
    const waiting = sessions.step('a', { observations: [told(second, 1)], count: 1, wait: 30_000, requestId: 'r' })
    await sessions.step('a', { count: 0 })
    await sessions.update('a', { state: 'running' })
    const answer = await waiting
    expect(answer.queries).toHaveLength(1)
    expect(answer.metrics).toEqual({ step: 2 })
    const again = { observations: [told(second, 1)], count: 1, wait: 30_000, requestId: 'r' }
    expect(await sessions.step('a', again)).toEqual({ ...answer, repeated: true })
  })

  it('keeps them when it is sent again to go on waiting', async () => {
    const sessions = await open()
    await sessions.create(slope, { id: 'a' })
    const [first] = (await sessions.step('a', { count: 1 })).queries
    await sessions.update('a', { state: 'paused' })
    const call = { observations: [told(first, 1)], count: 1, wait: 20, requestId: 'r' }
    expect(await sessions.step('a', call)).toMatchObject({ queries: [], metrics: { step: 1 } })
    await sessions.update('a', { state: 'running' })
    const answer = await sessions.step('a', { ...call, wait: 30_000 })
    expect(answer.queries).toHaveLength(1)
    expect(answer.metrics).toEqual({ step: 1 })
  })
})

describe('the end of a session', () => {
  it('is final when the method came to it', async () => {
    const sessions = await open()
    await sessions.create({ method: 'dice', problem: search, config: { most: 1 } }, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 1 })
    expect(await sessions.step('a', { observations: queries.map((q) => ok(q)), count: 1 })).toMatchObject({
      state: 'done',
    })
    for (const state of ['paused', 'running'] as const)
      expect(await refusal(sessions.update('a', { state }))).toMatchObject({ reason: 'SESSION_CLOSED' })
    expect(await sessions.get('a')).toMatchObject({ state: 'done', statusMessage: 'all points were tried' })
  })

  it('is not when a client or a budget brought it about', async () => {
    const sessions = await open()
    await sessions.create({ method: 'dice', problem: search, budget: { maxEvaluations: 1 } }, { id: 'a' })
    await sessions.update('a', { state: 'done' })
    expect((await sessions.update('a', { state: 'running' })).state).toBe('running')
    const { queries } = await sessions.step('a', { count: 1 })
    await sessions.step('a', { observations: queries.map((q) => ok(q)), count: 0 })
    expect((await sessions.update('a', { state: 'running' })).state).toBe('done')
    expect((await sessions.update('a', { budget: { maxEvaluations: 2 } })).state).toBe('running')
  })
})

describe('the hash of a state', () => {
  it('tells sessions apart that have different futures', async () => {
    const sessions = await open()
    const spec = { method: 'dice', problem: search, seed: 1 }
    const hash = async (more: object) => (await sessions.create({ ...spec, ...more })).stateHash
    const same = await hash({})
    expect(await hash({ displayName: 'another', labels: { team: 'x' }, lease: 5 })).toBe(same)
    const [x, y] = search.space.kind === 'search' ? search.space.parameters : []
    const hashes = [
      same,
      await hash({ seed: 2 }),
      await hash({ config: { scale: 0.5 } }),
      await hash({ budget: { maxEvaluations: 3 } }),
      await hash({ pruner: { method: 'ceiling' } }),
      await hash({ problem: { ...search, objectives: [{ name: 'loss', direction: 'maximize' }] } }),
      await hash({ problem: { ...search, constraints: ['c'] } }),
      await hash({ problem: { ...search, space: { kind: 'search', parameters: [x, { ...y, high: 11 }] } } }),
    ]
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})
