/** Plays a method that asks one query at a time against a world. */
import { type AnyMethod, checkSuitable, type Estimate, type Run } from '../../../src/core/method.js'
import type { Event, Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { ItemsSpace, Problem, Space } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

export const items = (features: readonly (readonly number[])[]): ItemsSpace => ({
  kind: 'items',
  items: features.map((row, i) => ({ id: `i${i}`, features: row })),
})
/** The indices of a query's items. */
export const indices = ({ points }: Query): number[] =>
  points.map((point) => (point.kind === 'item' ? Number(point.item.slice(1)) : Number.NaN))
export const purposeOf = ({ purpose }: Query): string => purpose ?? ''

/** Numbers become the only quantity that was asked for, at each point. */
export type Told = number | ArrayLike<number> | Partial<Observation>

export class Session {
  readonly run: Run<unknown>
  state: Tree
  query!: Query
  done?: string

  constructor(
    readonly method: AnyMethod,
    space: Space,
    config: object = {},
    seed = 1,
  ) {
    const problem: Problem = { space, objectives: [{ name: 'cost', direction: 'minimize' }] }
    const parsed = parseConfig(method.config, config)
    const issues = [...checkSuitable(method, problem), ...(method.check?.(parsed, problem) ?? [])]
    if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.run = { config: parsed, problem, engine: 'wasm', memo: new Map() }
    this.state = method.init(this.run, seed)
    this.step({ type: 'capacity', count: 1 })
  }
  private step(event: Event) {
    const { state, queries, status } = this.method.step(this.run, this.state, [event])
    this.state = state as Tree
    if (status.phase === 'done') this.done = status.reason
    else this.query = queries[0]
  }
  tell(told: Told): this {
    const { query } = this
    const [want] = query.wants
    const array = typeof told === 'number' ? [told] : told
    let observation: Observation
    if (!('length' in array)) observation = { queryId: query.id, status: 'ok', ...array }
    else {
      if (want.kind !== 'quantities') throw new Error(`expected quantities, got ${want.kind}`)
      const record = { [want.quantities[0].name]: Float64Array.from(array as ArrayLike<number>) }
      observation = { queryId: query.id, status: 'ok', quantities: query.points.map(() => record) }
    }
    this.step({ type: 'observation', query, observation })
    return this
  }
  restart(): void {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
  }
  get estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  get metrics(): { readonly [name: string]: number } {
    return this.estimate.metrics ?? {}
  }
}
