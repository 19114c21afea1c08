import { execSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { AsktellError } from '../../src/core/errors.js'
import { defineMethod } from '../../src/core/method.js'
import type { Observation, Query } from '../../src/core/query.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import type { Tree } from '../../src/core/tree.js'
import type { SessionSpec, Sessions } from '../../src/sessions/api.js'
import { BreakableStore, Clock, dice, ok, open, refusal, search, tensors } from './fakes.js'

const spec: SessionSpec = { method: 'dice', problem: search, seed: 1, pruner: { method: 'ceiling' } }
const root = mkdtempSync(join(tmpdir(), 'asktell-durability-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** A run of `steps` steps, two queries at a time, that starts a new process at the steps of `restarts`. */
async function run(start: () => Promise<Sessions>, steps: number, restarts: ReadonlySet<number>) {
  let sessions = await start()
  await sessions.create(spec, { id: 'a' })
  let queries: readonly Query[] = []
  for (let i = 0; i < steps; i++) {
    if (restarts.has(i)) sessions = await start()
    if (i % 5 === 3 && queries.length) await sessions.report('a', { queryId: queries[0].id, step: i, value: i / 10 })
    if (i === 20) await sessions.update('a', { config: { scale: 0.3 } })
    const observations = queries.map((q, j): Observation => {
      if ((i + j) % 7 === 0) return { queryId: q.id, status: 'failed' }
      return ok(q)
    })
    queries = (await sessions.step('a', { observations, count: 2 })).queries
  }
  const { stateHash, revision, counts } = await sessions.get('a')
  return { stateHash, revision, counts, queries, trials: await sessions.trials('a', {}) }
}

describe('restart', () => {
  it('goes on as if nothing had happened, wherever it falls', async () => {
    const clock = new Clock()
    const straight = await run(() => open({ clock: clock.read }), 40, new Set())
    for (const limits of [{}, { snapshotRecords: 3, snapshotBytes: 1 }, { snapshotMillis: 0 }]) {
      const store = new BreakableStore()
      const restarts = new Set([1, 2, 3, 7, 19, 20, 21, 22, 33, 39])
      const again = await run(() => open({ store, clock: clock.read, limits }), 40, restarts)
      expect(again).toEqual(straight)
    }
  })

  it('goes on from lmdb', async () => {
    const clock = new Clock()
    const path = join(root, 'restart')
    const straight = await run(() => open({ clock: clock.read }), 30, new Set())
    let last: Sessions | undefined
    const start = async () => {
      await last?.close()
      return (last = await open({ store: { kind: 'lmdb', path }, clock: clock.read, limits: { snapshotRecords: 9 } }))
    }
    expect(await run(start, 30, new Set([5, 6, 20, 29]))).toEqual(straight)
    await last?.close()
  })

  it('reads nothing of sessions that nobody asks for', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    for (const id of ['a', 'b', 'c']) await sessions.create(spec, { id })
    const again = await open({ store })
    expect((await again.list({})).items.map(({ id, revision }) => [id, revision])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ])
    expect(again.loadedCount).toBe(0)
    await again.step('b', { count: 1 })
    expect(again.loadedCount).toBe(1)
  })

  it('resumes gradient sessions with snapshot durability at the step that was promised', async () => {
    const store = new BreakableStore()
    const start = () => open({ store, limits: { snapshotSteps: 4, snapshotPause: 0 } })
    const sessions = await start()
    await sessions.create({ method: 'slope', problem: tensors, durability: 'snapshot', seed: 0 }, { id: 'a' })
    const gradients = [{ w: new Float32Array(20).fill(1), b: Float64Array.of(0.5) }]
    let answer = await sessions.step('a', { count: 1 })
    const hashes = [(await sessions.get('a')).stateHash]
    for (let i = 0; i < 10; i++) {
      const observations = [{ queryId: answer.queries[0].id, status: 'ok' as const, gradients }]
      answer = await sessions.step('a', { observations, count: 1, requestId: `r${i}` })
      hashes.push((await sessions.get('a')).stateHash)
    }
    const { durableStep } = answer
    expect(durableStep).toBe(7)
    const again = await start()
    expect((await again.get('a')).stateHash).toBe(hashes[durableStep as number])
    expect((await again.estimate('a')).step).toBe(durableStep)
    expect((await again.step('a', { count: 0 })).durableStep).toBe(durableStep)
    await again.fork('a', { id: 'f' })
    expect((await again.step('f', { count: 0 })).durableStep).toBe(durableStep)
    // Its lease is void: whoever had it has gone past it.
    expect((await again.step('a', { count: 1, wait: 0 })).queries).toMatchObject([{ id: 'g7', attempt: 2 }])
    const stored = { queryId: 'g6', status: 'ok' as const, gradients }
    expect((await again.step('a', { observations: [stored], count: 1, requestId: 'r6' })).repeated).toBe(true)
    await sessions.update('a', { displayName: 'kept' })
    expect((await (await start()).get('a')).displayName).toBe('kept')
  })

  it('replays gradients that are journaled', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    await sessions.create({ method: 'slope', problem: tensors }, { id: 'a' })
    let { queries } = await sessions.step('a', { count: 1 })
    for (let i = 0; i < 5; i++) {
      const gradients = [{ w: Float32Array.from({ length: 20 }, (_, k) => Math.sin(i + k)), b: Float64Array.of(i) }]
      const told = sessions.step('a', { observations: [{ queryId: queries[0].id, status: 'ok', gradients }], count: 1 })
      queries = (await told).queries
    }
    const again = await open({ store })
    expect(await again.view('a', 'x', (tensors) => structuredClone(tensors))).toEqual(
      await sessions.view('a', 'x', (tensors) => structuredClone(tensors)),
    )
    expect((await again.get('a')).stateHash).toBe((await sessions.get('a')).stateHash)
  })
})

describe('another release', () => {
  it('goes on from a snapshot, migrates its state once, and refuses what it could not replay', async () => {
    const store = new BreakableStore()
    const old = await open({ store })
    await old.create({ method: 'dice', problem: search, seed: 1 }, { id: 'a' })
    await old.create({ method: 'dice', problem: search, seed: 1 }, { id: 'b' })
    const { queries } = await old.step('a', { count: 2 })
    const migrated: number[] = []
    const next = defineMethod({
      ...dice,
      version: 2,
      stateVersion: 2,
      migrate: (from: number, state: Tree) => {
        migrated.push(from)
        return { ...(state as ReturnType<typeof dice.init>), sum: 5 }
      },
    })
    const early = await open({ store, methods: [next] })
    expect((await refusal(early.step('a', { count: 1 }))).message).toContain('version 1 and this is version 2')
    await old.close()
    expect((await (await open({ store, methods: [next] })).get('b')).revision).toBe(1)
    for (let i = 0; i < 2; i++) {
      const sessions = await open({ store, methods: [next] })
      await sessions.step('a', { observations: [ok(queries[i])], count: 1 })
      expect((await sessions.get('a')).counts.told).toBe(i + 1)
      await sessions.close()
    }
    expect(migrated).toEqual([1, 1])
    expect(
      await refusal((await open({ store, methods: [{ ...dice, version: 3, stateVersion: 3 }] })).get('a')),
    ).toMatchObject({
      reason: 'UNSUPPORTED',
    })
  })
})

describe('request ids', () => {
  it('are applied once: one after the other, at the same time, and after a restart', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    await sessions.create(spec, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 2 })
    const call = { observations: [ok(queries[0])], count: 1, requestId: 'r1' }
    const answers = await Promise.all(Array.from({ length: 5 }, () => sessions.step('a', call)))
    expect(answers.map(({ repeated }) => repeated)).toEqual([false, true, true, true, true])
    const [first] = answers
    const again = await open({ store })
    for (const answer of [...answers, await sessions.step('a', call), await again.step('a', call)])
      expect({ ...answer, repeated: false }).toEqual(first)
    expect((await again.get('a')).counts).toMatchObject({ told: 1, asked: 3 })
    const other = { ...call, observations: [ok(queries[1])] }
    expect(await refusal(again.step('a', other))).toMatchObject({ reason: 'REQUEST_ID_REUSED' })
    expect(await refusal(again.update('a', { displayName: 'x' }, { requestId: 'r1' }))).toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    })
  })

  it('do not store large points that the session has anyway', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    await sessions.create({ method: 'bulky', problem: tensors }, { id: 'a' })
    const call = { count: 2, requestId: 'r' }
    const first = await sessions.step('a', call)
    expect((await store.request('a', 'r'))?.length).toBeLessThan(2000)
    const again = await open({ store })
    expect(await again.step('a', call)).toEqual({ ...first, repeated: true })
    await again.step('a', { observations: [{ queryId: 'b1', status: 'ok', values: [[1]] }], count: 0 })
    expect((await again.step('a', call)).queries).toEqual(first.queries.slice(1))
  })

  it('of calls that create and delete', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    const [one, two] = await Promise.all([1, 2].map(() => sessions.create(spec, { requestId: 'c' })))
    expect(two).toEqual(one)
    const again = await open({ store })
    expect(await again.create(spec, { requestId: 'c' })).toEqual(one)
    expect(await refusal(again.create({ ...spec, seed: 2 }, { requestId: 'c' }))).toMatchObject({
      reason: 'REQUEST_ID_REUSED',
    })
    await again.delete(one.id, { requestId: 'd' })
    await again.delete(one.id, { requestId: 'd' })
    await (await open({ store })).delete(one.id, { requestId: 'd' })
    expect(await refusal(again.delete(one.id))).toMatchObject({ reason: 'SESSION_NOT_FOUND' })
    expect(await refusal(again.step(one.id, { count: 1 }))).toMatchObject({ reason: 'SESSION_NOT_FOUND' })
  })

  it('are kept for a day and for the last ones, and then forgotten', async () => {
    const clock = new Clock()
    const store = new BreakableStore()
    const sessions = await open({ store, clock: clock.read, limits: { requests: 10 } })
    await sessions.create(spec, { id: 'a' })
    const ask = (n: number) => sessions.step('a', { count: 1, requestId: `r${n}` })
    for (let n = 0; n < 40; n++) await ask(n)
    expect((await ask(0)).repeated).toBe(true)
    clock.now += 25 * 3_600_000
    for (let n = 40; n < 61; n++) await ask(n)
    expect((await ask(0)).repeated).toBe(false)
    expect((await ask(59)).repeated).toBe(true)
  })

  it('never change what a sequence of calls does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ call: fc.nat(11), twice: fc.boolean(), restart: fc.boolean() }), { maxLength: 25 }),
        async (plan) => {
          const clock = new Clock()
          const store = new BreakableStore()
          let noisy = await open({ store, clock: clock.read, limits: { snapshotRecords: 4 } })
          const plain = await open({ clock: clock.read })
          for (const sessions of [noisy, plain]) await sessions.create(spec, { id: 'a' })
          const seen = new Set<number>()
          let known: readonly Query[] = []
          for (const { call, twice, restart } of plan) {
            if (restart) noisy = await open({ store, clock: clock.read, limits: { snapshotRecords: 4 } })
            // The same call always has the same body: it tells of nothing, so that a repeat is well-formed.
            const input = { count: 1 + (call % 3), requestId: `r${call}` }
            const calls = [noisy.step('a', input), ...(twice ? [noisy.step('a', input)] : [])]
            const answers = await Promise.all(calls)
            if (!seen.has(call)) known = (await plain.step('a', { count: input.count })).queries
            expect(answers.map(({ repeated }) => repeated)).toEqual(answers.map((_, i) => i > 0 || seen.has(call)))
            if (!seen.has(call)) expect(answers[0].queries).toEqual(known)
            seen.add(call)
          }
          expect((await noisy.get('a')).stateHash).toBe((await plain.get('a')).stateHash)
        },
      ),
      { numRuns: 25 },
    )
  })
})

describe('concurrency', () => {
  it('keeps one order of many workers, and counts every revision', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store, limits: { snapshotRecords: 50 } })
    await sessions.create(spec, { id: 'a' })
    const revisions: number[] = []
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        let observations: Observation[] = []
        for (let i = 0; i < 20; i++) {
          const { revision, queries } = await sessions.step('a', { observations, count: 1 })
          revisions.push(revision)
          observations = queries.map((q) => ok(q))
        }
      }),
    )
    expect(revisions.sort((a, b) => a - b)).toEqual(Array.from({ length: 320 }, (_, i) => i + 2))
    expect((await (await open({ store })).get('a')).stateHash).toBe((await sessions.get('a')).stateHash)
  })

  it('answers only what is written, writes in groups, and refuses what does not fit the mailbox', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store, limits: { mailbox: 50 } })
    await sessions.create(spec, { id: 'a' })
    let release = () => {}
    store.gate = new Promise((resolve) => (release = resolve))
    const before = store.writes
    let answered = 0
    const calls = Array.from({ length: 40 }, () => sessions.step('a', { count: 1 }).then(() => answered++))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answered).toBe(0)
    release()
    await Promise.all(calls)
    expect(store.writes - before).toBeLessThanOrEqual(3)
    const flood = await Promise.allSettled(Array.from({ length: 60 }, () => sessions.step('a', { count: 1 })))
    const refused = flood.flatMap((r) => (r.status === 'rejected' ? [(r.reason as AsktellError).reason] : []))
    expect(new Set(refused)).toEqual(new Set(['OVERLOADED']))
  })
})

describe('a store that fails', () => {
  it('refuses writes, serves reads, holds what is on disk, and goes on', async () => {
    const store = new BreakableStore()
    const sessions = await open({ store })
    await sessions.create(spec, { id: 'a' })
    const { queries } = await sessions.step('a', { count: 3 })
    const before = await sessions.get('a')
    store.failing = new AsktellError('STORAGE_FULL', 'the disk that holds the store is full')
    const failed = await Promise.allSettled(
      queries.map((q, i) => sessions.step('a', { observations: [ok(q)], count: 1, requestId: `r${i}` })),
    )
    expect(failed.map((r) => r.status === 'rejected' && r.reason.reason)).toEqual(Array(3).fill('STORAGE_FULL'))
    expect(await refusal(sessions.create(spec, { id: 'b' }))).toMatchObject({ reason: 'STORAGE_FULL' })
    expect(await sessions.ready()).toEqual({ ready: false, reason: 'the disk that holds the store is full' })
    expect(await sessions.get('a')).toEqual(before)
    expect((await sessions.trials('a', {})).items.map(({ state }) => state)).toEqual(Array(3).fill('running'))
    store.failing = undefined
    for (const [i, q] of queries.entries())
      expect((await sessions.step('a', { observations: [ok(q)], count: 1, requestId: `r${i}` })).repeated).toBe(false)
    expect((await sessions.get('a')).counts.told).toBe(3)
    await sessions.create(spec, { id: 'b' })
  })

  it('never leaves anything half applied, whenever it fails', async () => {
    const store = new BreakableStore()
    const clock = new Clock()
    const sessions = await open({ store, clock: clock.read, limits: { snapshotRecords: 7, snapshotBytes: 1 } })
    await sessions.create(spec, { id: 'a' })
    const luck = new Rng(rngStream(7, 'faults'))
    let told = 0
    let waiting: Query[] = []
    for (let round = 0; round < 40; round++) {
      let fail = () => {}
      store.gate = new Promise((resolve) => (fail = resolve))
      const failing = luck.uniform() < 0.5
      const calls = Array.from({ length: 5 }, (_, i) => {
        const observations = waiting[i] ? [ok(waiting[i])] : []
        return sessions.step('a', { observations, count: 1, requestId: `${round}-${i}` })
      })
      // Some of the calls are written with the first group, the others wait behind it.
      await new Promise((resolve) => setImmediate(resolve))
      if (failing) store.failing = new AsktellError('STORAGE_FULL', 'full')
      fail()
      const results = await Promise.allSettled(calls)
      store.failing = undefined
      told += results.filter((r, i) => r.status === 'fulfilled' && waiting[i]).length
      const again = await open({ store, clock: clock.read })
      const info = await sessions.get('a')
      expect(info).toEqual(await again.get('a'))
      expect(info.counts.told).toBe(told)
      const open5 = (await sessions.trials('a', { filter: 'state = RUNNING', pageSize: 10_000 })).items.slice(0, 5)
      waiting = open5.map(({ queryId, params }) => ({ id: queryId, points: [{ kind: 'params', params }], wants: [] }))
    }
    expect(told).toBeGreaterThan(20)
  })

  it('keeps gradient sessions in memory when only a snapshot fails', async () => {
    const store = new BreakableStore()
    const warnings: string[] = []
    const hooks = { warn: (message: string) => void warnings.push(message) }
    const sessions = await open({ store, hooks, limits: { snapshotSteps: 2, snapshotPause: 0 } })
    await sessions.create({ method: 'slope', problem: tensors, durability: 'snapshot' }, { id: 'a' })
    store.failing = new AsktellError('STORAGE_FULL', 'full')
    let { queries, durableStep } = await sessions.step('a', { count: 1 })
    const gradients = [{ w: new Float32Array(20).fill(1), b: Float64Array.of(0.5) }]
    for (let i = 0; i < 6; i++)
      ({ queries, durableStep } = await sessions.step('a', {
        observations: [{ queryId: queries[0].id, status: 'ok', gradients }],
        count: 1,
      }))
    expect([durableStep, (await sessions.estimate('a')).step]).toEqual([0, 6])
    expect(warnings).toContain('a snapshot could not be written')
    store.failing = undefined
    for (let i = 0; i < 3; i++)
      ({ queries, durableStep } = await sessions.step('a', {
        observations: [{ queryId: queries[0].id, status: 'ok', gradients }],
        count: 1,
      }))
    expect(durableStep).toBeGreaterThan(5)
  })

  it('survives a real disk that is full', async () => {
    const path = join(root, 'full')
    mkdirSync(path)
    try {
      execSync(`mount -t tmpfs -o size=3m tmpfs ${path}`, { stdio: 'ignore' })
    } catch {
      return // Only root can mount: the simulated disk above stands for it.
    }
    try {
      const sessions = await open({ store: { kind: 'lmdb', path } })
      await sessions.create(spec, { id: 'a' })
      const [q] = (await sessions.step('a', { count: 1 })).queries
      writeFileSync(join(path, 'ballast'), new Uint8Array(1 << 20))
      let refused: { reason: string } | undefined
      let written = 0
      const long = 'x'.repeat(50_000)
      while (!refused && written < 200)
        try {
          await sessions.step('a', {
            observations: [{ ...ok({ ...q, id: '' }), queryId: '', point: q.points[0], message: long }],
            count: 0,
          })
          written++
        } catch (error) {
          refused = error as AsktellError
        }
      expect(refused?.reason).toBe('STORAGE_FULL')
      const told = (await sessions.get('a')).counts.told
      expect(told).toBe(written)
      expect((await sessions.trials('a', {})).items).toHaveLength(written + 1)
      rmSync(join(path, 'ballast'))
      await sessions.step('a', { observations: [ok(q)], count: 1 })
      const { stateHash } = await sessions.get('a')
      await sessions.close()
      const again = await open({ store: { kind: 'lmdb', path } })
      expect((await again.get('a')).stateHash).toBe(stateHash)
      await again.close()
    } finally {
      execSync(`umount -l ${path}`)
    }
  })
})

describe('cold sessions', () => {
  it('leave memory when idle or when there are too many, and come back equal', async () => {
    const clock = new Clock()
    const sessions = await open({ clock: clock.read, limits: { idle: 1000, memory: 20_000 } })
    const hashes = new Map<string, string>()
    for (let i = 0; i < 10; i++) {
      await sessions.create({ ...spec, seed: i }, { id: `s${i}` })
      await sessions.step(`s${i}`, { count: 20 })
      hashes.set(`s${i}`, (await sessions.get(`s${i}`)).stateHash)
      clock.now += 10
    }
    expect(sessions.loadedCount).toBe(10)
    await sessions.sweep()
    expect(sessions.loadedCount).toBeLessThan(8)
    clock.now += 2000
    await sessions.sweep()
    expect(sessions.loadedCount).toBe(0)
    expect((await sessions.list({})).items.map(({ counts }) => counts.asked)).toEqual(Array(10).fill(20))
    expect(sessions.loadedCount).toBe(0)
    for (const [id, hash] of hashes) expect((await sessions.get(id)).stateHash).toBe(hash)
  })
})

describe('damage', () => {
  /** A session of several snapshots and a journal after the last. */
  async function session() {
    const store = new BreakableStore()
    const clock = new Clock()
    const sessions = await open({ store, clock: clock.read, limits: { snapshotRecords: 10 } })
    await sessions.create(spec, { id: 'a' })
    await sessions.create(spec, { id: 'b' })
    const hashes = new Map([[1, (await sessions.get('a')).stateHash]])
    let observations: Observation[] = []
    for (let i = 0; i < 25; i++) {
      const { queries, revision } = await sessions.step('a', { observations, count: 1 })
      observations = queries.map((q) => ok(q))
      hashes.set(revision, (await sessions.get('a')).stateHash)
    }
    return { store, clock, hashes }
  }
  const damaged = (bytes: Uint8Array, at: number, cut: boolean) => {
    if (cut) return bytes.slice(0, at)
    const copy = bytes.slice()
    copy[at] ^= 1 << (at % 8)
    return copy
  }

  it('is never silent: every flipped bit and every cut is refused, cut off, or gone round', async () => {
    const { store, clock, hashes } = await session()
    const records = await store.records('a', 0, 100)
    const snapshots = await store.snapshots('a')
    const last = records[records.length - 1].revision
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1e6),
        fc.nat(records.length + snapshots.length - 1),
        fc.boolean(),
        async (at, which, cut) => {
          const copy = new BreakableStore()
          await copy.write([
            { session: 'a', spec: await store.spec('a'), head: await store.head('a') },
            {
              session: 'b',
              spec: await store.spec('b'),
              head: await store.head('b'),
              records: await store.records('b', 0, 9),
            },
          ])
          for (const [i, record] of records.entries()) {
            const bytes = i === which ? damaged(record.bytes, at % record.bytes.length, cut) : record.bytes
            await copy.write([{ session: 'a', records: [{ ...record, bytes }] }])
          }
          for (const [i, revision] of snapshots.entries()) {
            const bytes = (await store.snapshot('a', revision)) as Uint8Array
            const hit = i + records.length === which
            await copy.write([
              { session: 'a', snapshot: { revision, bytes: hit ? damaged(bytes, at % bytes.length, cut) : bytes } },
            ])
          }
          const sessions = await open({ store: copy, clock: clock.read })
          try {
            const { revision, stateHash } = await sessions.get('a')
            expect(stateHash).toBe(hashes.get(revision))
            expect(revision).toBeGreaterThanOrEqual(which === records.length - 1 ? last - 1 : last)
          } catch (error) {
            expect((error as AsktellError).reason).toBe('STORE_CORRUPT')
          }
          expect((await sessions.get('b')).revision).toBe(1)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('in the middle of the journal puts that session aside, and missing records do too', async () => {
    const { store, clock } = await session()
    const [, middle] = await store.records('a', 22, 3)
    middle.bytes[20] ^= 4
    const sessions = await open({ store, clock: clock.read })
    expect(await refusal(sessions.step('a', { count: 1 }))).toMatchObject({ reason: 'STORE_CORRUPT' })
    expect((await sessions.step('b', { count: 1 })).queries).toHaveLength(1)
    const other = await session()
    await other.store.write([{ session: 'a', truncate: 23 }])
    const cut = await open({ store: other.store, clock: clock.read })
    expect(await refusal(cut.get('a'))).toMatchObject({ reason: 'STORE_CORRUPT' })
  })
})
