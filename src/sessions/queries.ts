/** The books of a session's queries: which wait, which are out under a lease, and which have been answered. */
import type { Decision } from '../core/pruner.js'
import type { Query } from '../core/query.js'
import { IdSet } from './ids.js'

/** A query that has no answer yet. `attempt` is 0 until it is handed out. */
export type Open = {
  query: Query
  attempt: number
  leaseUntil: number
  worker: string
  /** Of the last report. */
  decision?: Decision
}
export type QueriesTree = {
  open: Open[]
  enqueued: string[]
  pending: string[]
  answered: ReturnType<IdSet['toTree']>
}

/** The worker name under which the server answers completions. */
export const RESOLVER = 'resolver'

/** Whether answering the query takes an evaluation of the objective, rather than a call of a model. */
export const evaluates = (query: Query): boolean => query.wants.some(({ kind }) => kind !== 'completion')
const completes = (query: Query): boolean => query.wants.some(({ kind }) => kind === 'completion')

export class Queries {
  private open = new Map<string, Open>()
  /** Ids of queries not handed out yet, in order: first those that clients put in, then the method's. */
  private enqueued: string[] = []
  private pending: string[] = []
  private answered = new IdSet()
  /** Queries handed out, those of them that are evaluations, and a lower bound on the next expiry. */
  out = 0
  evaluating = 0
  private nextExpiry = Infinity

  /** With a resolver, completions are for it alone, and all else for everybody else. */
  constructor(private readonly resolver: boolean) {}

  get(id: string): Open | undefined {
    return this.open.get(id)
  }
  all(): Query[] {
    return [...this.open.values()].map(({ query }) => query)
  }
  wasAnswered(id: string): boolean {
    return this.answered.has(id)
  }
  get waiting(): number {
    return this.enqueued.length + this.pending.length
  }
  /** Milliseconds until a lease may end; undefined when none is out. */
  untilExpiry(time: number): number | undefined {
    return this.out > 0 ? Math.max(0, this.nextExpiry - time) : undefined
  }
  get completionsOpen(): boolean {
    return this.all().some(completes)
  }

  /** Takes a new query in, to be handed out in its turn; false when its id was used before. */
  admit(query: Query, enqueued: boolean): boolean {
    if (this.open.has(query.id) || this.answered.has(query.id)) return false
    this.open.set(query.id, { query, attempt: 0, leaseUntil: 0, worker: '' })
    ;(enqueued ? this.enqueued : this.pending).push(query.id)
    return true
  }

  /** Queries whose lease has ended, oldest first. */
  expired(time: number, worker: string, most: number): Open[] {
    if (time < this.nextExpiry) return []
    const found: Open[] = []
    let next = Infinity
    for (const open of this.open.values()) {
      if (open.attempt === 0) continue
      if (open.leaseUntil <= time && found.length < most && this.suits(open.query, worker)) found.push(open)
      next = Math.min(next, open.leaseUntil)
    }
    this.nextExpiry = next
    return found
  }

  /** The next waiting query for a worker, or undefined. */
  next(worker: string): Open | undefined {
    for (const queue of [this.enqueued, this.pending])
      for (const id of queue) {
        const open = this.open.get(id)!
        if (this.suits(open.query, worker)) return open
      }
    return undefined
  }

  /** Gives a query to a worker. */
  lease(open: Open, worker: string, until: number): void {
    if (open.attempt === 0) {
      this.out++
      if (evaluates(open.query)) this.evaluating++
      const queue = this.enqueued.includes(open.query.id) ? this.enqueued : this.pending
      queue.splice(queue.indexOf(open.query.id), 1)
    }
    open.attempt++
    open.worker = worker
    open.leaseUntil = until
    this.nextExpiry = Math.min(this.nextExpiry, until)
  }

  /** A query that was out has its answer. */
  close({ query }: Open): void {
    this.open.delete(query.id)
    this.answered.add(query.id)
    this.out--
    if (evaluates(query)) this.evaluating--
  }

  /** A query that nobody is to answer any more. */
  withdraw(open: Open): void {
    if (open.attempt > 0) return this.close(open)
    for (const queue of [this.enqueued, this.pending]) {
      const at = queue.indexOf(open.query.id)
      if (at >= 0) queue.splice(at, 1)
    }
    this.open.delete(open.query.id)
    this.answered.add(open.query.id)
  }
  /** Queries of the method that were not handed out yet. */
  unasked(): Open[] {
    return this.pending.map((id) => this.open.get(id)!)
  }

  /** Ends all leases. */
  release(): void {
    for (const open of this.open.values()) if (open.attempt > 0) open.leaseUntil = 0
    this.nextExpiry = this.out > 0 ? 0 : Infinity
  }

  private suits(query: Query, worker: string): boolean {
    return !this.resolver || completes(query) === (worker === RESOLVER)
  }

  toTree(): QueriesTree {
    return {
      open: [...this.open.values()],
      enqueued: this.enqueued,
      pending: this.pending,
      answered: this.answered.toTree(),
    }
  }
  restore(tree: QueriesTree): void {
    this.open = new Map(tree.open.map((open) => [open.query.id, open]))
    this.enqueued = tree.enqueued
    this.pending = tree.pending
    this.answered = IdSet.fromTree(tree.answered)
    const out = tree.open.filter(({ attempt }) => attempt > 0)
    this.out = out.length
    this.evaluating = out.filter(({ query }) => evaluates(query)).length
    this.nextExpiry = out.reduce((next, { leaseUntil }) => Math.min(next, leaseUntil), Infinity)
  }
}
