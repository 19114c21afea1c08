import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Observation } from '../../src/core/query.js'
import type { SessionSpec, Sessions, WatchEvent } from '../../src/sessions/api.js'
import { frame } from '../../src/sessions/frame.js'
import { BreakableStore, Clock, ok, open, refusal, search, tensors } from './fakes.js'

const spec: SessionSpec = { method: 'dice', problem: search, seed: 1, displayName: 'origin' }

/** Steps one query at a time; returns the state hash of every revision. */
async function walk(sessions: Sessions, id: string, steps: number) {
  const hashes = new Map<number, string>()
  let observations: Observation[] = []
  for (let i = 0; i < steps; i++) {
    const { queries, revision } = await sessions.step(id, { observations, count: 1 })
    observations = queries.map((q) => ok(q))
    hashes.set(revision, (await sessions.get(id)).stateHash)
  }
  return { hashes, observations }
}
const collect = async (chunks: AsyncIterable<Uint8Array>) => {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}
async function* chunked(bytes: Uint8Array, size = bytes.length) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

describe('forks', () => {
  it('begin as the session was at any revision, and go their own way', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store, limits: { snapshotRecords: 6 } })
    await sessions.create(spec, { id: 'a' })
    const { hashes, observations } = await walk(sessions, 'a', 20)
    for (const revision of [2, 3, 7, 8, 20, 21]) {
      const fork = await sessions.fork('a', { revision, id: `f${revision}` })
      expect(fork).toMatchObject({ revision, forkedFrom: { id: 'a', revision }, displayName: 'origin' })
      expect(fork.stateHash).toBe(hashes.get(revision))
    }
    const present = await sessions.fork('a', { id: 'now' })
    expect(present.stateHash).toBe(hashes.get(21))
    // The query that a worker of the original holds is nobody's here: it is asked at once.
    const next = await sessions.step('now', { count: 1 })
    expect(next.queries.map(({ id, attempt }) => [id, attempt])).toEqual([[observations[0].queryId, 2]])
    const mine = await sessions.step('now', { observations, count: 1 })
    const theirs = await sessions.step('a', { observations, count: 1 })
    expect(mine.queries[0].points).toEqual(theirs.queries[0].points)
    const changed = await sessions.fork('a', { id: 'c', config: { scale: 0.1 } })
    expect(changed).toMatchObject({ config: { scale: 0.1 }, revision: theirs.revision + 1 })
    const again = await open({ store })
    expect((await again.get('c')).stateHash).toBe(changed.stateHash)
    expect((await again.fork('c', { id: 'cc' })).forkedFrom).toEqual({ id: 'c', revision: changed.revision })
  })

  it('reach back as far as the journal is kept', async () => {
    const store = new BreakableStore()
    const clock = new Clock()
    const sessions = await open({
      store,
      clock: clock.read,
      limits: { snapshotRecords: 5, snapshotBytes: 1, journalBytes: 8000 },
    })
    await sessions.create(spec, { id: 'a' })
    const { hashes } = await walk(sessions, 'a', 60)
    const [first] = await store.records('a', 0, 1)
    expect(first.revision).toBeGreaterThan(5)
    const oldest = first.revision - 1
    expect((await sessions.fork('a', { revision: oldest })).stateHash).toBe(hashes.get(oldest))
    expect((await refusal(sessions.fork('a', { revision: oldest - 1 }))).message).toContain(`expected ${oldest} to 61`)
    const again = await open({ store, clock: clock.read })
    const { stateHash } = await again.get('a')
    expect(stateHash).toBe(hashes.get(61))
    const copy = await again.import(chunked(await collect(again.export('a'))), { id: 'b' })
    expect(copy.stateHash).toBe(stateHash)
  })

  it('are refused where there is nothing to fork', async () => {
    const sessions = await open({ limits: { snapshotSteps: 3, snapshotPause: 0 } })
    await sessions.create(spec, { id: 'a' })
    expect(await refusal(sessions.fork('a', { revision: 9 }))).toMatchObject({ path: 'revision' })
    expect(await refusal(sessions.fork('a', { config: { most: 2 } }))).toMatchObject({ reason: 'NOT_MUTABLE' })
    expect(await refusal(sessions.fork('a', { id: 'a' }))).toMatchObject({ reason: 'SESSION_EXISTS' })
    await sessions.fork('a', { id: 'b', requestId: 'r' })
    expect((await sessions.fork('a', { id: 'b', requestId: 'r' })).id).toBe('b')
    await sessions.step('b', { count: 1 })
    expect(await refusal(sessions.fork('b', { revision: 0.5 }))).toMatchObject({ path: 'revision' })
    await sessions.create({ method: 'slope', problem: tensors, durability: 'snapshot' }, { id: 'g' })
    await sessions.step('g', { count: 1 })
    await sessions.update('g', { displayName: 'x' })
    const gradients = [{ w: new Float32Array(20), b: new Float64Array(1) }]
    await sessions.step('g', { observations: [{ queryId: 'g0', status: 'ok', gradients }], count: 1 })
    expect((await refusal(sessions.fork('g', { revision: 2 }))).message).toContain('only 1, 3, 4 can be forked')
    expect((await sessions.fork('g', { revision: 3 })).revision).toBe(3)
    expect((await sessions.fork('g', {})).revision).toBe(4)
  })
})

describe('files', () => {
  it('carry a session to another server, where it goes on', async () => {
    const clock = new Clock()
    const sessions = await open({ clock: clock.read, limits: { snapshotRecords: 6 } })
    await sessions.create(spec, { id: 'a' })
    const { observations } = await walk(sessions, 'a', 20)
    const file = await collect(sessions.export('a'))
    const other = await open({ clock: clock.read })
    for (const size of [1, 7, 1000, file.length]) {
      const { stateHash, revision } = await other.import(chunked(file, size), { id: `i${size}` })
      expect({ stateHash, revision }).toEqual({ stateHash: (await sessions.get('a')).stateHash, revision: 21 })
    }
    const here = await sessions.step('a', { observations, count: 2 })
    expect((await other.step('i7', { observations, count: 2 })).queries).toEqual(here.queries)
    // Its past came along.
    expect((await other.fork('i7', { revision: 5, id: 'f' })).revision).toBe(5)
    expect(await refusal(other.import(chunked(file), { id: 'i7' }))).toMatchObject({ reason: 'SESSION_EXISTS' })
    const once = await other.import(chunked(file), { requestId: 'r' })
    expect(await other.import(chunked(file, 99), { requestId: 'r' })).toEqual(once)
    const fork = await collect(other.export('f'))
    expect((await sessions.import(chunked(fork), { id: 'f' })).revision).toBe(5)
  })

  it('of gradient sessions with snapshot durability hold the present step', async () => {
    const sessions = await open()
    await sessions.create({ method: 'slope', problem: tensors, durability: 'snapshot' }, { id: 'g' })
    await sessions.step('g', { count: 1 })
    const gradients = [{ w: new Float32Array(20).fill(2), b: new Float64Array(1) }]
    await sessions.step('g', { observations: [{ queryId: 'g0', status: 'ok', gradients }], count: 1 })
    const file = await collect(sessions.export('g'))
    const copy = await sessions.import(chunked(file), { id: 'h' })
    expect(copy.stateHash).toBe((await sessions.get('g')).stateHash)
    expect(await sessions.view('h', 'x', (tensors) => structuredClone(tensors))).toEqual(
      await sessions.view('g', 'x', (tensors) => structuredClone(tensors)),
    )
  })

  it('are refused when damaged, cut, newer or something else', async () => {
    const sessions = await open({ limits: { importBytes: 100_000 } })
    expect((await refusal(sessions.import(chunked(new Uint8Array(0))))).message).toContain('it is empty')
    await sessions.create(spec, { id: 'a' })
    await walk(sessions, 'a', 4)
    const file = await collect(sessions.export('a'))
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.nat(7), fc.boolean(), async (at, bit, cut) => {
        const bad = Buffer.from(cut ? file.subarray(0, at) : file)
        if (!cut) bad[at] ^= 1 << bit
        expect(await refusal(sessions.import(chunked(bad, 64), { id: 'b' }))).toMatchObject({
          reason: 'INVALID_ARGUMENT',
          path: 'data',
        })
      }),
      { numRuns: 200 },
    )
    expect((await sessions.list({})).items).toHaveLength(1)
    const newer = Buffer.concat([file.subarray(0, 8), withVersion(2)])
    expect((await refusal(sessions.import(chunked(newer)))).message).toContain('use a newer release')
    const large = Buffer.concat([file, Buffer.alloc(100_000)])
    expect(await refusal(sessions.import(chunked(large, 4096)))).toMatchObject({ path: 'data' })
  })
})

/** A well-formed frame of another format version. */
function withVersion(version: number): Uint8Array {
  const bytes = frame(new Uint8Array(3))
  bytes[8] = version
  new DataView(bytes.buffer).setUint32(4, crc32c(bytes.subarray(8)), true)
  return bytes
}

describe('watching', () => {
  const short = ({ revision, type, queryId, best }: WatchEvent) =>
    [revision, type, queryId, best].filter((x) => x !== undefined)
  async function take(events: AsyncIterable<WatchEvent>, count: number) {
    const taken: WatchEvent[] = []
    for await (const event of events) {
      taken.push(event)
      if (taken.length === count) break
    }
    return taken
  }

  it('gives every event in order, from the journal and then live', async () => {
    const store = new BreakableStore()
    const clock = new Clock()
    const first = await open({ store, clock: clock.read })
    await first.create({ ...spec, lease: 10 }, { id: 'a' })
    const [q] = (await first.step('a', { count: 1 })).queries
    await first.step('a', { observations: [ok(q, 4)], count: 1 })
    const sessions = await open({ store, clock: clock.read })
    const end = new AbortController()
    const watching = take(sessions.watch('a', 0, end.signal), 9)
    const late = take(sessions.watch('a', 2, end.signal), 2)
    const fresh = take(sessions.watch('a', -1, end.signal), 1)
    await new Promise((resolve) => setTimeout(resolve, 10))
    clock.now += 20_000
    await sessions.step('a', { count: 1 })
    await sessions.report('a', { queryId: 'q1', step: 1, value: 7 })
    await sessions.update('a', { state: 'done' })
    expect((await watching).map(short)).toEqual([
      [1, 'created'],
      [2, 'asked', 'q0'],
      [3, 'told', 'q0', 4],
      [3, 'asked', 'q1'],
      [4, 'expired', 'q1'],
      [4, 'asked', 'q1'],
      [5, 'reported', 'q1'],
      [6, 'reconfigured'],
      [6, 'done'],
    ])
    expect((await late).map(short)).toEqual([
      [3, 'told', 'q0', 4],
      [3, 'asked', 'q1'],
    ])
    expect((await fresh).map(short)).toEqual([[4, 'expired', 'q1']])
  })

  it('ends when told to, and when the session goes', async () => {
    const sessions = await open()
    await sessions.create(spec, { id: 'a' })
    const end = new AbortController()
    const stopped = take(sessions.watch('a', 1, end.signal), 5)
    const cut = refusal(take(sessions.watch('a', 1, new AbortController().signal), 5))
    setTimeout(() => end.abort(), 10)
    expect(await stopped).toEqual([])
    await sessions.delete('a')
    expect(await cut).toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })

  it('costs no memory when nobody reads: events come from the journal', async () => {
    const sessions = await open({ limits: { events: 8 } })
    await sessions.create(spec, { id: 'a' })
    const slow = sessions.watch('a', 0, new AbortController().signal)[Symbol.asyncIterator]()
    await slow.next()
    await walk(sessions, 'a', 100)
    let revision = 0
    for (let i = 0; i < 199; i++) revision = (await slow.next()).value?.revision ?? 0
    expect(revision).toBe(101)
    await slow.return?.()
    await sessions.create({ method: 'slope', problem: tensors, durability: 'snapshot' }, { id: 'g' })
    const gradients = [{ w: new Float32Array(20), b: new Float64Array(1) }]
    await sessions.step('g', { count: 1 })
    const behind = sessions.watch('g', 1, new AbortController().signal)[Symbol.asyncIterator]()
    await behind.next()
    for (let i = 0; i < 40; i++)
      await sessions.step('g', { observations: [{ queryId: `g${i}`, status: 'ok', gradients }], count: 1 })
    expect(await refusal(behind.next())).toMatchObject({ reason: 'OVERLOADED' })
  })
})
