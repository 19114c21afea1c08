/** Drives a value method in tests. */
import type { AnyMethod, Estimate, Outcome, Run } from '../../src/core/method.js'
import type { Event, Observation, Query } from '../../src/core/query.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Direction, Parameter, Params, Problem } from '../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../src/core/tree.js'

export type Told = number | Exclude<Observation['status'], 'ok'>

export const searchProblem = (parameters: readonly Parameter[], direction: Direction = 'minimize'): Problem => ({
  space: { kind: 'search', parameters },
  objectives: [{ name: 'f', direction }],
})

export const paramsOf = (query: Query): Params => {
  const [point] = query.points
  if (point.kind !== 'params') throw new Error(`expected params, got ${point.kind}`)
  return point.params
}

export class Driver {
  readonly run: Run<unknown>
  state: Tree
  outcome: Outcome<Tree> | undefined

  constructor(
    readonly method: AnyMethod,
    problem: Problem,
    config: unknown = {},
    seed = 0,
    earlier?: Run<unknown>['earlier'],
  ) {
    this.run = { config: parseConfig(method.config, config), problem, engine: 'interpreter', earlier, memo: new Map() }
    this.state = method.init(this.run, seed)
  }
  step(...events: Event[]): Outcome<Tree> {
    this.outcome = this.method.step(this.run, this.state, events)
    this.state = this.outcome.state
    return this.outcome
  }
  ask(count = 1): readonly Query[] {
    return this.step({ type: 'capacity', count }).queries
  }
  tell(query: Query, told: Told): Outcome<Tree> {
    const observation: Observation =
      typeof told === 'number'
        ? { queryId: query.id, status: 'ok', values: query.points.map(() => [told]) }
        : { queryId: query.id, status: told }
    return this.step({ type: 'observation', query, observation })
  }
  /** Tells a point that was not asked. */
  add(params: Params, told: Told): void {
    this.tell({ id: 'enqueued', points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }, told)
  }
  /** What a restart does: the state through the codec, and an empty memo. */
  restart(): void {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
  }
  /** Asks `width` points at a time and tells them in reverse order; returns the points in the order asked. */
  play(evaluations: number, f: (query: Query) => Told, width = 1): Query[] {
    const asked: Query[] = []
    while (asked.length < evaluations) {
      const queries = this.ask(Math.min(width, evaluations - asked.length))
      if (queries.length === 0) break
      asked.push(...queries)
      for (const query of [...queries].reverse()) this.tell(query, f(query))
    }
    return asked
  }
  estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  best(): number {
    return this.estimate().points[0]?.values?.[0] ?? Number.NaN
  }
}
