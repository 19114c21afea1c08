import { describe, expect, it } from 'vitest'
import type { Tensors } from '../../src/core/tensor.js'
import type { LeasedQuery } from '../../src/sessions/api.js'
import { openManager } from '../../src/sessions/index.js'
import { MemoryStore } from '../../src/sessions/stores/memory.js'

const N = 5
const problem = {
  space: { kind: 'tensors' as const, tensors: [{ name: 'w', shape: [N], dtype: 'f32' as const }] },
  objectives: [{ name: 'loss', direction: 'minimize' as const }],
}

async function start(config: object, method = 'sgd') {
  const store = new MemoryStore()
  let now = 1_000_000
  const open = () => openManager({ store, clock: () => now, threads: 0, engine: 'interpreter' })
  const sessions = await open()
  await sessions.create({ method, problem, config: { learningRate: 0.1, ...config }, seed: 1 }, { id: 's' })
  const wait = (seconds: number) => {
    now += 1000 * seconds
  }
  return { sessions, open, wait }
}
type Sessions = Awaited<ReturnType<typeof start>>['sessions']

const gradient = (k: number): Tensors => ({ w: Float32Array.from({ length: N }, (_, i) => Math.sin(7 * k + i)) })
const told = ({ id }: LeasedQuery, k: number) => ({ queryId: id, status: 'ok' as const, gradients: [gradient(k)] })
const ask = async (sessions: Sessions, worker: string) => (await sessions.step('s', { count: 1, worker })).queries[0]
const tell = (sessions: Sessions, query: LeasedQuery, k: number) =>
  sessions.step('s', { observations: [told(query, k)], count: 0 })
const x = (sessions: Sessions) => sessions.view('s', 'x', ({ w }) => [...w])
const metrics = async (sessions: Sessions) => (await sessions.estimate('s')).metrics!
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  )

describe('gathering', () => {
  it('barrier: a step takes the mean of all, whatever the order in which they come', async () => {
    const hashes = new Set<string>()
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      const { sessions } = await start({ gathering: { id: 'barrier', workers: 3 } }, 'adam')
      const queries = [await ask(sessions, 'a'), await ask(sessions, 'b'), await ask(sessions, 'c')]
      expect(new Set(queries.map(({ sampleKey }) => sampleKey)).size).toBe(3)
      const fourth = await sessions.step('s', { count: 1, worker: 'd' })
      expect(fourth.queries).toEqual([])
      expect(fourth.short?.reason).toBe('3 of 3 clients work on this step')
      for (const k of order.slice(0, 2)) await tell(sessions, queries[k], k)
      expect(await x(sessions)).toEqual([0, 0, 0, 0, 0])
      await tell(sessions, queries[order[2]], order[2])
      expect((await metrics(sessions)).gradients).toBe(1)
      hashes.add((await sessions.get('s')).stateHash)
    }
    expect(hashes.size).toBe(1)
  })

  it('barrier: moves as one client that tells the mean, or the sum', async () => {
    for (const reduction of ['mean', 'sum'] as const) {
      const { sessions } = await start({ gathering: { id: 'barrier', workers: 2, reduction } })
      const one = await start({})
      for (let step = 0; step < 3; step++) {
        const [a, b] = [await ask(sessions, 'a'), await ask(sessions, 'b')]
        await tell(sessions, b, 2 * step + 1)
        await tell(sessions, a, 2 * step)
        const share = reduction === 'mean' ? 0.5 : 1
        const w = gradient(2 * step).w.map((g, i) => (g + gradient(2 * step + 1).w[i]) * share)
        const query = await ask(one.sessions, 'a')
        await one.sessions.step('s', {
          observations: [{ queryId: query.id, status: 'ok', gradients: [{ w }] }],
          count: 0,
        })
      }
      const [several, single] = [await x(sessions), await x(one.sessions)]
      several?.forEach((value, i) => {
        expect(value).toBeCloseTo(single![i], 6)
      })
    }
  })

  it('barrier: goes on with a quorum, and refuses what comes later by its place', async () => {
    const { sessions } = await start({ gathering: { id: 'barrier', workers: 3, quorum: 2 } })
    const [a, b, c] = [await ask(sessions, 'a'), await ask(sessions, 'b'), await ask(sessions, 'c')]
    await tell(sessions, a, 0)
    await tell(sessions, c, 2)
    const moved = await x(sessions)
    expect(moved).not.toEqual([0, 0, 0, 0, 0])
    const error = await refusal(tell(sessions, b, 1))
    expect(error).toMatchObject({ reason: 'QUERY_RESOLVED', issues: [{ path: 'observations[0].queryId' }] })
    expect(await x(sessions)).toEqual(moved)
    const next = await ask(sessions, 'b')
    expect(next.sampleKey).toMatch(/^s2/)
  })

  it('barrier: a quorum waits for the deadline, and says until when', async () => {
    const { sessions, open, wait } = await start({
      gathering: { id: 'barrier', workers: 3, quorum: 2, deadline: 30 },
    })
    const [a, b, c] = [await ask(sessions, 'a'), await ask(sessions, 'b'), await ask(sessions, 'c')]
    await tell(sessions, a, 0)
    wait(10)
    await tell(sessions, b, 1)
    const early = await sessions.step('s', { count: 1, worker: 'a' })
    expect(early.queries).toEqual([])
    expect(early.short?.retryAfter).toBeCloseTo(20, 6)
    wait(20)
    const [next] = (await sessions.step('s', { count: 1, worker: 'a' })).queries
    expect(next.sampleKey).toMatch(/^s2/)
    expect(await refusal(tell(sessions, c, 2))).toMatchObject({ reason: 'QUERY_RESOLVED' })
    // The journal holds the times: a restart comes to the same.
    const again = await open()
    expect((await again.get('s')).stateHash).toBe((await sessions.get('s')).stateHash)
  })

  it('barrier: asks again what failed, and works under drivers of several queries', async () => {
    const { sessions } = await start({ driver: { id: 'sam', rho: 0.1 }, gathering: { id: 'barrier', workers: 2 } })
    const purposes: string[] = []
    for (let round = 0; round < 4; round++) {
      const [a, b] = [await ask(sessions, 'a'), await ask(sessions, 'b')]
      purposes.push(a.purpose!)
      await sessions.step('s', { observations: [{ queryId: a.id, status: 'failed' }], count: 0 })
      await tell(sessions, b, round)
      const instead = await ask(sessions, 'a')
      expect(instead.points).toEqual(a.points)
      await tell(sessions, instead, round)
    }
    expect(purposes.slice(0, 2)).toEqual(purposes.slice(2))
    expect(new Set(purposes).size).toBe(2)
    expect((await metrics(sessions)).learningRate).toBe(0.1)
  })

  it('asynchronous: a step per answer, at the point where it was asked; too old ones are left out', async () => {
    const { sessions } = await start({ gathering: { id: 'asynchronous', workers: 3, staleness: 1 } })
    const [a, b, c] = [await ask(sessions, 'a'), await ask(sessions, 'b'), await ask(sessions, 'c')]
    await tell(sessions, a, 0)
    const first = await x(sessions)
    expect(first).toEqual(
      [...gradient(0).w].map((g) => Math.fround(-Math.fround(0.1) * g)).map((v) => expect.closeTo(v, 6)),
    )
    const next = await ask(sessions, 'a')
    const points = next.points as readonly { tensors: Tensors }[]
    expect([...points[0].tensors.w]).toEqual(first)
    await tell(sessions, b, 1)
    const second = await x(sessions)
    expect(second).not.toEqual(first)
    expect([...points[0].tensors.w]).toEqual(first)
    // Two steps were made since c was asked.
    await tell(sessions, c, 2)
    expect(await x(sessions)).toEqual(second)
    expect(await metrics(sessions)).toMatchObject({ staleGradients: 1, gradients: 2 })
    await tell(sessions, next, 3)
    expect(await metrics(sessions)).toMatchObject({ staleGradients: 1, gradients: 3 })
  })

  it('goes on bit for bit after a restart in the middle of a step', async () => {
    for (const gathering of [
      { id: 'barrier', workers: 3 },
      { id: 'asynchronous', workers: 3 },
    ]) {
      const { sessions, open } = await start({ gathering }, 'adam')
      const queries = [await ask(sessions, 'a'), await ask(sessions, 'b'), await ask(sessions, 'c')]
      await tell(sessions, queries[1], 1)
      // Reads the journal now, before more is in it.
      const again = await open()
      expect((await again.get('s')).stateHash).toBe((await sessions.get('s')).stateHash)
      for (const each of [sessions, again])
        for (const k of [2, 0]) await each.step('s', { observations: [told(queries[k], k)], count: 0 })
      expect((await again.get('s')).stateHash).toBe((await sessions.get('s')).stateHash)
    }
  })

  it('refuses what cannot be gathered, by its place', async () => {
    const refused = async (config: object, method?: string) => {
      const { issues } = await refusal(start(config, method))
      return issues.map(({ path }: { path: string }) => path)
    }
    const barrier = { id: 'barrier', workers: 2 }
    expect(await refused({ gathering: { ...barrier, quorum: 3 } })).toEqual(['config.gathering.quorum'])
    expect(await refused({ gathering: { ...barrier, deadline: 3 } })).toEqual(['config.gathering.deadline'])
    expect(await refused({ gathering: { id: 'asynchronous', workers: 2 }, driver: { id: 'sam' } })).toEqual([
      'config.driver',
    ])
    expect(await refused({ gathering: { ...barrier, workers: 0 } })).toEqual(['config.gathering.workers'])
  })
})
