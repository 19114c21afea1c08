/** Drives one gradient method by hand: what the tests of rules, drivers, transforms and schedules share. */
import { type AnyMethod, checkSuitable, type EngineId, type Run } from '../../src/core/method.js'
import type { Observation, Query, WantKind } from '../../src/core/query.js'
import { parseConfig } from '../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../src/core/space.js'
import type { FloatArray, Tensors } from '../../src/core/tensor.js'
import { decodeTree, encodeTree } from '../../src/core/tree.js'
import type { GradientState } from '../../src/optimizers/machine.js'

export type Options = {
  config?: object
  engine?: EngineId
  seed?: number
  direction?: 'minimize' | 'maximize'
  /** What is told beside gradients, where it is asked: the objective, and that of each example. */
  value?: (x: Tensors) => number
  examples?: (x: Tensors) => readonly number[]
  /** What drivers ask beside gradients: a curvature matrix at x times a direction; named arrays at x. */
  product?: (x: Tensors, direction: Tensors, query: Query) => Told
  quantities?: (x: Tensors, query: Query) => Told
}
type Told = { [name: string]: ArrayLike<number> }
type Gradient = (x: Tensors, query: Query) => Told

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
  private get points(): Tensors[] {
    // Notes are no points.
    return this.query.points
      .filter(({ kind }) => kind !== 'text')
      .map((point) => {
        if (point.kind !== 'view') throw new Error('expected a view')
        return this.view(point.name)
      })
  }
  /** The point of the open query. */
  get asked(): Tensors {
    return this.points[0]
  }
  wants(kind: WantKind): boolean {
    return this.query.wants.some((want) => want.kind === kind)
  }
  /** Answers the open query with the gradient at its first point; numbers are that of the tensor `x`. */
  tell(gradient: ArrayLike<number> | Told): this {
    const named = (gradient as ArrayLike<number>).length === undefined ? gradient : { x: gradient }
    return this.observe([named as Told])
  }
  private observe(gradients: readonly Told[]): this {
    const { points } = this
    const [x] = points
    const { value, examples, product, quantities } = this.options
    const observation: Observation = {
      queryId: this.query.id,
      status: 'ok',
      ...(gradients.length > 0 ? { gradients: gradients.map(doubles) } : {}),
      ...(value && this.wants('value') ? { values: points.map((point) => [value(point)]) } : {}),
      ...(examples && this.wants('score') ? { scores: [scoreOf(examples(x))] } : {}),
      ...(product && this.wants('hvp')
        ? { products: points.slice(1).map((direction) => doubles(product(x, direction, this.query))) }
        : {}),
      ...(quantities && this.wants('quantities')
        ? { quantities: points.map((point) => doubles(quantities(point, this.query))) }
        : {}),
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
    while (this.state.t < end && this.done === undefined) this.reply(gradient)
    return this
  }
  /** Answers the open query, whatever it wants, by a function for gradients and the options for the rest. */
  reply(gradient: Gradient): this {
    return this.observe(this.wants('gradient') ? this.points.map((point) => gradient(point, this.query)) : [])
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

const doubles = (told: Told): Tensors =>
  Object.fromEntries(Object.entries(told).map(([name, array]) => [name, new Float64Array(array)]))

const scoreOf = (examples: readonly number[]) => ({
  score: examples.reduce((sum, value) => sum + value, 0) / examples.length,
  examples,
})

/** The gradient of one function of the tensor `x`. */
export const of =
  (gradient: (x: ArrayLike<number>) => ArrayLike<number>): Gradient =>
  ({ x }) => ({ x: gradient(x) })
