/**
 * One session's single writer. Calls wait in a mailbox and run one at a time; what they changed is written in groups and
 * answered when it is on disk. The next call runs while the last group is being written; when a write fails, everything
 * that was built on it is refused too and the session is read back from the store, so that memory never differs from it.
 */
import { AsktellError } from '../core/errors.js'
import type { Mutation, WatchEvent } from './api.js'
import { type Context, notFound } from './context.js'
import { type Loaded, load } from './load.js'
import { forgettable, Once } from './once.js'
import { type Answered, type Head, headOf, packFrame, packInput, packRecord } from './record.js'
import type { Applied, Op, Session } from './session.js'
import { LEDGER, type Stamped, type Write } from './stores/store.js'

type Job = { run(session: Session): Promise<void>; fail(error: unknown): void }
type Request = { id: string; bytes: Uint8Array }

/** Something to be written, in order. */
export type Item = {
  record?: Stamped
  snapshot?: Stamped & { durableStep?: number }
  /** The session's beginning: goes first. */
  birth?: Uint8Array
  remove?: boolean
  /** Records up to this revision are given up. */
  forget?: number
  head?: Head
  events?: readonly WatchEvent[]
  requests?: readonly Request[]
  dropRequests?: readonly string[]
  /** Answers that must outlive the session. */
  ledger?: Request
  /** Nothing is lost when it can't be written. */
  spare?: boolean
}
type Staged = Item & { done(): void; fail(error: unknown): void }

type Call = Mutation & {
  signal?: AbortSignal
  /** Its answer need not be stored when nothing changed. */
  quiet?: boolean
}

/** A mutation: `prepare` refuses, answers without a change, or gives the operation to apply. */
export type Work<A> = {
  prepare(session: Session, time: number): { op: Op } | { answer: A | Promise<A> }
  answer(session: Session, applied: Applied): A | Promise<A>
}

const ITEMS_PER_WRITE = 512

export class Actor {
  lastUsed: number
  /** The state that is on disk. */
  head?: Head
  /** With snapshot durability: the step that a restart would resume from. */
  durableStep?: number
  deleted = false
  closed = false
  readonly once: Once

  private loaded?: Loaded
  private jobs: Job[] = []
  private running = false
  private staged: Staged[] = []
  private writing?: Promise<void>
  /** Time spent on the records since the last snapshot, which replay would spend again. */
  private millis = 0
  /** Answers of a session with snapshot durability, until the next snapshot writes them. */
  private answers = new Map<string, Uint8Array>()
  private requestsSinceTrim = 0
  private readonly wakers = new Set<() => void>()
  private recent: { revision: number; events: readonly WatchEvent[] }[] = []

  constructor(
    readonly id: string,
    private readonly context: Context,
    loaded?: Loaded,
  ) {
    this.lastUsed = context.clock()
    this.once = new Once(async (request) => this.answers.get(request) ?? context.store.request(id, request))
    if (loaded) this.adopt(loaded)
  }

  private adopt(loaded: Loaded) {
    this.loaded = loaded
    this.millis = 0
    this.head = headOf(loaded.session, loaded.journalBytes)
  }
  private get volatile(): boolean {
    return this.loaded?.session.spec.durability === 'snapshot'
  }
  get isLoaded(): boolean {
    return this.loaded !== undefined
  }
  /** Whether a call, a write, a waiting worker or a watcher needs it in memory. */
  get busy(): boolean {
    return this.running || this.jobs.length > 0 || this.writing !== undefined || this.wakers.size > 0
  }
  /** Bytes that the session takes, by its last snapshot and the journal since. */
  get size(): number {
    return this.loaded ? this.loaded.snapshotBytes + this.loaded.tail.bytes : 0
  }

  // --- Mailbox ---

  private submit<T>(work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.closed) return Promise.reject(new AsktellError('UNAVAILABLE', 'the server is stopping', { retryAfter: 1 }))
    if (this.jobs.length >= this.context.limits.mailbox) {
      const message = `${this.jobs.length} calls are waiting for this session`
      return Promise.reject(new AsktellError('OVERLOADED', message, { retryAfter: 1 }))
    }
    this.lastUsed = this.context.clock()
    return new Promise((resolve, fail) => {
      const run = async (session: Session) => {
        if (signal?.aborted) throw new AsktellError('CANCELLED', 'the caller went away before the call began')
        resolve(await work(session))
      }
      this.jobs.push({ run, fail })
      void this.loop()
    })
  }

  private async loop() {
    if (this.running) return
    this.running = true
    for (let job = this.jobs.shift(); job; job = this.jobs.shift()) {
      try {
        await job.run(await this.current())
      } catch (error) {
        job.fail(error)
      }
    }
    this.running = false
  }

  private async current(): Promise<Session> {
    if (!this.loaded) {
      await this.settled()
      if (this.deleted) throw notFound(this.id)
      this.adopt(await load(this.context, this.id))
    }
    return this.loaded!.session
  }

  /** Memory can't be trusted any more, or isn't needed: the next call reads the store. */
  private forget() {
    this.loaded?.session.host.close()
    this.loaded = undefined
    this.answers.clear()
  }

  // --- Calls ---

  /** Reads the session when everything before is on disk. */
  read<T>(fn: (session: Session) => T | Promise<T>): Promise<T> {
    return this.submit(async () => {
      await this.settled()
      return fn(await this.current())
    })
  }

  /** The session as it is now, without a wait when it is in memory. */
  async peek(): Promise<Session> {
    return this.loaded?.session ?? this.read((session) => session)
  }

  /** Runs a mutation: checked, applied, recorded, and answered when the record is on disk. */
  async mutate<A>(mutation: Call, digest: string, work: Work<A>): Promise<A> {
    const { requestId, expectedRevision, signal, quiet } = mutation
    let durable: Promise<void> | undefined
    const answer = await this.submit(async (session) => {
      if (expectedRevision && expectedRevision !== session.revision)
        throw new AsktellError(
          'REVISION_MISMATCH',
          `expected revision ${expectedRevision}, the session is at ${session.revision}`,
          { metadata: { revision: String(session.revision) } },
        )
      // Time never runs backwards within a session, whatever the clock does.
      const time = Math.max(this.context.clock(), session.updateTime)
      const prepared = work.prepare(session, time)
      const item: Item = {}
      let answer: A
      if ('op' in prepared) {
        const applied = await this.apply(session, prepared.op, time, item)
        answer = await work.answer(session, applied)
      } else answer = await prepared.answer
      if (requestId && !(quiet && !('op' in prepared))) {
        const answered: Answered = { digest, time, revision: session.revision, answer }
        item.requests = [{ id: requestId, bytes: packFrame(answered) }]
        this.requestsSinceTrim++
      }
      durable = this.keep(session, item, 'op' in prepared ? prepared.op : undefined)
      if (this.snapshotDue()) await this.snapshot(session, true)
      if (this.requestsSinceTrim >= this.context.limits.requests) await this.trim(time)
      return answer
    }, signal)
    await durable
    return answer
  }

  /** Applies an operation; when something goes wrong in it, the session is read back. */
  private async apply(session: Session, op: Op, time: number, item: Item): Promise<Applied> {
    // Encoded first: the method may reuse the arrays it is given.
    const entry = this.volatile ? undefined : packInput({ revision: session.revision + 1, time, op })
    const begun = performance.now()
    try {
      const applied = await session.apply(op, time)
      if (this.loaded?.session !== session) throw new AsktellError('STORE_FAILED', 'an earlier write failed')
      if (entry) item.record = { revision: session.revision, bytes: packRecord(entry, applied.events) }
      item.events = applied.events
      const bytes = item.record?.bytes.length ?? 0
      this.loaded.tail.records++
      this.loaded.tail.bytes += bytes
      this.loaded.journalBytes += bytes
      item.head = headOf(session, this.loaded.journalBytes)
      this.millis += performance.now() - begun
      return applied
    } catch (error) {
      if (this.loaded?.session === session) this.forget()
      if (error instanceof AsktellError) throw error
      throw new AsktellError('INTERNAL', `${session.method.id} failed: ${(error as Error).message}`, { cause: error })
    }
  }

  /** Resolves when what a mutation left is as durable as the session promises. */
  private async keep(session: Session, item: Item, op: Op | undefined): Promise<void> {
    if (!this.volatile) {
      if (item.record || item.requests) return this.stage(item)
      return this.settled()
    }
    for (const { id, bytes } of item.requests ?? []) this.answers.set(id, bytes)
    if (item.head) this.head = item.head
    this.publish(item)
    if (op?.op === 'update') await (await this.snapshot(session, false)).written
  }

  /** Writes a session that was not there before. */
  begin(item: Item): Promise<void> {
    this.head = item.head
    return this.stage(item)
  }

  remove(ledger?: Request): Promise<void> {
    let removed: Promise<void> | undefined
    return this.submit(async () => {
      removed = this.stage({ remove: true, ledger })
      this.forget()
    }).then(() => removed)
  }

  // --- Writing ---

  private stage(item: Item): Promise<void> {
    const written = new Promise<void>((done, fail) => this.staged.push({ ...item, done, fail }))
    written.catch(() => {})
    this.pump()
    return written
  }

  private pump() {
    if (this.writing || this.staged.length === 0) return
    const group = this.staged.splice(0, ITEMS_PER_WRITE)
    this.writing = this.context.store
      .write(this.toWrites(group))
      .then(
        () => this.written(group),
        (error) => this.failed(group, error),
      )
      .finally(() => {
        this.writing = undefined
        this.pump()
      })
  }

  private toWrites(group: readonly Staged[]): Write[] {
    const ledger = group.flatMap((item) => item.ledger ?? [])
    const writes: Write[] = ledger.length > 0 ? [{ session: LEDGER, requests: ledger }] : []
    if (group.some(({ remove }) => remove)) return [{ session: this.id, remove: true }, ...writes]
    const head = group.findLast((item) => item.head)?.head
    const snapshot = group.findLast((item) => item.snapshot)?.snapshot
    const requests = new Map(group.flatMap((item) => item.requests ?? []).map((request) => [request.id, request]))
    writes.push({
      session: this.id,
      spec: group.findLast(({ birth }) => birth)?.birth,
      forget: group.findLast((item) => item.forget)?.forget,
      head: head && packFrame(head),
      records: group.flatMap(({ record }) => record ?? []),
      snapshot,
      dropSnapshots: snapshot && this.outdated(snapshot.revision),
      requests: [...requests.values()],
      dropRequests: group.flatMap((item) => item.dropRequests ?? []),
    })
    return writes
  }

  private written(group: readonly Staged[]) {
    for (const item of group) {
      const { head, snapshot, remove, done } = item
      if (head) this.head = head
      if (snapshot) this.durableStep = snapshot.durableStep
      if (snapshot && this.loaded) {
        const drop = this.outdated(snapshot.revision)
        const { snapshots } = this.loaded
        this.loaded.snapshots = [...snapshots.filter((revision) => !drop.includes(revision)), snapshot.revision]
      }
      if (remove) this.deleted = true
      this.publish(item)
      done()
    }
    if (this.deleted) this.wake()
  }

  private failed(group: readonly Staged[], error: unknown) {
    const lost = group.some(({ spare }) => !spare)
    if (lost) this.forget()
    for (const { fail } of [...group, ...(lost ? this.staged.splice(0) : [])]) fail(error)
    if (!lost) this.context.hooks.warn?.('a snapshot could not be written', { session: this.id, error: String(error) })
  }

  /** Waits until nothing is left to write. */
  private async settled() {
    while (this.writing) await this.writing
  }

  // --- Snapshots ---

  private snapshotDue(): boolean {
    if (!this.loaded) return false
    const { limits } = this.context
    const { tail, snapshotBytes } = this.loaded
    if (this.volatile) return tail.records >= limits.snapshotSteps
    if (this.millis >= limits.snapshotMillis) return true
    // Never more bytes in snapshots than in the journal: the work stays linear, however long the session.
    return tail.bytes >= snapshotBytes && (tail.records >= limits.snapshotRecords || tail.bytes >= limits.snapshotBytes)
  }

  private async snapshot(session: Session, spare: boolean) {
    const bytes = packFrame(await session.toTree())
    const durableStep = this.volatile ? (await session.host.estimate()).step : undefined
    if (this.loaded?.session !== session) throw new AsktellError('STORE_FAILED', 'an earlier write failed')
    this.loaded.snapshotBytes = bytes.length
    this.loaded.tail = { records: 0, bytes: 0 }
    this.millis = 0
    const requests = [...this.answers].map(([id, bytes]) => ({ id, bytes }))
    const written = this.stage({
      snapshot: { revision: session.revision, bytes, durableStep },
      ...this.shorten(),
      head: headOf(session, this.loaded.journalBytes),
      requests,
      spare,
    }).then(() => {
      for (const { id, bytes } of requests) if (this.answers.get(id) === bytes) this.answers.delete(id)
    })
    written.catch(() => {})
    return { written }
  }

  /** Gives up the oldest part of a journal that has grown too long, back to a snapshot that is on disk. */
  private shorten(): Item {
    const loaded = this.loaded!
    const base = loaded.snapshots.at(-1)
    if (loaded.journalBytes <= this.context.limits.journalBytes || base === undefined || base <= loaded.birth.base)
      return {}
    loaded.birth = { ...loaded.birth, base }
    loaded.journalBytes = 0
    return { birth: packFrame(loaded.birth), forget: base }
  }

  /** Snapshots that a newer one makes useless: all but the one before it and the one that the journal begins after. */
  private outdated(newest: number): number[] {
    if (!this.loaded) return []
    const { snapshots, birth } = this.loaded
    const older = snapshots.filter((revision) => revision < newest)
    return older.slice(0, -1).filter((revision) => this.volatile || birth.base === 0 || revision !== birth.base)
  }

  private async trim(time: number) {
    this.requestsSinceTrim = 0
    const dropRequests = await forgettable(this.context, this.id, time)
    if (dropRequests.length > 0) void this.stage({ dropRequests, spare: true })
  }

  /** Leaves memory, with a snapshot, unless something needs it. Whether it left. */
  async rest(): Promise<boolean> {
    if (this.busy) return false
    if (this.loaded && this.loaded.tail.records > 0) {
      const used = this.lastUsed
      try {
        const { written } = await this.submit((session) => this.snapshot(session, true))
        await written
      } catch {
        return false
      } finally {
        this.lastUsed = used
      }
    }
    if (this.busy) return false
    this.forget()
    return true
  }

  /** Waits for everything that was accepted, and leaves a snapshot. */
  async close(): Promise<void> {
    while (this.running || this.writing) await (this.writing ?? new Promise((resolve) => setImmediate(resolve)))
    if (this.loaded && this.loaded.tail.records > 0) {
      await this.submit((session) => this.snapshot(session, true))
        .then(({ written }) => written)
        .catch(() => {})
    }
    this.closed = true
    this.forget()
    this.wake()
  }

  // --- Watching ---

  private publish({ head, events }: Item) {
    if (head && events) {
      // One entry per revision, without a gap.
      if (this.recent.length > 0 && this.recent[this.recent.length - 1].revision !== head.revision - 1) this.recent = []
      this.recent.push({ revision: head.revision, events })
      const { events: most } = this.context.limits
      if (this.recent.length > 2 * most) this.recent = this.recent.slice(-most)
      this.wake()
    }
  }
  private wake() {
    for (const waker of [...this.wakers]) waker()
  }

  /** Calls back after every change, and keeps the session in memory, until the returned function is called. */
  onChange(waker: () => void): () => void {
    this.wakers.add(waker)
    return () => this.wakers.delete(waker)
  }

  /** Events after a revision that are still in memory, or undefined when some of them are not. */
  recentAfter(revision: number): readonly { revision: number; events: readonly WatchEvent[] }[] | undefined {
    if (this.head && revision >= this.head.revision) return []
    const at = this.recent.length > 0 ? revision + 1 - this.recent[0].revision : -1
    if (at < 0 || at >= this.recent.length) return undefined
    return this.recent.slice(at, at + 64)
  }
}
