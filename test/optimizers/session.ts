/** Drives one gradient method by hand: what the tests of rules, drivers, transforms and schedules share. */
import { type AnyMethod, checkSuitable, type Run } from '../../src/core/method.js'
import type { Observation, Query } from '../../src/core/query.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { FloatArray, Tensors } from '../../src/core/tensor.js'
import { decodeTree, encodeTree } from '../../src/core/tree.js'
import type { GradientState } from '../../src/optimizers/machine.js'

export type Options = {
  config?: object
  engine?: 'interpreter' | 'wasm'
  seed?: number
  direction?: 'minimize' | 'maximize'
  /** What is told beside gradients, where it is asked: the objective, and that of each example. */
  value?: (x: Tensors) => number
  examples?: (x: Tensors) => readonly number[]
}
type Gradient = (x: Tensors, query: Query) => { [name: string]: ArrayLike<number> }

/** A space of f64 vectors with the given start; numbers make a tensor `x` of shape [n]. */
export function vectors(
  initial: readonly number[] | { readonly [name: string]: readonly number[] },
  more: Partial<TensorsSpace> = {},
): TensorsSpace {
  const named = Array.isArray(initial) ? { x: initial as readonly number[] } : (initial as Record<string, number[]>)
  return {
    kind: 'tensors',
    tensors: Object.entries(named).map(([name, values]) => ({ name, shape: [values.length], dtype: 'f64' })),
    initial: Object.fromEntries(Object.entries(named).map(([name, values]) => [name, Float64Array.from(values)])),
    ...more,
  }
}

export class Session {
  readonly run: Run<unknown>
  state: GradientState
  query!: Query
  /** Why it asks no more. */
  done?: string

  constructor(
    readonly method: AnyMethod,
    space: TensorsSpace,
    private readonly options: Options = {},
  ) {
    const { config = {}, engine = 'interpreter', seed = 1, direction = 'minimize' } = options
    const problem: Problem = { space, objectives: [{ name: 'loss', direction }] }
    const parsed = parseConfig(method.config, config)
    const issues = [...checkSuitable(method, problem), ...(method.check?.(parsed, problem) ?? [])]
    if (issues.length > 0) throw new Error(issues.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.run = { config: parsed, problem, engine, memo: new Map() }
    this.state = method.init(this.run, seed)
    this.step([{ type: 'capacity', count: 1 }])
  }

  private step(events: Parameters<AnyMethod['step']>[2]) {
    const { state, queries, status } = this.method.step(this.run, this.state, events)
    this.state = state
    if (status.phase === 'done') {
      this.done = status.reason
      return
    }
    if (queries.length !== 1) throw new Error(`expected one query, got ${queries.length}`)
    this.query = queries[0]
  }

  view(name: string): Tensors {
    return this.method.view!(this.run, this.state, name)
  }
  /** The point of the open query. */
  get asked(): Tensors {
    const [point] = this.query.points
    if (point.kind !== 'view') throw new Error('expected a view')
    return this.view(point.name)
  }
  /** Answers the open query; numbers are the gradient of the tensor `x`. */
  tell(gradient: ArrayLike<number> | { [name: string]: ArrayLike<number> }): this {
    const named = (gradient as ArrayLike<number>).length === undefined ? gradient : { x: gradient }
    const gradients = [
      Object.fromEntries(Object.entries(named).map(([name, g]) => [name, Float64Array.from(g as ArrayLike<number>)])),
    ]
    const wants = (kind: string) => this.query.wants.some((want) => want.kind === kind)
    const { value, examples } = this.options
    const observation: Observation = {
      queryId: this.query.id,
      status: 'ok',
      gradients,
      ...(value && wants('value') ? { values: [[value(this.asked)]] } : {}),
      ...(examples && wants('score') ? { scores: [scoreOf(examples(this.asked))] } : {}),
    }
    this.step([{ type: 'observation', query: this.query, observation }])
    return this
  }
  refuse(status: 'failed' | 'infeasible' | 'cancelled' | 'pruned') {
    this.step([{ type: 'observation', query: this.query, observation: { queryId: this.query.id, status } }])
  }
  /** Answers queries by a function until this many more steps are taken. */
  steps(count: number, gradient: Gradient): this {
    const end = this.state.t + count
    while (this.state.t < end && this.done === undefined) {
      const told = gradient(this.asked, this.query)
      this.tell(told)
    }
    return this
  }
  /** What a restart does: the state goes through bytes, what was derived from it is gone. */
  restart() {
    this.state = decodeTree(encodeTree(this.state as never)) as unknown as GradientState
    ;(this.run.memo as Map<string, unknown>).clear()
  }
  get x(): number[] {
    return Array.from(this.state.x.x as FloatArray)
  }
  get estimate() {
    return this.method.estimate(this.run, this.state)
  }
  /** The estimate's point, as the tensors that its view gives. */
  get answer(): Tensors {
    const [{ point }] = this.estimate.points
    if (point.kind !== 'view') throw new Error('expected a view')
    return this.view(point.name)
  }
  get metrics() {
    return this.estimate.metrics ?? {}
  }
}

const scoreOf = (examples: readonly number[]) => ({
  score: examples.reduce((sum, value) => sum + value, 0) / examples.length,
  examples,
})

/** The gradient of one function of the tensor `x`. */
export const of =
  (gradient: (x: ArrayLike<number>) => ArrayLike<number>): Gradient =>
  ({ x }) => ({ x: gradient(x) })
