/**
 * The session as a deterministic state machine: operations with their times in, answers out. What the journal holds are
 * these operations, so replay is the same code as the first run. No I/O, no clock.
 */
import { createHash } from 'node:crypto'
import { AsktellError, type Issue, refuse } from '../core/errors.js'
import type { AnyMethod, Estimate } from '../core/method.js'
import type { AnyPruner, Decision, PrunerEvent, PrunerRun } from '../core/pruner.js'
import type { Event, Observation, Point, Query, Usage, Want } from '../core/query.js'
import { encodeTree, type Tree } from '../core/tree.js'
import type { LeasedQuery, SessionState, Trial, TrialState, WatchEvent } from './api.js'
import { Copies } from './copies.js'
import type { Host, Reaction } from './host/host.js'
import type { Settings, Spec } from './negotiate.js'
import { evaluates, type Open, Queries, type QueriesTree, RESOLVER } from './queries.js'
import { checkObservation, checkPoint, illFormed } from './validate.js'

export type Told = Observation & { point?: Point }

/** The inputs of a mutation, as the journal records them. */
export type Op =
  | { op: 'create' }
  | { op: 'step'; observations: readonly Told[]; enqueue: readonly Point[]; count: number; worker: string }
  | { op: 'report'; queryId: string; step: number; value: number }
  | { op: 'update'; settings: Partial<Settings>; changed: readonly string[]; state?: SessionState }

export type Short = { reason: string; retryAfter?: number }
export type Applied = {
  events: WatchEvent[]
  queries: LeasedQuery[]
  short?: Short
  decision?: Decision
  /** After a tell, of methods whose estimate is a view of their state. */
  metrics?: Estimate['metrics']
}

type Phase = { state: SessionState; by: 'method' | 'budget' | 'client' | ''; message: string }

export class Session {
  revision = 0
  updateTime = 0
  phase: Phase = { state: 'running', by: '', message: '' }
  counts = { asked: 0, told: 0, failed: 0, pruned: 0 }
  usage: Required<Usage> = { calls: 0, promptTokens: 0, completionTokens: 0, money: 0 }
  trials: Trial[] = []
  readonly copies = new Copies()
  private evaluations = 0
  private readonly queries: Queries
  /** Queries that the session made itself, for points that clients brought. */
  private made = 0
  /** Why the method has no more queries until it is told something. */
  private dry: { reason: string; until: 'tell' | 'never' } | null = null
  private best: number | null = null
  private pruning: Tree = null

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

  private get prunerRun(): PrunerRun<unknown> {
    return { config: this.spec.pruner?.config, direction: this.spec.problem.objectives[0].direction }
  }
  get openCount(): number {
    return this.queries.out
  }

  /** A query that has no answer yet. */
  query(id: string): Query | undefined {
    return this.queries.get(id)?.query
  }

  // --- Checks: throw, or leave everything as it is ---

  /** Refuses what cannot be applied; returns the operation as it will be recorded. */
  check(op: Op): Op {
    if (op.op === 'step') return this.checkStep(op)
    if (op.op === 'report') return this.checkReport(op)
    return op
  }

  private checkStep(op: Op & { op: 'step' }): Op {
    const issues: Issue[] = illFormed(op.observations, 'observations', [])
    const seen = new Map<string, number>()
    const { problem } = this.spec
    const observations = op.observations.map((told, i): Told => {
      const at = `observations[${i}]`
      if (!told.queryId) {
        if (!told.point) {
          issues.push({ path: `${at}.queryId`, message: 'is missing, and so is a point' })
          return told
        }
        this.checkOwnPoint(told.point, `${at}.point`, issues)
        return { ...checkObservation(this.ownQuery('', told.point), told, problem, at, issues), point: told.point }
      }
      if (seen.has(told.queryId))
        issues.push({
          path: `${at}.queryId`,
          message: `"${told.queryId}" is answered by observations[${seen.get(told.queryId)}] too`,
        })
      seen.set(told.queryId, i)
      return checkObservation(this.find(told.queryId, `${at}.queryId`).query, told, problem, at, issues)
    })
    refuse('OBSERVATION_INVALID', issues)
    illFormed({ enqueue: op.enqueue, worker: op.worker }, '', issues)
    for (const [i, point] of op.enqueue.entries()) this.checkOwnPoint(point, `enqueue[${i}]`, issues)
    refuse('INVALID_ARGUMENT', issues)
    if (this.phase.state === 'done' && (op.enqueue.length > 0 || observations.some(({ queryId }) => !queryId)))
      throw new AsktellError('SESSION_CLOSED', `the session takes no new points: ${this.phase.message || 'it is done'}`)
    return { ...op, observations }
  }

  /** An open query that was handed out. */
  private find(id: string, path: string): Open {
    const open = this.queries.get(id)
    if (open && open.attempt > 0) return open
    const resolved = this.queries.wasAnswered(id)
    const message = resolved ? `"${id}" has been answered` : `the session never asked "${id}"`
    throw new AsktellError(resolved ? 'QUERY_RESOLVED' : 'QUERY_NOT_FOUND', message, { issues: [{ path, message }] })
  }

  private checkOwnPoint(point: Point, at: string, issues: Issue[]) {
    if (this.method.facts.unsolicited !== 'accept')
      issues.push({ path: at, message: `${this.method.id} takes no points that it did not ask for` })
    else if (!this.ownWant()) issues.push({ path: at, message: `${this.method.id} learns nothing from a single point` })
    else checkPoint(point, this.spec.problem, at, issues)
  }

  private checkReport(op: Op & { op: 'report' }): Op {
    const { query } = this.find(op.queryId, 'queryId')
    const issues: Issue[] = []
    if (query.trial === undefined)
      issues.push({ path: 'queryId', message: `"${op.queryId}" is no trial: only those take intermediate values` })
    if (!Number.isSafeInteger(op.step) || op.step < 0)
      issues.push({ path: 'step', message: `expected an integer of 0 or more, got ${op.step}` })
    const last = this.lastReport(query)
    if (last && op.step <= last.step)
      issues.push({ path: 'step', message: `expected a step after ${last.step}, got ${op.step}` })
    refuse('OBSERVATION_INVALID', issues)
    return op
  }

  private lastReport(query: Query) {
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
    return this.dry !== null || this.queries.waiting >= op.count
  }

  // --- Changes ---

  /** Applies a checked operation at a time. Rises the revision by one. */
  async apply(op: Op, time: number): Promise<Applied> {
    this.revision++
    this.updateTime = time
    const applied: Applied = { events: [], queries: [] }
    const before = this.phase.state
    if (op.op === 'create') this.log(applied, { type: 'created' })
    else if (op.op === 'step') await this.step(op, applied)
    else if (op.op === 'report') await this.report(op, applied)
    else await this.update(op, applied)
    if (this.phase.state === 'done' && before !== 'done')
      this.log(applied, { type: 'done', message: this.phase.message })
    return applied
  }

  private async step(op: Op & { op: 'step' }, applied: Applied) {
    const events: Event[] = op.observations.map((told) => this.observe(told, applied))
    for (const point of op.enqueue) this.admit(this.ownQuery(`enqueued-${++this.made}`, point), true)
    this.checkBudget()
    if (events.length > 0) this.dry = null

    const asking = op.count > 0 && this.phase.state === 'running'
    const again = asking ? this.queries.expired(this.updateTime, op.worker, op.count) : []
    const capacity = asking && !this.dry ? Math.min(op.count - again.length, this.room()) - this.queries.waiting : 0
    if (capacity > 0) events.push({ type: 'capacity', count: capacity })
    if (events.length > 0) {
      const reaction = await this.host.step(events)
      this.accept(reaction)
      if (op.observations.length > 0 && this.spec.problem.space.kind === 'tensors')
        applied.metrics = (await this.host.estimate()).metrics
      for (const event of applied.events) if (event.type === 'told') event.metrics = applied.metrics
      if (capacity > 0 && reaction.queries.length < capacity)
        this.dry = reaction.short ?? { reason: 'the method has no query before it is told more', until: 'tell' }
    }
    if (!asking || this.phase.state !== 'running') {
      applied.short = op.count > 0 ? this.short(op) : undefined
      return
    }
    for (const open of again) {
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
    if (query.trial !== undefined) {
      const trial = this.trials[query.trial]
      trial.state = TRIAL_STATES[observation.status]
      trial.endTime = this.updateTime
      if (observation.values) trial.values = observation.values[0]
      if (observation.constraints) trial.constraints = observation.constraints[0]
      if (observation.message) trial.message = observation.message
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
    return { type: 'observation', query, observation }
  }

  private rememberBest({ status, values, constraints }: Observation) {
    const { objectives } = this.spec.problem
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
    ;(trial.intermediates as { step: number; value: number }[]).push({ step: op.step, value: op.value })
    open.leaseUntil = this.updateTime + this.spec.lease * 1000
    if (Number.isFinite(op.value)) {
      applied.decision = this.prune({ type: 'report', trial: trial.number, step: op.step, value: op.value })
      this.accept(await this.host.step([{ type: 'report', query, step: op.step, value: op.value }]))
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
    this.log(applied, {
      type: 'reconfigured',
      message: [...Object.keys(op.settings), ...(op.state ? ['state'] : [])].join(', '),
    })
  }

  /** Throws when no update may change the state: what the method ended stays so; what a client or a budget ended need not. */
  checkState() {
    if (this.phase.by === 'method')
      throw new AsktellError('SESSION_CLOSED', `the method has finished: ${this.phase.message}`)
  }

  private checkBudget() {
    if (this.phase.state !== 'running') return
    const message = this.exhausted()
    if (message) this.phase = { state: 'done', by: 'budget', message }
  }
  private exhausted(): string | undefined {
    const { maxEvaluations, maxCalls, maxTokens, maxMoney } = this.settings.budget
    const tokens = this.usage.promptTokens + this.usage.completionTokens
    if (maxEvaluations && this.evaluations >= maxEvaluations)
      return `the budget of ${maxEvaluations} evaluations is used up`
    if (maxCalls && this.usage.calls >= maxCalls) return `the budget of ${maxCalls} model calls is used up`
    if (maxTokens && tokens >= maxTokens) return `the budget of ${maxTokens} tokens is used up`
    if (maxMoney && this.usage.money >= maxMoney) return `the budget of ${maxMoney} (money) is used up`
    return undefined
  }

  /** Takes the method's new queries in. */
  private accept({ queries, status }: Reaction) {
    for (const query of queries) this.admit(query, false)
    if (status.phase === 'done' && this.phase.by !== 'method')
      this.phase = { state: 'done', by: 'method', message: status.reason }
  }

  private admit(asked: Query, enqueued: boolean): Open {
    const [point, ...others] = asked.points
    // A query of several points, such as a ranking, is no trial: it has no value of its own.
    const isTrial = point?.kind === 'params' && others.length === 0
    const query = { ...asked, trial: isTrial ? this.trials.length : undefined }
    if (!this.queries.admit(query, enqueued))
      throw new AsktellError('INTERNAL', `${this.method.id} asked "${query.id}" twice`)
    if (isTrial)
      this.trials.push({
        number: this.trials.length,
        queryId: query.id,
        state: 'waiting',
        params: point.params,
        intermediates: [],
        createTime: this.updateTime,
      })
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
    return { ...query, leaseUntil: open.leaseUntil, attempt: open.attempt }
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
    const millis = this.queries.untilExpiry(time)
    const retryAfter = millis === undefined ? undefined : millis / 1000
    if (this.room() <= 0) return { reason: 'the rest of the budget is being evaluated', retryAfter }
    if (this.spec.resolver && op.worker === RESOLVER) return { reason: 'no completion is wanted now', retryAfter }
    if (this.spec.resolver && this.queries.completionsOpen)
      return { reason: "waiting for the server's model endpoint", retryAfter }
    if (this.dry) return { reason: this.dry.reason, retryAfter }
    return { reason: 'the method has no query before it is told more', retryAfter }
  }

  private ownWant(): Want | undefined {
    const needs = this.method.needs(this.settings.config, this.spec.problem)
    if (needs.includes('value')) return { kind: 'value' }
    return needs.includes('score') ? { kind: 'score' } : undefined
  }
  private ownQuery(id: string, point: Point): Query {
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
    this.trials = tree.trials
    this.evaluations = tree.evaluations
    this.queries.restore(tree.queries)
    this.made = tree.made
    this.dry = tree.dry
    this.best = tree.best
    this.pruning = tree.pruning
  }

  /**
   * SHA-256 of all that decides what the optimizer will do with what it is told: equal hashes mean equal futures. Times,
   * workers, leases and names are left out, so that a run that was interrupted can be compared with one that was not.
   */
  async hash(): Promise<string> {
    const { problem, pruner, resolver, engine } = this.spec
    const tree = {
      method: [this.method.id, this.method.version, engine],
      problem,
      pruner,
      resolver: resolver !== undefined,
      config: this.settings.config,
      budget: this.settings.budget,
      state: this.phase.state,
      dry: this.dry,
      told: this.counts.told,
      evaluations: this.evaluations,
      usage: this.usage,
      open: this.queries.all(),
      trials: this.trials.length,
      made: this.made,
      pruning: this.pruning,
    } as unknown as Tree
    return createHash('sha256')
      .update(encodeTree(tree))
      .update(await this.host.state())
      .digest('hex')
  }
}

export type SessionTree = {
  revision: number
  updateTime: number
  settings: Settings
  phase: Phase
  counts: Session['counts']
  usage: Required<Usage>
  trials: Trial[]
  evaluations: number
  queries: QueriesTree
  made: number
  dry: { reason: string; until: 'tell' | 'never' } | null
  best: number | null
  pruning: Tree
  methodVersion: number
  stateVersion: number
  method: Uint8Array
}

const TRIAL_STATES: { [status in Observation['status']]: TrialState } = {
  ok: 'completed',
  failed: 'failed',
  infeasible: 'infeasible',
  pruned: 'pruned',
  cancelled: 'cancelled',
}
