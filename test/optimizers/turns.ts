/** Drives a method that has one query open at a time, with answers of any kind. */
import type { AnyMethod, Estimate, Run } from '../../src/core/method.js'
import type { Event, Observation, Query } from '../../src/core/query.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Direction, Problem, TensorsSpace } from '../../src/core/space.js'
import type { Tensors } from '../../src/core/tensor.js'
import { decodeTree, encodeTree, type Tree } from '../../src/core/tree.js'
import { tensorsOf } from './saddle/game.js'

export type Answered = Omit<Partial<Observation>, 'queryId' | 'status'>
/** Answers a query at its points. */
export type Client = (points: readonly Tensors[], query: Query) => Answered

export class Turns {
  readonly run: Run<unknown>
  state: Tree
  /** The open query; undefined when the session is done. */
  query: Query | undefined
  done: string | undefined
  /** Queries so far, by purpose. */
  readonly counts: { [purpose: string]: number } = {}

  constructor(
    readonly method: AnyMethod,
    space: TensorsSpace,
    { config = {}, seed = 1, direction = 'minimize' }: { config?: object; seed?: number; direction?: Direction } = {},
  ) {
    const problem: Problem = { space, objectives: [{ name: 'loss', direction }] }
    const parsed = parseConfig(method.config, config)
    const issues = method.check?.(parsed, problem) ?? []
    if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.run = { config: parsed, problem, engine: 'interpreter', memo: new Map() }
    this.state = method.init(this.run, seed)
    this.step({ type: 'capacity', count: 1 })
  }
  private step(event: Event) {
    const { state, queries, status } = this.method.step(this.run, this.state, [event])
    this.state = state as Tree
    this.query = queries[0]
    if (this.query) this.counts[this.query.purpose!] = (this.counts[this.query.purpose!] ?? 0) + 1
    this.done = status.phase === 'done' ? status.reason : undefined
  }
  get asked(): Tensors {
    return tensorsOf(this.query!.points[0])
  }
  tell(client: Client): this {
    const query = this.query!
    const observation: Observation = {
      queryId: query.id,
      status: 'ok',
      // Notes are no points.
      ...client(query.points.filter(({ kind }) => kind !== 'text').map(tensorsOf), query),
    }
    this.step({ type: 'observation', query, observation })
    return this
  }
  refuse(status: 'failed' | 'infeasible' | 'cancelled' | 'pruned') {
    const query = this.query!
    this.step({ type: 'observation', query, observation: { queryId: query.id, status } })
  }
  /** Answers until so many more steps are taken, or it is done. */
  steps(count: number, client: Client): this {
    const end = this.estimate.step + count
    while (this.estimate.step < end && this.query) this.tell(client)
    return this
  }
  /** Answers until nothing more is asked. */
  finish(client: Client): this {
    while (this.query) this.tell(client)
    return this
  }
  restart(): void {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
  }
  get estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  get answer(): Tensors {
    return tensorsOf(this.estimate.points[0].point)
  }
  get metrics(): { readonly [name: string]: number } {
    return this.estimate.metrics ?? {}
  }
}
