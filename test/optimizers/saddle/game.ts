/** Drives a method that asks for gradients at literal tensors. */
import type { AnyMethod, Estimate, Run } from '../../../src/core/method.js'
import type { Event, Observation, Point, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../../src/core/space.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'

/** A space of f64 vectors with the given starts. */
export const players = (starts: { readonly [name: string]: readonly number[] }, more: Partial<TensorsSpace> = {}) =>
  ({
    kind: 'tensors',
    tensors: Object.entries(starts).map(([name, start]) => ({ name, shape: [start.length], dtype: 'f64' })),
    initial: Object.fromEntries(Object.entries(starts).map(([name, start]) => [name, Float64Array.from(start)])),
    ...more,
  }) as TensorsSpace

export const tensorsOf = (point: Point): Tensors => {
  if (point.kind !== 'tensors') throw new Error(`expected tensors, got a ${point.kind} point`)
  return point.tensors
}

export type Told = { gradient: { readonly [name: string]: ArrayLike<number> }; value?: number }
/** Answers a query: the gradient, tensor by tensor. */
export type Operator = (x: Tensors, query: Query) => Told['gradient'] | Told
const isTold = (told: Told['gradient'] | Told): told is Told => 'gradient' in told

export class Game {
  readonly run: Run<unknown>
  state: Tree
  query!: Query

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
    this.run = { config: parsed, problem, engine: 'interpreter', memo: new Map() }
    this.state = method.init(this.run, seed)
    this.step({ type: 'capacity', count: 1 })
  }
  private step(event: Event) {
    const { state, queries } = this.method.step(this.run, this.state, [event])
    this.state = state as Tree
    this.query = queries[0]
  }
  get asked(): Tensors {
    return tensorsOf(this.query.points[0])
  }
  tell(operator: Operator): this {
    const answer = operator(this.asked, this.query)
    const { gradient, value } = isTold(answer) ? answer : { gradient: answer, value: undefined }
    const gradients = [Object.fromEntries(Object.entries(gradient).map(([name, g]) => [name, Float64Array.from(g)]))]
    const observation: Observation = {
      queryId: this.query.id,
      status: 'ok',
      gradients,
      ...(value !== undefined && { values: [[value]] }),
    }
    this.step({ type: 'observation', query: this.query, observation })
    return this
  }
  /** Answers until so many more steps are taken. */
  steps(count: number, operator: Operator): this {
    const end = this.estimate.step + count
    while (this.estimate.step < end) this.tell(operator)
    return this
  }
  restart(): void {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
  }
  get estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  /** The estimate, all tensors one after the other. */
  get x(): number[] {
    return Object.values(tensorsOf(this.estimate.points[0].point)).flatMap((array) => Array.from(array))
  }
  get metrics(): { readonly [name: string]: number } {
    return this.estimate.metrics ?? {}
  }
}

/** min over x, max over y of x*y. */
export const bilinear: Operator = ({ x, y }) => ({ x: y, y: y.map((_, i) => -x[i]) })
