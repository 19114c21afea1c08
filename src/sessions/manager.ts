/** All sessions of a process: finds or wakes the actor of a session and turns calls into its operations. */
import { randomUUID } from 'node:crypto'
import type { Analysis } from '../blackbox/analysis/analysis.js'
import { type AnalysisRequest, planOf } from '../blackbox/analysis/request.js'
import { AsktellError, refuse } from '../core/errors.js'
import type { EarlierSession, Estimate } from '../core/method.js'
import type { Observation } from '../core/query.js'
import type { Problem } from '../core/space.js'
import type { Tensors } from '../core/tensor.js'
import { Actor } from './actor.js'
import type {
  Landing,
  Lend,
  Mutation,
  Page,
  Patch,
  ReportInput,
  ReportResult,
  SessionInfo,
  SessionSpec,
  Sessions,
  SpaceEdit,
  StepInput,
  StepResult,
  Trial,
  WatchEvent,
} from './api.js'
import { exportFile, importFile } from './archive.js'
import { type Context, notFound } from './context.js'
import type { Copies } from './copies.js'
import type { AuditEntry } from './edits.js'
import { pageSize, pageToken, parseFilter, readPageToken, wrongToken } from './filter.js'
import { fork } from './fork.js'
import { frame } from './frame.js'
import { ENUMS, FIELDS, readField, TRIAL_ENUMS, toInfo, withoutInitial } from './info.js'
import { openSession, readBirth, readHead, stepOf } from './load.js'
import { negotiate, type Spec } from './negotiate.js'
import { forgettable, Once } from './once.js'
import type { Op } from './operations.js'
import type { Item } from './outbox.js'
import { type Birth, digest, headOf, packAnswer, packFrame, packInput, packRecord } from './record.js'
import type { Session } from './session.js'
import { type Step, stepOrWait, unslim } from './step.js'
import { LEDGER } from './stores/store.js'
import type { TrialRecord } from './trials.js'
import { updateOf } from './update.js'
import { illFormed } from './validate.js'
import { takeOver } from './warm-start.js'
import { watch } from './watch.js'

const ID = /^[\w.~:-]{1,200}$/
const SWEEP = 5_000
const TRIM = 3_600_000

export class SessionManager implements Sessions {
  private readonly actors = new Map<string, Actor>()
  /** Specs for lists, without the bulk of start values. */
  private readonly specs = new Map<string, Spec>()
  /** Calls that create or delete sessions. */
  private readonly once: Once
  private readonly sweeper: NodeJS.Timeout
  private trimmed: number
  private closing = false

  constructor(
    private readonly context: Context,
    private readonly defaults: { engine: Spec['engine']; lease: number },
  ) {
    this.once = new Once((request) => context.store.request(LEDGER, request))
    this.trimmed = context.clock()
    this.sweeper = setInterval(() => {
      this.sweep().catch((error) => context.hooks.warn?.('a sweep failed', { error: String(error) }))
    }, SWEEP)
    this.sweeper.unref()
  }

  // --- Sessions ---

  async create(request: SessionSpec, options: Mutation & { id?: string } = {}): Promise<SessionInfo> {
    this.checkOpen()
    const body = digest('create', { request, id: options.id })
    const { answer } = await this.once.run(options.requestId, body, async () => {
      const time = this.context.clock()
      const { settings, ...negotiated } = negotiate(request, this.context, this.defaults, time)
      const earlier = await this.earlier(request.warmStartFrom ?? [], negotiated.spec.problem)
      const spec: Spec = earlier.length > 0 ? { ...negotiated.spec, earlier } : negotiated.spec
      return this.begin(options, body, async () => {
        const session = await openSession(this.context, spec, settings)
        const op: Op = { op: 'create' }
        const { events } = await session.apply(op, time)
        const { revision } = session
        const item: Item = { events }
        if (spec.durability === 'snapshot') item.snapshot = { revision, bytes: packFrame(await session.toTree()) }
        else item.record = { revision, bytes: packRecord(packInput({ revision, time, op }), events) }
        return { session, birth: { spec, settings, base: 0 }, item }
      })
    })
    return answer
  }

  /** What a new session takes over from earlier ones. Throws, located, where that is nothing. */
  private earlier(ids: readonly string[], problem: Problem): Promise<EarlierSession[]> {
    return Promise.all(
      ids.map(async (id, i) => {
        const path = `warmStartFrom[${i}]`
        try {
          const actor = await this.actor(id)
          return await actor.read((session) => takeOver(id, session, problem, path))
        } catch (error) {
          throw (error as AsktellError).reason === 'SESSION_NOT_FOUND' ? notFound(id, path) : error
        }
      }),
    )
  }

  /** Gives a session that exists in memory its place in the store, and its answer one in the ledger. */
  private async begin(
    { id = randomUUID(), requestId }: Mutation & { id?: string },
    body: string,
    make: () => Promise<{ session: Session; birth: Birth; item: Item }>,
  ): Promise<SessionInfo> {
    checkId(id)
    return this.reserve(id, async () => {
      const { session, birth, item } = await make()
      const bytes = item.record?.bytes.length ?? 0
      const durableStep = await stepOf(session)
      const snapshot = item.snapshot && { ...item.snapshot, durableStep }
      const loaded = {
        session,
        birth,
        snapshotBytes: item.snapshot?.bytes.length ?? 0,
        tail: { records: item.record ? 1 : 0, bytes },
        snapshots: [],
        journalBytes: bytes,
        durableStep,
      }
      const actor = new Actor(id, this.context, loaded)
      try {
        const info = await this.info(id, session)
        const head = headOf(session, bytes)
        const ledger = requestId ? { id: requestId, bytes: answered(body, birth.spec.createTime, info) } : undefined
        // Known before it is in the store, so that there never is a second actor.
        this.actors.set(id, actor)
        await actor.begin({ ...item, snapshot, birth: frame(packInput(birth)), head, ledger })
        return info
      } catch (error) {
        if (this.actors.get(id) === actor) this.actors.delete(id)
        session.host.close()
        throw error
      }
    })
  }

  private readonly reserved = new Set<string>()
  private async reserve<T>(id: string, work: () => Promise<T>): Promise<T> {
    const taken = () => new AsktellError('SESSION_EXISTS', `there is a session "${id}"`)
    if (this.reserved.has(id)) throw taken()
    this.reserved.add(id)
    try {
      if (await this.context.store.head(id)) throw taken()
      return await work()
    } finally {
      this.reserved.delete(id)
    }
  }

  async get(id: string, { stateHash = true }: { stateHash?: boolean } = {}): Promise<SessionInfo> {
    if (stateHash) return (await this.actor(id)).read((session) => this.info(id, session))
    this.checkOpen()
    const head = this.actors.get(id)?.head ?? (await readHead(this.context.store, id))
    if (!head) throw notFound(id)
    return toInfo(id, await this.spec(id), head)
  }

  async list(options: { pageSize?: number; pageToken?: string; filter?: string }): Promise<Page<SessionInfo>> {
    this.checkOpen()
    const size = pageSize(options.pageSize, 100, 1000)
    const matches = parseFilter(options.filter, readField, FIELDS, ENUMS)
    let after = readPageToken(options.pageToken)
    const items: SessionInfo[] = []
    for (;;) {
      const page = await this.context.store.heads(after, size)
      for (const { session: id } of page) {
        after = id
        const info = await this.get(id, { stateHash: false }).catch((error) => this.leftOut(id, error))
        if (info && matches(info)) items.push(info)
        if (items.length > size) {
          items.pop()
          return { items, nextPageToken: pageToken(items[size - 1].id) }
        }
      }
      if (page.length < size) return { items, nextPageToken: '' }
    }
  }

  /** Sessions that are deleted while a list is read, or damaged, are not in it. */
  private leftOut(id: string, error: unknown): undefined {
    if (!(error instanceof AsktellError) || !['SESSION_NOT_FOUND', 'STORE_CORRUPT'].includes(error.reason)) throw error
    if (error.reason === 'STORE_CORRUPT')
      this.context.hooks.warn?.('a damaged session is not listed', { session: id, error: error.message })
  }

  async update(id: string, patch: Patch, options: Mutation = {}): Promise<SessionInfo> {
    const actor = await this.actor(id)
    const body = digest('update', patch)
    const { answer } = await actor.once.run(options.requestId, body, () =>
      actor.mutate<SessionInfo>(options, body, {
        prepare: (session) => {
          const op = updateOf(session, patch)
          return op ? { op: { ...op, by: options.by } } : { answer: this.info(id, session) }
        },
        answer: (session) => this.info(id, session),
      }),
    )
    return answer
  }

  async delete(id: string, options: Mutation = {}): Promise<void> {
    this.checkOpen()
    const body = digest('delete', id)
    await this.once.run(options.requestId, body, async () => {
      const actor = await this.actor(id)
      const { requestId } = options
      const time = this.context.clock()
      await actor.remove(requestId ? { id: requestId, bytes: answered(body, time, null) } : undefined)
      if (this.actors.get(id) === actor) this.actors.delete(id)
      this.specs.delete(id)
      return null
    })
  }

  // --- Asking and telling ---

  async step(id: string, input: StepInput): Promise<StepResult> {
    const { observations = [], enqueue = [], count, worker = '' } = input
    if (!Number.isInteger(count) || count < 0 || count > this.context.limits.queries) {
      const message = `expected a number of queries from 0 to ${this.context.limits.queries}, got ${count}`
      throw new AsktellError('INVALID_ARGUMENT', `count: ${message}`, { issues: [{ path: 'count', message }] })
    }
    const actor = await this.actor(id)
    const plain = { op: 'step' as const, observations, enqueue, count, worker }
    const body = input.requestId ? digest('step', plain) : ''
    const op = enqueue.length > 0 ? { ...plain, by: input.by } : plain
    // A wait that ended with its server or its connection goes on; what came before the wait is done.
    const resume = (stored: Step) =>
      input.wait && count > 0 && stored.queries.length === 0 && stored.state !== 'done'
        ? stepOrWait(
            actor,
            { ...input, expectedRevision: undefined },
            { ...op, observations: [], enqueue: [] },
            body,
            stored.metrics,
          )
        : undefined
    const { answer, repeated } = await actor.once.run(
      input.requestId,
      body,
      () => stepOrWait(actor, input, op, body),
      resume,
    )
    const released = actor.transient
    if (!repeated) return { ...answer, repeated, released }
    return { ...(await actor.read((session) => unslim(session, answer))), repeated, released }
  }

  async view<T>(
    id: string,
    name: string,
    read: (tensors: Tensors, lend?: Lend) => T,
    queryId?: string,
  ): Promise<T | undefined> {
    const session = await (await this.actor(id)).peek()
    // Nothing may come between the three: the next tell moves the arrays.
    if (queryId !== undefined && !session.query(queryId)) return undefined
    const { host } = session
    const tensors = host.view(name)
    return read(tensors instanceof Promise ? await tensors : tensors, host.lend && ((bytes) => host.lend!(bytes)))
  }

  async land(id: string, queryId: string): Promise<Landing | undefined> {
    const session = await (await this.actor(id)).peek()
    return session.query(queryId) && session.host.land?.(queryId)
  }

  async copies(id: string): Promise<Copies> {
    return (await (await this.actor(id)).peek()).copies
  }

  async report(id: string, input: ReportInput): Promise<ReportResult> {
    const actor = await this.actor(id)
    const { queryId, step, value } = input
    const op = { op: 'report' as const, queryId, step, value }
    const body = digest('report', op)
    const { answer } = await actor.once.run(input.requestId, body, () =>
      actor.mutate<ReportResult>(input, body, {
        prepare: (session) => {
          const decision = session.repeatedReport(op)
          return decision ? { answer: { ...decision, revision: session.revision } } : { op: session.check(op) }
        },
        answer: (session, { decision }) => ({ ...decision!, revision: session.revision }),
      }),
    )
    return answer
  }

  async estimate(id: string): Promise<Estimate & { revision: number }> {
    return (await this.actor(id)).read(async (session) => ({
      ...(await session.host.estimate()),
      revision: session.revision,
    }))
  }

  async trials(id: string, options: { pageSize?: number; pageToken?: string; filter?: string }): Promise<Page<Trial>> {
    const size = pageSize(options.pageSize, 1000, 10_000)
    const matches = parseFilter<Trial>(options.filter, (trial) => trial.state, ['state'], TRIAL_ENUMS)
    const from = Number(readPageToken(options.pageToken))
    if (!Number.isSafeInteger(from) || from < 0) throw wrongToken()
    return (await this.actor(id)).read(({ trials }) => {
      const items: Trial[] = []
      for (let i = from; i < trials.length; i++) {
        if (!matches(trials[i])) continue
        if (items.length === size) return { items, nextPageToken: pageToken(String(i)) }
        items.push(copyOf(trials[i]))
      }
      return { items, nextPageToken: '' }
    })
  }

  async analyze(id: string, request: AnalysisRequest): Promise<Analysis & { revision: number }> {
    const actor = await this.actor(id)
    const { revision, ...task } = await actor.read(({ problem, trials, revision, spec }) => ({
      key: `${id} ${spec.createTime} ${revision}`,
      problem,
      plan: planOf(request, problem),
      // Copies: the records go on changing.
      trials: trials.map(({ number, state, params, values, constraints, createTime, endTime }) => ({
        number,
        state,
        params,
        values,
        constraints,
        createTime,
        endTime,
      })),
      revision,
    }))
    return { ...(await this.context.pool.analyze(task)), revision }
  }

  async *watch(id: string, afterRevision: number, signal: AbortSignal): AsyncIterable<WatchEvent> {
    yield* watch(this.context, await this.actor(id), afterRevision, signal)
  }

  // --- By hand ---

  async editSpace(id: string, edit: SpaceEdit, options: Mutation = {}): Promise<SessionInfo> {
    const actor = await this.actor(id)
    const { space, defaults = {}, dropInvalid: drop = false, reason = '' } = edit
    const body = digest('edit', { space, defaults, drop, reason })
    const issues = illFormed({ space, defaults, reason }, '', [])
    const { answer } = await actor.once.run(options.requestId, body, () =>
      actor.mutate<SessionInfo>(options, body, {
        prepare: (session) => {
          refuse('INVALID_ARGUMENT', issues)
          return { op: session.check({ op: 'edit', space, defaults, drop, reason, by: options.by ?? '' }) }
        },
        answer: (session) => this.info(id, session),
      }),
    )
    return answer
  }

  async correctTrial(
    id: string,
    { trial, observation, reason = '' }: { trial: number; observation: Observation; reason?: string },
    options: Mutation = {},
  ): Promise<Trial> {
    return this.changeTrial(id, { op: 'correct', trial, observation, reason, by: options.by ?? '' }, options)
  }

  async deleteTrial(
    id: string,
    { trial, reason = '' }: { trial: number; reason?: string },
    options: Mutation = {},
  ): Promise<Trial> {
    return this.changeTrial(id, { op: 'delete-trial', trial, reason, by: options.by ?? '' }, options)
  }

  private async changeTrial(id: string, op: Extract<Op, { trial: number }>, options: Mutation): Promise<Trial> {
    const actor = await this.actor(id)
    const { by: _, ...said } = op
    const body = digest(op.op, said)
    const { answer } = await actor.once.run(options.requestId, body, () =>
      actor.mutate<Trial>(options, body, {
        prepare: (session) => {
          refuse('INVALID_ARGUMENT', illFormed(op.reason, 'reason', []))
          return { op: session.check(op) }
        },
        answer: ({ trials }) => copyOf(trials[op.trial]),
      }),
    )
    return answer
  }

  async audit(id: string, options: { pageSize?: number; pageToken?: string }): Promise<Page<AuditEntry>> {
    const size = pageSize(options.pageSize, 1000, 10_000)
    const after = readPageToken(options.pageToken)
    const from = after === '' ? 0 : Number(after)
    if (!Number.isSafeInteger(from) || from < 0) throw wrongToken()
    return (await this.actor(id)).read(({ audit }) => {
      const items = audit.slice(from, from + size)
      return { items, nextPageToken: from + size < audit.length ? pageToken(String(from + size)) : '' }
    })
  }

  // --- Copies ---

  async fork(
    id: string,
    options: Mutation & { revision?: number; id?: string; config?: Record<string, unknown> },
  ): Promise<SessionInfo> {
    this.checkOpen()
    const { revision, config } = options
    const body = digest('fork', { id, revision, config, as: options.id })
    const { answer } = await this.once.run(options.requestId, body, async () => {
      const actor = await this.actor(id)
      return this.begin(options, body, () => fork(this.context, actor, revision, config))
    })
    return answer
  }

  async *export(id: string): AsyncIterable<Uint8Array> {
    yield* exportFile(this.context, await this.actor(id))
  }

  async import(chunks: AsyncIterable<Uint8Array>, options: Mutation & { id?: string } = {}): Promise<SessionInfo> {
    this.checkOpen()
    const imported = await importFile(this.context, chunks)
    const { birth, head, snapshots, records, stateHash } = imported
    const body = digest('import', { id: options.id, imported })
    const { answer } = await this.once.run(options.requestId, body, () => {
      const { id = randomUUID(), requestId } = options
      checkId(id)
      return this.reserve(id, async () => {
        const info = { ...toInfo(id, withoutInitial(birth.spec), head), stateHash }
        const time = this.context.clock()
        const requests = requestId ? [{ id: requestId, bytes: answered(body, time, info) }] : []
        await this.context.store.write([
          { session: id, spec: packFrame(birth), head: packFrame(head), records },
          ...snapshots.map((snapshot) => ({ session: id, snapshot })),
          { session: LEDGER, requests },
        ])
        return info
      })
    })
    return answer
  }

  // --- The process ---

  async ready(): Promise<{ ready: boolean; reason?: string }> {
    if (this.closing) return { ready: false, reason: 'the server is stopping' }
    try {
      await this.context.store.probe()
      return { ready: true }
    } catch (error) {
      return { ready: false, reason: (error as Error).message }
    }
  }

  async close(): Promise<void> {
    if (this.closing) return
    this.closing = true
    clearInterval(this.sweeper)
    await Promise.all([...this.actors.values()].map((actor) => actor.close()))
    this.actors.clear()
    await this.context.inline.close()
    await this.context.pool.close()
    await this.context.store.close()
  }

  /** Lets sessions leave memory that nobody used for long, and the longest unused when there are too many. */
  async sweep(): Promise<void> {
    const { clock, limits } = this.context
    const now = clock()
    const byUse = [...this.actors].sort(([, a], [, b]) => a.lastUsed - b.lastUsed)
    let memory = byUse.reduce((sum, [, actor]) => sum + actor.size, 0)
    for (const [id, actor] of byUse) {
      const { size } = actor
      const idle = now - actor.lastUsed
      if (actor.isLoaded && (idle >= limits.idle || memory > limits.memory) && (await actor.rest())) memory -= size
      // A caller that just got hold of it has renewed lastUsed.
      if (!actor.isLoaded && !actor.busy && now - actor.lastUsed >= 2 * limits.idle) this.actors.delete(id)
    }
    if (now - this.trimmed >= TRIM) {
      this.trimmed = now
      const { dropRequests } = await forgettable(this.context, LEDGER, now)
      if (dropRequests.length > 0) await this.context.store.write([{ session: LEDGER, dropRequests }])
    }
  }

  /** Sessions that are in memory. */
  get loadedCount(): number {
    return [...this.actors.values()].filter((actor) => actor.isLoaded).length
  }

  private checkOpen() {
    if (this.closing) throw new AsktellError('UNAVAILABLE', 'the server is stopping', { retryAfter: 1 })
  }

  private actor(id: string): Actor | Promise<Actor> {
    this.checkOpen()
    const actor = this.actors.get(id)
    if (!actor) return this.stored(id)
    actor.lastUsed = this.context.clock()
    return actor
  }

  private async stored(id: string): Promise<Actor> {
    if (!ID.test(id) || !(await this.context.store.head(id))) throw notFound(id)
    if (!this.actors.has(id)) this.actors.set(id, new Actor(id, this.context))
    return this.actor(id)
  }

  private async spec(id: string): Promise<Spec> {
    let spec = this.specs.get(id)
    if (!spec) {
      spec = withoutInitial((await readBirth(this.context.store, id)).spec)
      if (this.specs.size >= 10_000) this.specs.clear()
      this.specs.set(id, spec)
    }
    return spec
  }

  private async info(id: string, session: Session): Promise<SessionInfo> {
    return { ...toInfo(id, withoutInitial(session.spec), headOf(session, 0)), stateHash: await session.hash() }
  }
}

function checkId(id: string) {
  if (ID.test(id)) return
  const message = 'expected 1 to 200 letters, digits, "-", "_", ".", ":" or "~"'
  throw new AsktellError('INVALID_ARGUMENT', `id: ${message}`, { issues: [{ path: 'id', message }] })
}

const answered = (digest: string, time: number, answer: unknown): Uint8Array =>
  packAnswer({ digest, time, revision: 0, answer })

const copyOf = ({ wants: _, extra: _extra, ...trial }: TrialRecord): Trial => ({
  ...trial,
  intermediates: [...trial.intermediates],
})
