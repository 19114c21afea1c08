/** Drives a method that has one query open at a time, of literal tensors. */
import { type AnyMethod, checkSuitable, type Run } from '../../../src/core/method.js'
import type { Event, Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

export class Asker {
  private readonly run: Run<unknown>
  private state: Tree
  query!: Query
  done?: string

  constructor(
    private readonly method: AnyMethod,
    space: TensorsSpace,
    config: object = {},
    seed = 1,
  ) {
    const problem = { space, objectives: [{ name: 'f', direction: 'minimize' as const }] }
    const parsed = parseConfig(method.config, config)
    const issues = [...checkSuitable(method, problem), ...(method.check?.(parsed, problem) ?? [])]
    if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.run = { config: parsed, problem, engine: 'interpreter', memo: new Map() }
    this.state = method.init(this.run, seed)
    this.step([{ type: 'capacity', count: 1 }])
  }
  private step(events: readonly Event[]) {
    const { state, queries, status } = this.method.step(this.run, this.state, events)
    this.state = state
    if (status.phase === 'done') this.done = status.reason
    else [this.query] = queries
  }
  /** The points of the open query. */
  get points(): Tensors[] {
    return this.query.points.map((point) => {
      if (point.kind !== 'tensors') throw new Error('expected tensors')
      return point.tensors
    })
  }
  tell(told: Partial<Observation>): this {
    const observation: Observation = { queryId: this.query.id, status: 'ok', ...told }
    this.step([{ type: 'observation', query: this.query, observation }])
    return this
  }
  restart(): this {
    this.state = decodeTree(encodeTree(this.state))
    return this
  }
  get answer(): Tensors {
    const [{ point }] = this.estimate.points
    if (point.kind !== 'tensors') throw new Error('expected tensors')
    return point.tensors
  }
  get estimate() {
    return this.method.estimate(this.run, this.state)
  }
  get metrics() {
    return this.estimate.metrics ?? {}
  }
}
