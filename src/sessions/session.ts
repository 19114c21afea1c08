/**
 * The session as a deterministic state machine: operations with their times in, answers out. What the journal holds are
 * these operations, so replay is the same code as the first run. No I/O, no clock.
 */
import { createHash } from 'node:crypto'
import { AsktellError } from '../core/errors.js'
import type { AnyMethod } from '../core/method.js'
import type { AnyPruner, Decision, PrunerEvent, PrunerRun } from '../core/pruner.js'
import type { Event, Observation, Point, Query, Usage, Want } from '../core/query.js'
import type { Problem, SearchSpace } from '../core/space.js'
import { encodeTree, type Tree } from '../core/tree.js'
import type { LeasedQuery, SessionState, WatchEvent } from './api.js'
import { exhausted } from './budget.js'
import { checkOp } from './checks.js'
import { Copies } from './copies.js'
import {
  type AuditEntry,
  type CorrectOp,
  type DeleteOp,
  type EditOp,
  filled,
  problemOf,
  retold,
  seedOf,
  shown,
} from './edits.js'
import type { Host, Reaction } from './host/host.js'
import type { Settings, Spec } from './negotiate.js'
import type { Applied, Op, Short, Told } from './operations.js'
import { evaluates, type Open, Queries, type QueriesTree, RESOLVER } from './queries.js'
import { endOf, paramsOf, type TrialRecord, Trials } from './trials.js'
import { describeEarlier, earlierIn } from './warm-start.js'

type Phase = { state: SessionState; by: 'method' | 'budget' | 'client' | ''; message: string }

export class Session {
  revision = 0
  updateTime = 0
  phase: Phase = { state: 'running', by: '', message: '' }
  counts = { asked: 0, told: 0, failed: 0, pruned: 0 }
  usage: Required<Usage> = { calls: 0, promptTokens: 0, completionTokens: 0, money: 0 }
  /** What was changed by hand. */
  audit: AuditEntry[] = []
  readonly copies = new Copies()
  private evaluations = 0
  readonly queries: Queries
  private readonly book = new Trials()
  /** Queries that the session made itself, for points that clients brought. */
  private made = 0
  /** Why the method has no more queries until it is told something. */
  private dry: NonNullable<Reaction['short']> | null = null
  private best: number | null = null
  private pruning: Tree = null
  /** Answers to queries that are no trials. */
  untried = 0
  /** How often the method has started anew. */
  private generation = 0

  constructor(
    readonly spec: Spec,
    public settings: Settings,
    readonly method: AnyMethod,
    readonly host: Host,
    private readonly pruner?: AnyPruner,
  ) {
    this.queries = new Queries(spec.resolver !== undefined)
    if (pruner) this.pruning = pruner.init(this.prunerRun)
  }

  get problem(): Problem {
    return problemOf(this.spec, this.settings)
  }
  private get earlier() {
    return earlierIn(this.spec, this.settings)
  }
  private get prunerRun(): PrunerRun<unknown> {
    return { config: this.spec.pruner?.config, direction: this.problem.objectives[0].direction }
  }
  get trials(): readonly TrialRecord[] {
    return this.book.all
  }
  get openCount(): number {
    return this.queries.out
  }

  /** A query that has no answer yet. */
  query(id: string): Query | undefined {
    return this.queries.get(id)?.query
  }

  /** Refuses what cannot be applied; returns the operation as it will be recorded. */
  check(op: Op): Op {
    return checkOp(this, op)
  }

  lastReport(query: Query) {
    return query.trial === undefined ? undefined : this.trials[query.trial].intermediates.at(-1)
  }

  /** The decision of the last report of a query, when this is that report again. */
  repeatedReport(op: Op & { op: 'report' }): Decision | undefined {
    const open = this.queries.get(op.queryId)
    const last = open && this.lastReport(open.query)
    return last?.step === op.step && Object.is(last.value, op.value) ? open?.decision : undefined
  }

  /** Whether a step would change nothing: no observations, no points, and nothing to hand out. */
  isIdle(op: Op & { op: 'step' }, time: number): boolean {
    if (op.observations.length > 0 || op.enqueue.length > 0) return false
    if (op.count === 0 || this.phase.state !== 'running') return true
    if (this.queries.expired(time, op.worker, 1).length > 0) return false
    if (this.room() <= 0) return true
    if (this.queries.next(op.worker)) return false
    return this.isDry(time) || this.queries.waiting >= op.count
  }

  private isDry(time: number): boolean {
    return this.dry !== null && time < (this.dry.retryAt ?? Infinity)
  }

  // --- Changes ---

  /** Applies a checked operation at a time. Rises the revision by one. */
  async apply(op: Op, time: number): Promise<Applied> {
    this.revision++
    this.updateTime = time
    const applied: Applied = { events: [], queries: [] }
    const before = this.phase.state
    if (op.op === 'create') this.log(applied, { type: 'created', message: describeEarlier(this.earlier) })
    else if (op.op === 'step') await this.step(op, applied)
    else if (op.op === 'prefetch') await this.prefetch()
    else if (op.op === 'report') await this.report(op, applied)
    else if (op.op === 'edit') await this.edit(op, applied)
    else if (op.op === 'correct') await this.correct(op, applied)
    else if (op.op === 'delete-trial') await this.deleteTrial(op, applied)
    else await this.update(op, applied)
    if (this.phase.state === 'done' && before !== 'done')
      this.log(applied, { type: 'done', message: this.phase.message })
    return applied
  }

  private async step(op: Op & { op: 'step' }, applied: Applied) {
    const events: Event[] = op.observations.map((told) => this.observe(told, applied))
    for (const point of op.enqueue) {
      const { query } = this.admit(this.ownQuery(`enqueued-${++this.made}`, point), true)
      const after = point.kind === 'params' ? { params: point.params } : undefined
      this.record({ by: op.by, action: 'enqueue', trial: query.trial, after })
    }
    this.checkBudget()
    if (events.length > 0 || !this.isDry(this.updateTime)) this.dry = null

    const asking = op.count > 0 && this.phase.state === 'running'
    const again = asking ? this.queries.expired(this.updateTime, op.worker, op.count) : []
    const capacity = asking && !this.dry ? Math.min(op.count - again.length, this.room()) - this.queries.waiting : 0
    if (capacity > 0) events.push({ type: 'capacity', count: capacity, time: this.updateTime })
    if (events.length > 0) {
      const reaction = await this.host.step(events)
      this.accept(reaction)
      if (op.observations.length > 0 && this.problem.space.kind === 'tensors')
        applied.metrics = (await this.host.estimate()).metrics
      for (const event of applied.events) if (event.type === 'told') event.metrics = applied.metrics
      if (capacity > 0 && reaction.queries.length < capacity) this.dry = this.dryness(reaction)
    }
    if (!asking || this.phase.state !== 'running') {
      applied.short = op.count > 0 ? this.short(op) : undefined
      return
    }
    for (const open of again) {
      // The method may have withdrawn it meanwhile.
      if (!this.queries.get(open.query.id)) continue
      this.log(applied, { type: 'expired', queryId: open.query.id, trial: open.query.trial, message: open.worker })
      applied.queries.push(this.hand(open, op.worker, applied))
    }
    while (applied.queries.length < op.count && this.room() > 0) {
      const open = this.queries.next(op.worker)
      if (!open) break
      applied.queries.push(this.hand(open, op.worker, applied))
    }
    if (applied.queries.length < op.count) applied.short = this.short(op)
  }

  /**
   * How many suggestions are to be made ahead now. A worker that is alone gets none that lacks its last answer: one is made
   * for it between its tell and its next ask, none while its query is out.
   */
  get ahead(): number {
    if (!this.spec.prefetch || this.phase.state !== 'running' || this.dry) return 0
    const { out, waiting } = this.queries
    const most = out > 1 ? this.spec.prefetch : 1 - out
    return Math.max(0, Math.min(most, this.room()) - waiting)
  }

  private async prefetch() {
    const count = this.ahead
    const reaction = await this.host.step([{ type: 'capacity', count, time: this.updateTime }])
    this.accept(reaction)
    if (reaction.queries.length < count) this.dry = this.dryness(reaction)
  }

  private dryness({ short }: Reaction) {
    return short ?? ({ reason: 'the method has no query before it is told more', until: 'tell' } as const)
  }

  /** Resolves a query: the event for the method, with the session's own books kept. */
  private observe(told: Told, applied: Applied): Event {
    const { point, ...rest } = told
    let open = this.queries.get(told.queryId)
    if (!open) {
      open = this.admit(this.ownQuery(`told-${++this.made}`, point!), false)
      this.queries.lease(open, '', this.updateTime)
      this.counts.asked++
    }
    const { query } = open
    const observation: Observation = { ...rest, queryId: query.id }
    this.queries.close(open)
    this.counts.told++
    if (observation.status === 'failed') this.counts.failed++
    if (observation.status === 'pruned') this.counts.pruned++
    if (evaluates(query) && observation.status !== 'cancelled') this.evaluations++
    for (const [name, amount] of Object.entries(observation.usage ?? {})) this.usage[name as keyof Usage] += amount ?? 0
    const value = observation.status === 'ok' ? observation.values?.[0]?.[0] : undefined
    this.rememberBest(observation)
    if (query.trial === undefined) this.untried++
    else {
      const trial = this.trials[query.trial]
      this.book.end(trial, observation, this.updateTime)
      this.prune({ type: 'finished', trial: trial.number, status: observation.status, value })
    }
    this.log(applied, {
      type: 'told',
      queryId: query.id,
      trial: query.trial,
      status: observation.status,
      values: observation.values?.[0],
      best: this.best ?? undefined,
      message: observation.message,
    })
    const id = this.methodId(query.id)
    return {
      type: 'observation',
      query: { ...query, id },
      observation: { ...observation, queryId: id },
      time: this.updateTime,
    }
  }

  private rememberBest({ status, values, constraints }: Observation) {
    const { objectives } = this.problem
    if (status !== 'ok' || !values || objectives.length !== 1) return
    values.forEach(([value], i) => {
      if (constraints?.[i].some((c) => c > 0)) return
      const better =
        this.best === null || (objectives[0].direction === 'minimize' ? value < this.best : value > this.best)
      if (better) this.best = value
    })
  }

  private async report(op: Op & { op: 'report' }, applied: Applied) {
    const open = this.queries.get(op.queryId)!
    const { query } = open
    const trial = this.trials[query.trial!]
    this.book.report(trial, op.step, op.value)
    open.leaseUntil = this.updateTime + this.spec.lease * 1000
    if (Number.isFinite(op.value)) {
      applied.decision = this.prune({ type: 'report', trial: trial.number, step: op.step, value: op.value })
      const id = this.methodId(query.id)
      // A method that has started anew does not know the queries of before.
      if (!id.startsWith(OLD))
        this.accept(await this.host.step([{ type: 'report', query: { ...query, id }, step: op.step, value: op.value }]))
    } else applied.decision = { prune: true, reason: `the intermediate value is ${op.value}` }
    open.decision = applied.decision
    this.log(applied, {
      type: 'reported',
      queryId: query.id,
      trial: trial.number,
      values: [op.value],
      message: applied.decision.prune ? applied.decision.reason : undefined,
    })
  }

  private prune(event: PrunerEvent): Decision {
    if (!this.pruner) return { prune: false, reason: 'the session has no pruner' }
    const { state, decision } = this.pruner.step(this.prunerRun, this.pruning, event)
    this.pruning = state
    return decision
  }

  private async update(op: Op & { op: 'update' }, applied: Applied) {
    const fields = Object.keys(op.settings) as (keyof Settings)[]
    const before = {
      ...Object.fromEntries(fields.map((name) => [name, this.settings[name]])),
      ...(op.state && { state: this.phase.state }),
    }
    this.settings = { ...this.settings, ...op.settings }
    if (op.changed.length > 0) {
      this.dry = null
      this.accept(await this.host.reconfigure(this.settings.config, op.changed))
    }
    if (op.settings.budget && this.phase.by === 'budget') this.phase = { state: 'running', by: '', message: '' }
    if (op.state)
      this.phase = {
        state: op.state,
        by: op.state === 'running' ? '' : 'client',
        message: op.state === 'running' ? '' : `${op.state === 'done' ? 'ended' : 'paused'} by a client`,
      }
    this.checkBudget()
    this.record({
      by: op.by,
      action: 'update',
      before,
      after: { ...op.settings, ...(op.state && { state: op.state }) },
    })
    this.log(applied, {
      type: 'reconfigured',
      message: [...Object.keys(op.settings), ...(op.state ? ['state'] : [])].join(', '),
    })
  }

  // --- By hand ---

  private record(entry: Omit<AuditEntry, 'revision' | 'time' | 'by'> & { by?: string }) {
    this.audit.push({ revision: this.revision, time: this.updateTime, ...entry, by: entry.by ?? '' })
  }

  private async edit(op: EditOp, applied: Applied) {
    const { parameters, constraints } = this.problem.space as SearchSpace
    const dropped = op.drop as readonly number[]
    for (const number of dropped) this.drop(this.trials[number], 'is no point of the space after an edit')
    this.settings = { ...this.settings, space: op.space }
    for (const trial of this.trials) {
      if (trial.state === 'cancelled' || trial.state === 'deleted') continue
      trial.params = filled(op.space, op.defaults, trial.params)
      const open = this.queries.get(trial.queryId)
      if (open) open.query = { ...open.query, points: [{ kind: 'params', params: trial.params }] }
    }
    await this.restart()
    const after = { parameters: op.space.parameters, constraints: op.space.constraints, defaults: op.defaults, dropped }
    this.record({ by: op.by, action: 'edit_space', reason: op.reason, before: { parameters, constraints }, after })
    const message = dropped.length > 0 ? `trials ${dropped.join(', ')} are deleted` : undefined
    this.log(applied, { type: 'edited', message })
  }

  private async correct(op: CorrectOp, applied: Applied) {
    const trial = this.trials[op.trial]
    const before = shown(trial)
    const { status } = op.observation
    this.counts.failed += Number(status === 'failed') - Number(trial.state === 'failed')
    this.counts.pruned += Number(status === 'pruned') - Number(trial.state === 'pruned')
    this.book.correct(trial, op.observation)
    await this.restart()
    this.record({ by: op.by, action: 'correct_trial', trial: op.trial, reason: op.reason, before, after: shown(trial) })
    this.log(applied, {
      type: 'corrected',
      queryId: trial.queryId,
      trial: op.trial,
      status,
      values: trial.values,
      best: this.best ?? undefined,
    })
  }

  private async deleteTrial(op: DeleteOp, applied: Applied) {
    const trial = this.trials[op.trial]
    const before = { ...shown(trial), params: trial.params }
    const { queryId, endTime, state } = trial
    const open = this.queries.get(queryId)
    this.drop(trial, op.reason)
    if (endTime !== undefined && state !== 'cancelled') await this.restart()
    else if (open && !queryId.startsWith('enqueued-') && !this.methodId(queryId).startsWith(OLD)) {
      const id = this.methodId(queryId)
      this.dry = null
      const query = { ...open.query, id }
      this.accept(
        await this.host.step([{ type: 'observation', query, observation: { queryId: id, status: 'cancelled' } }]),
      )
    }
    this.record({ by: op.by, action: 'delete_trial', trial: op.trial, reason: op.reason, before })
    this.log(applied, { type: 'deleted', queryId, trial: op.trial, best: this.best ?? undefined })
  }

  /** Nobody is to answer or remember a trial any more. */
  private drop(trial: TrialRecord, reason: string) {
    const open = this.queries.get(trial.queryId)
    if (open) {
      this.queries.withdraw(open)
      trial.endTime = this.updateTime
      this.prune({ type: 'finished', trial: trial.number, status: 'cancelled' })
    }
    trial.state = 'deleted'
    if (reason) trial.message = reason
  }

  /**
   * The method starts anew and is told all trials. Queries that workers have stay theirs, unknown to the method until they are
   * told; those that nobody has are withdrawn.
   */
  private async restart() {
    this.generation++
    for (const open of this.queries.unasked()) {
      this.queries.withdraw(open)
      const trial = this.trials[open.query.trial!]
      trial.state = 'cancelled'
      trial.endTime = this.updateTime
      trial.message = 'withdrawn: the method started anew'
    }
    const { engine, seed } = this.spec
    const { config } = this.settings
    await this.host.restart({
      method: this.method.id,
      config,
      problem: this.problem,
      engine,
      seed: seedOf(seed, this.generation),
      earlier: this.earlier,
    })
    if (this.phase.by === 'method') this.phase = { state: 'running', by: '', message: '' }
    this.dry = null
    this.best = null
    if (this.pruner) this.pruning = this.pruner.init(this.prunerRun)
    this.book.restore(this.book.all)
    const events = retold(this.trials)
    for (const event of events) if (event.type === 'observation') this.rememberBest(event.observation)
    for (const trial of this.trials) {
      const { number, state, intermediates, values } = trial
      if (state === 'deleted') continue
      for (const { step, value } of intermediates)
        if (Number.isFinite(value)) this.prune({ type: 'report', trial: number, step, value })
      const status = endOf(trial)
      if (status)
        this.prune({ type: 'finished', trial: number, status, value: status === 'ok' ? values?.[0] : undefined })
    }
    if (events.length > 0) this.accept(await this.host.step(events))
    this.checkBudget()
  }

  /** What the method calls a query: since it started anew its queries have a prefix, and those of before another. */
  private methodId(id: string): string {
    if (this.generation === 0) return id
    const prefix = `r${this.generation}.`
    return id.startsWith(prefix) ? id.slice(prefix.length) : `${OLD}${id}`
  }

  /** Throws when no update may change the state: what the method ended stays so; what a client or a budget ended need not. */
  checkState() {
    if (this.phase.by === 'method')
      throw new AsktellError('SESSION_CLOSED', `the method has finished: ${this.phase.message}`)
  }

  private checkBudget() {
    if (this.phase.state !== 'running') return
    const message = exhausted(this.settings.budget, this.evaluations, this.usage)
    if (message) this.phase = { state: 'done', by: 'budget', message }
  }

  /** Takes the method's new queries in. */
  private accept({ queries, status, withdrawn = [] }: Reaction) {
    const prefix = this.generation === 0 ? '' : `r${this.generation}.`
    for (const id of withdrawn) {
      const open = this.queries.get(`${prefix}${id}`)
      if (open) this.queries.withdraw(open)
    }
    for (const query of queries) this.admit({ ...query, id: `${prefix}${query.id}` }, false)
    if (status.phase === 'done' && this.phase.by !== 'method')
      this.phase = { state: 'done', by: 'method', message: status.reason }
  }

  private admit(asked: Query, enqueued: boolean): Open {
    const params = paramsOf(asked)
    const query = { ...asked, trial: params && this.trials.length }
    if (!this.queries.admit(query, enqueued))
      throw new AsktellError('INTERNAL', `${this.method.id} asked "${query.id}" twice`)
    if (params) this.book.begin(query, params, this.updateTime)
    return this.queries.get(query.id)!
  }

  private hand(open: Open, worker: string, applied: Applied): LeasedQuery {
    const { query } = open
    if (open.attempt === 0) {
      this.counts.asked++
      if (query.trial !== undefined) this.trials[query.trial].state = 'running'
    }
    this.queries.lease(open, worker, this.updateTime + this.spec.lease * 1000)
    this.log(applied, { type: 'asked', queryId: query.id, trial: query.trial, message: worker || undefined })
    const repeats = query.trial === undefined ? undefined : this.book.repeated(query.trial)
    return { ...query, leaseUntil: open.leaseUntil, attempt: open.attempt, ...(repeats !== undefined && { repeats }) }
  }

  // --- What can be handed out ---

  /** How many more queries the budget of evaluations allows to hand out. */
  private room(): number {
    const { maxEvaluations } = this.settings.budget
    return maxEvaluations ? maxEvaluations - this.evaluations - this.queries.evaluating : Infinity
  }

  /** Why there is nothing to hand out, and when that changes at the latest. */
  short(op: { worker: string }, time = this.updateTime): Short {
    if (this.phase.state !== 'running') return { reason: this.phase.message || `the session is ${this.phase.state}` }
    const millis = Math.min(this.queries.untilExpiry(time) ?? Infinity, (this.dry?.retryAt ?? Infinity) - time)
    const retryAfter = millis === Infinity ? undefined : Math.max(0, millis) / 1000
    if (this.room() <= 0) return { reason: 'the rest of the budget is being evaluated', retryAfter }
    if (this.spec.resolver && op.worker === RESOLVER) return { reason: 'no completion is wanted now', retryAfter }
    if (this.spec.resolver && this.queries.completionsOpen)
      return { reason: "waiting for the server's model endpoint", retryAfter }
    if (this.dry) return { reason: this.dry.reason, retryAfter }
    return { reason: 'the method has no query before it is told more', retryAfter }
  }

  /** What is wanted of points that clients bring; undefined where the method learns nothing from one. */
  ownWant(): Want | undefined {
    const needs = this.method.needs(this.settings.config, this.problem)
    if (needs.includes('value')) return { kind: 'value' }
    return needs.includes('score') ? { kind: 'score' } : undefined
  }
  ownQuery(id: string, point: Point): Query {
    return { id, points: [point], wants: [this.ownWant() ?? { kind: 'value' }] }
  }

  private log(applied: Applied, event: Omit<WatchEvent, 'revision' | 'time'>) {
    applied.events.push({ revision: this.revision, time: this.updateTime, ...event })
  }

  /** Ends all leases: nobody works on the queries of a fork. */
  releaseLeases(): void {
    this.queries.release()
  }

  // --- Snapshots ---

  /** Everything but the spec. Complete: what is restored from it goes on bit for bit. */
  async toTree(): Promise<Tree> {
    return {
      revision: this.revision,
      updateTime: this.updateTime,
      settings: this.settings,
      phase: this.phase,
      counts: this.counts,
      usage: this.usage,
      trials: this.trials,
      evaluations: this.evaluations,
      queries: this.queries.toTree(),
      made: this.made,
      dry: this.dry,
      best: this.best,
      pruning: this.pruning,
      ...(this.untried > 0 && { untried: this.untried }),
      ...(this.generation > 0 && { generation: this.generation }),
      ...(this.audit.length > 0 && { audit: this.audit }),
      methodVersion: this.method.version,
      stateVersion: this.method.stateVersion,
      method: await this.host.state(),
    } as unknown as Tree
  }

  /** Takes over a tree of `toTree`, whose `method` the host was opened with. */
  restore(tree: SessionTree): void {
    this.revision = tree.revision
    this.updateTime = tree.updateTime
    this.settings = tree.settings
    this.phase = tree.phase
    this.counts = tree.counts
    this.usage = tree.usage
    this.book.restore(tree.trials)
    this.evaluations = tree.evaluations
    this.queries.restore(tree.queries)
    this.made = tree.made
    this.dry = tree.dry
    this.best = tree.best
    this.pruning = tree.pruning
    this.untried = tree.untried ?? 0
    this.generation = tree.generation ?? 0
    this.audit = tree.audit ?? []
  }

  /**
   * SHA-256 of all that decides what the optimizer will do with what it is told: equal hashes mean equal futures. Times,
   * workers, leases and names are left out, so that a run that was interrupted can be compared with one that was not.
   */
  async hash(): Promise<string> {
    const { pruner, resolver, engine } = this.spec
    const { problem, earlier } = this
    const tree = {
      method: [this.method.id, this.method.version, engine],
      problem,
      pruner,
      resolver: resolver !== undefined,
      config: this.settings.config,
      budget: this.settings.budget,
      state: this.phase.state,
      dry: this.dry && { reason: this.dry.reason, until: this.dry.until },
      told: this.counts.told,
      evaluations: this.evaluations,
      usage: this.usage,
      open: this.queries.all(),
      trials: this.trials.length,
      made: this.made,
      pruning: this.pruning,
      ...(this.generation > 0 && { generation: this.generation }),
      ...(earlier && { earlier }),
    } as unknown as Tree
    const hash = createHash('sha256').update(encodeTree(tree))
    for (const part of (await this.host.state()).parts) hash.update(part)
    return hash.digest('hex')
  }
}

export type SessionTree = {
  revision: number
  updateTime: number
  settings: Settings
  phase: Phase
  counts: Session['counts']
  usage: Required<Usage>
  trials: TrialRecord[]
  evaluations: number
  queries: QueriesTree
  made: number
  dry: NonNullable<Reaction['short']> | null
  best: number | null
  pruning: Tree
  /** Absent before the first. */
  untried?: number
  generation?: number
  audit?: AuditEntry[]
  methodVersion: number
  stateVersion: number
  method: Uint8Array
}

/** Before the id of a query that the method, having started anew, never asked. */
const OLD = 'old:'
