/** Drives a method that asks for values at tensors. */
import type { AnyMethod, Estimate, Run } from '../../../src/core/method.js'
import type { Event, Observation, Point, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

/** A space of one f64 vector `x` with the given start. */
export const vector = (start: readonly number[], more: Partial<TensorsSpace> = {}): TensorsSpace => ({
  kind: 'tensors',
  tensors: [{ name: 'x', shape: [start.length], dtype: 'f64' }],
  initial: { x: Float64Array.from(start) },
  ...more,
})

export const xOf = (point: Point): Float64Array => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors.x as Float64Array
}

/** The values of a query's points. */
export type Oracle = (query: Query) => readonly number[]
export const of =
  (f: (x: Float64Array) => number): Oracle =>
  ({ points }) =>
    points.map((point) => f(xOf(point)))

export class Session {
  readonly run: Run<unknown>
  state: Tree
  private readonly waiting: Query[] = []

  constructor(
    readonly method: AnyMethod,
    space: TensorsSpace,
    config: object = {},
    seed = 1,
  ) {
    const problem: Problem = { space, objectives: [{ name: 'loss', direction: 'minimize' }] }
    const parsed = parseConfig(method.config, config)
    const issues = method.check?.(parsed, problem) ?? []
    if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.run = { config: parsed, problem, engine: 'wasm', memo: new Map() }
    this.state = method.init(this.run, seed)
  }

  step(...events: Event[]): readonly Query[] {
    const { state, queries } = this.method.step(this.run, this.state, events)
    this.state = state as Tree
    return queries
  }
  /** New queries: those that came with the last answer, if any did. */
  ask(count = 1): readonly Query[] {
    const waiting = this.waiting.splice(0)
    return waiting.length > 0 ? waiting : this.step({ type: 'capacity', count })
  }
  /** Tells values, a status other than ok, or whatever else was wanted. */
  tell(query: Query, told: readonly number[] | Exclude<Observation['status'], 'ok'> | Partial<Observation>): void {
    const observation: Observation =
      typeof told === 'string'
        ? { queryId: query.id, status: told }
        : { queryId: query.id, status: 'ok', ...('map' in told ? { values: told.map((value) => [value]) } : told) }
    this.waiting.push(...this.step({ type: 'observation', query, observation }))
  }
  /** Answers whole rounds, and hands `see` every query of a round once its answers are told. */
  rounds(count: number, oracle: Oracle, see: (queries: readonly Query[]) => void = () => {}): this {
    for (let i = 0; i < count; i++) {
      const queries = this.ask(1_000_000)
      for (const query of queries) this.tell(query, oracle(query))
      see(queries)
    }
    return this
  }
  restart(): void {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
  }
  get estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  get x(): Float64Array {
    return xOf(this.estimate.points[0].point)
  }
  get metrics(): { readonly [name: string]: number } {
    return this.estimate.metrics ?? {}
  }
}
