/**
 * One session's single writer. Calls wait in a mailbox and run one at a time; what they changed is written in groups and
 * answered when it is on disk. The next call runs while the last group is being written; when a write fails, everything
 * that was built on it is refused too and the session is read back from the store, so that memory never differs from it.
 */
import { AsktellError } from '../core/errors.js'
import type { Mutation } from './api.js'
import { type Context, notFound } from './context.js'
import { type Loaded, load, stepOf } from './load.js'
import { forgettable, Once } from './once.js'
import type { Applied, Op } from './operations.js'
import { type Item, Outbox, type Request } from './outbox.js'
import { Recent, type Revision } from './recent.js'
import { type Answered, type Head, headOf, packAnswer, packFrame, packInput, packRecord } from './record.js'
import type { Session } from './session.js'

type Job = {
  work(session: Session): Promise<unknown>
  done(result: never): void
  fail(error: unknown): void
  signal?: AbortSignal
}
type Call = Mutation & {
  signal?: AbortSignal
  /** Its answer need not be stored when nothing changed. */
  quiet?: boolean
}

/** A mutation: `prepare` refuses, answers without a change, or gives the operation to apply. */
export type Work<A> = {
  prepare(session: Session, time: number): { op: Op } | { answer: A | Promise<A> }
  answer(session: Session, applied: Applied): A | Promise<A>
  /** The answer as it is stored for repeats; itself when absent. */
  stored?(answer: A): unknown
}

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
  /** What the last write that was lost failed with. */
  private lostTo: unknown
  private jobs: Job[] = []
  private running = false
  private readonly outbox: Outbox
  /** Time spent on the records since the last snapshot, which replay would spend again. */
  private millis = 0
  /** When the last snapshot was made, on the clock of the process. */
  private snapshotAt = performance.now()
  /** Answers of a session with snapshot durability, until the next snapshot writes them. */
  private answers = new Map<string, Answered>()
  private requestsSinceTrim = 0
  private requestsKept = 0
  /** Before this there is nothing to trim. */
  private nextTrim = 0
  private readonly wakers = new Set<() => void>()
  private readonly recent: Recent

  constructor(
    readonly id: string,
    private readonly context: Context,
    loaded?: Loaded,
  ) {
    this.lastUsed = context.clock()
    this.once = new Once((request) => {
      const answered = this.answers.get(request)
      return answered ? packAnswer(answered) : context.store.request(id, request)
    })
    this.recent = new Recent(context.limits.events)
    this.outbox = new Outbox(id, context.store, {
      outdated: (revision) => this.outdated(revision),
      written: (item) => this.written(item),
      lost: (error) => {
        this.lostTo = error
        this.forget()
      },
      spared: (error) => this.warn('a snapshot could not be written', error),
    })
    if (loaded) this.adopt(loaded)
  }

  private adopt(loaded: Loaded) {
    this.loaded = loaded
    this.durableStep = loaded.durableStep
    this.millis = 0
    this.head = headOf(loaded.session, loaded.journalBytes)
  }
  private get volatile(): boolean {
    return this.loaded?.session.spec.durability === 'snapshot'
  }
  /** Whether its method keeps nothing of the tensors that it is told. */
  get transient(): boolean {
    return this.loaded?.session.method.facts.transient === true
  }
  get isLoaded(): boolean {
    return this.loaded !== undefined
  }
  /** Whether a call, a write, a waiting worker or a watcher needs it in memory. */
  get busy(): boolean {
    return this.running || this.jobs.length > 0 || this.outbox.busy || this.wakers.size > 0
  }
  /** Bytes that the session takes, by its last snapshot, the journal since, and what is known of its clients. */
  get size(): number {
    if (!this.loaded) return 0
    const { snapshotBytes, tail, session } = this.loaded
    return snapshotBytes + tail.bytes + session.copies.bytes
  }

  // --- Mailbox ---

  private submit<T>(work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.closed) return Promise.reject(new AsktellError('UNAVAILABLE', 'the server is stopping', { retryAfter: 1 }))
    if (this.jobs.length >= this.context.limits.mailbox) {
      const message = `${this.jobs.length} calls are waiting for this session`
      return Promise.reject(new AsktellError('OVERLOADED', message, { retryAfter: 1 }))
    }
    this.lastUsed = this.context.clock()
    return new Promise((done, fail) => {
      this.jobs.push({ work, done, fail, signal })
      if (!this.running) void this.loop()
    })
  }

  private async loop() {
    this.running = true
    for (let job = this.jobs.shift(); job; job = this.jobs.shift()) {
      try {
        const session = this.loaded?.session ?? (await this.load())
        if (job.signal?.aborted) throw new AsktellError('CANCELLED', 'the caller went away before the call began')
        job.done((await job.work(session)) as never)
      } catch (error) {
        job.fail(error)
      }
    }
    this.running = false
  }

  private async load(): Promise<Session> {
    await this.outbox.settled()
    if (this.deleted) throw notFound(this.id)
    this.adopt(await load(this.context, this.id))
    return this.loaded!.session
  }

  /** Throws what a write failed with, when the session was given up for it while a call was under way. */
  private checkKept(session: Session): Loaded {
    if (this.loaded?.session !== session)
      throw this.lostTo ?? new AsktellError('STORE_FAILED', 'the session was given up in the middle of a call')
    return this.loaded
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
      await this.outbox.settled()
      return fn(this.loaded?.session ?? (await this.load()))
    })
  }

  /** The session as it is now, without a wait when it is in memory. */
  peek(): Session | Promise<Session> {
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
      const op = 'op' in prepared ? prepared.op : undefined
      const item: Item = {}
      let answer: A
      let answered: Answered | undefined
      try {
        answer =
          'op' in prepared
            ? await work.answer(session, await this.apply(session, prepared.op, time, item))
            : await prepared.answer
        if (requestId && (op || !quiet)) {
          const stored = work.stored ? work.stored(answer) : answer
          answered = { digest, time, revision: session.revision, answer: stored }
          if (!this.volatile) item.requests = [{ id: requestId, bytes: packAnswer(answered) }]
        }
        this.checkKept(session)
      } catch (error) {
        // It may be half applied.
        if (op && this.loaded?.session === session) this.forget()
        throw error
      }
      if (requestId && answered && this.volatile) this.answers.set(requestId, answered)
      durable = this.keep(session, item, op)
      // It is awaited below; a failure in between must not count as unhandled.
      durable?.catch(() => {})
      this.requestsSinceTrim += item.requests?.length ?? 0
      if (this.snapshotDue() || this.trimDue(time)) await this.tidy(session, time)
      // Between calls: one that waits goes first, and what comes after it sees to this.
      if (op && session.ahead > 0 && this.jobs.length === 0) this.prefetch()
      return answer
    }, signal)
    if (durable) await durable
    return answer
  }

  /** Makes suggestions ahead, in its turn. */
  private prefetch() {
    this.mutate<null>({ quiet: true }, '', {
      prepare: (session) => (session.ahead > 0 ? { op: { op: 'prefetch' } } : { answer: null }),
      answer: () => null,
    }).catch((error) => {
      if (!this.closed && !this.deleted) this.warn('suggestions could not be made ahead', error)
    })
  }

  /** Applies an operation and fills in what is to be written of it. */
  private async apply(session: Session, op: Op, time: number, item: Item): Promise<Applied> {
    const loaded = this.loaded!
    const begun = performance.now()
    // Encoded first: the method may reuse the arrays it is given.
    const entry = this.volatile ? undefined : packInput({ revision: session.revision + 1, time, op })
    let applied: Applied
    try {
      applied = await session.apply(op, time)
    } catch (error) {
      if (error instanceof AsktellError) throw error
      throw new AsktellError('INTERNAL', `${session.method.id} failed: ${(error as Error).message}`, { cause: error })
    }
    if (entry) item.record = { revision: session.revision, bytes: packRecord(entry, applied.events) }
    const bytes = item.record?.bytes.length ?? 0
    loaded.tail.records++
    loaded.tail.bytes += bytes
    loaded.journalBytes += bytes
    this.millis += performance.now() - begun
    item.events = applied.events
    item.head = headOf(session, loaded.journalBytes)
    return applied
  }

  /** Resolves when what a mutation left is as durable as the session promises; undefined where it is. */
  private keep(session: Session, item: Item, op: Op | undefined): Promise<void> | undefined {
    if (!this.volatile) {
      if (item.record || item.requests) return this.outbox.stage(item)
      return this.outbox.settled()
    }
    if (item.head) this.head = item.head
    this.publish(item)
    return op?.op === 'update' ? this.snapshot(session, false).then(({ written }) => written) : undefined
  }

  /** Writes a session that was not there before. */
  begin(item: Item): Promise<void> {
    this.head = item.head
    return this.outbox.stage(item)
  }

  remove(ledger?: Request): Promise<void> {
    let removed: Promise<void> | undefined
    return this.submit(async () => {
      removed = this.outbox.stage({ remove: true, ledger })
      this.forget()
    }).then(() => removed)
  }

  private written({ head, snapshot, events, remove }: Item) {
    if (head) this.head = head
    if (snapshot) this.durableStep = snapshot.durableStep
    if (snapshot && this.loaded) {
      const gone = [...this.outdated(snapshot.revision), snapshot.revision]
      const kept = this.loaded.snapshots.filter((revision) => !gone.includes(revision))
      this.loaded.snapshots = [...kept, snapshot.revision]
    }
    this.publish({ head, events })
    if (remove) {
      this.deleted = true
      this.wake()
    }
  }

  private warn(message: string, error: unknown) {
    this.context.hooks.warn?.(message, { session: this.id, error: String(error) })
  }

  // --- Snapshots ---

  /** What is due after a mutation. The mutation is safe whatever becomes of this. */
  private async tidy(session: Session, time: number) {
    try {
      if (this.snapshotDue()) await this.snapshot(session, true)
      if (this.trimDue(time)) await this.trim(time)
    } catch (error) {
      this.warn('a snapshot could not be made', error)
    }
  }

  private snapshotDue(): boolean {
    if (!this.loaded) return false
    const { limits } = this.context
    const { tail, snapshotBytes } = this.loaded
    if (this.volatile)
      return tail.records >= limits.snapshotSteps && performance.now() - this.snapshotAt >= limits.snapshotPause
    if (this.millis >= limits.snapshotMillis) return true
    // Never more bytes in snapshots than in the journal: the work stays linear, however long the session.
    return tail.bytes >= snapshotBytes && (tail.records >= limits.snapshotRecords || tail.bytes >= limits.snapshotBytes)
  }

  private trimDue(time: number): boolean {
    // In proportion to what was kept the last time: a request costs a few reads, however many are kept.
    const enough = this.requestsSinceTrim >= Math.max(this.context.limits.requests, this.requestsKept / 2)
    return enough && time >= this.nextTrim
  }

  private async snapshot(session: Session, spare: boolean) {
    const bytes = packFrame(await session.toTree())
    const durableStep = await stepOf(session)
    const loaded = this.checkKept(session)
    loaded.snapshotBytes = bytes.length
    loaded.tail = { records: 0, bytes: 0 }
    this.millis = 0
    this.snapshotAt = performance.now()
    const answers = [...this.answers]
    this.requestsSinceTrim += answers.length
    const written = this.outbox
      .stage({
        snapshot: { revision: session.revision, bytes, durableStep },
        ...this.shorten(),
        head: headOf(session, loaded.journalBytes),
        requests: answers.map(([id, answered]) => ({ id, bytes: packAnswer(answered) })),
        spare,
      })
      .then(() => {
        for (const [id, answered] of answers) if (this.answers.get(id) === answered) this.answers.delete(id)
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
    const { dropRequests, kept, nextTime } = await forgettable(this.context, this.id, time)
    this.requestsKept = kept
    this.nextTrim = nextTime
    if (dropRequests.length > 0) void this.outbox.stage({ dropRequests, spare: true })
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
    this.recent.clear()
    return true
  }

  /** Waits for everything that was accepted, and leaves a snapshot. */
  async close(): Promise<void> {
    if (this.running || this.outbox.busy) await this.submit(() => this.outbox.settled()).catch(() => {})
    if (this.loaded && this.loaded.tail.records > 0)
      await this.submit((session) => this.snapshot(session, true))
        .then(({ written }) => written)
        .catch((error) => this.warn('a snapshot could not be written', error))
    this.closed = true
    this.forget()
    this.wake()
  }

  // --- Watching ---

  private publish({ head, events }: Item) {
    if (!head || !events) return
    this.recent.push(head.revision, events)
    this.wake()
  }
  private wake() {
    for (const waker of [...this.wakers]) waker()
  }

  /** Calls back after every change, and keeps the session in memory, until the returned function is called. */
  onChange(waker: () => void): () => void {
    this.wakers.add(waker)
    return () => this.wakers.delete(waker)
  }

  /** The revision before the oldest event in memory. */
  get eventsBegin(): number {
    return this.recent.begin ?? this.head?.revision ?? 0
  }

  /** Events after a revision that are still in memory, or undefined when some of them are not. */
  recentAfter(revision: number): readonly Revision[] | undefined {
    return this.head && revision >= this.head.revision ? [] : this.recent.after(revision)
  }
}
