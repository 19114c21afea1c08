/** Drives a method that asks for values, gradients and curvature, on a function that is known by all of them. */
import type { AnyMethod, Estimate, Run } from '../../../src/core/method.js'
import type { Event, Observation, Query } from '../../../src/core/query.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Direction, Problem } from '../../../src/core/space.js'
import { decodeTree, encodeTree, type Tree } from '../../../src/core/tree.js'
import { tensorsOf } from '../saddle/game.js'

export type Vector = ArrayLike<number>
/** A function of one tensor x, its gradient, and its dense Hessian (row-major); `query` tells the sample and the purpose. */
export type Smooth = {
  value(x: Vector, query: Query): number
  gradient(x: Vector, query: Query): Vector
  hessian(x: Vector, query: Query): Vector
  /** Other quantities by name. */
  quantities?: { readonly [name: string]: (x: Vector, query: Query) => Vector }
  /** Products with another matrix than the Hessian. */
  product?(x: Vector, v: Vector, query: Query): Vector
}

export const multiply = (matrix: Vector, v: Vector): Float64Array =>
  Float64Array.from({ length: v.length }, (_, i) =>
    Array.from(v).reduce((sum, value, j) => sum + matrix[i * v.length + j] * value, 0),
  )

export function answer(smooth: Smooth, query: Query): Observation {
  const points = query.points.map((point) => tensorsOf(point).x)
  const told: { -readonly [K in keyof Observation]: Observation[K] } = { queryId: query.id, status: 'ok' }
  for (const want of query.wants)
    if (want.kind === 'value') told.values = points.map((x) => [smooth.value(x, query)])
    else if (want.kind === 'gradient')
      told.gradients = points.map((x) => ({ x: Float64Array.from(smooth.gradient(x, query)) }))
    else if (want.kind === 'hvp')
      told.products = points.slice(1).map((v) => ({
        x: Float64Array.from(smooth.product?.(points[0], v, query) ?? multiply(smooth.hessian(points[0], query), v)),
      }))
    else if (want.kind === 'quantities')
      told.quantities = points.map((x) =>
        Object.fromEntries(
          want.quantities.map(({ name }) => [
            name,
            Float64Array.from((smooth.quantities?.[name] ?? smooth.hessian.bind(smooth))(x, query)),
          ]),
        ),
      )
    else throw new Error(`no answer to a ${want.kind}`)
  return told
}

export class Newton {
  readonly run: Run<unknown>
  state: Tree
  query: Query | undefined
  done: string | undefined
  /** Points at which something was told, by the kind of want. */
  readonly told: { [kind: string]: number } = {}

  constructor(
    readonly method: AnyMethod,
    start: Vector,
    config: object,
    readonly smooth: Smooth,
    { seed = 1, direction = 'minimize' as Direction } = {},
  ) {
    const problem: Problem = {
      space: {
        kind: 'tensors',
        tensors: [{ name: 'x', shape: [start.length], dtype: 'f64' }],
        initial: { x: Float64Array.from(start) },
      },
      objectives: [{ name: 'loss', direction }],
    }
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
    if (status.phase === 'done') this.done = status.reason
  }
  tell(): this {
    const query = this.query!
    const observation = answer(this.smooth, query)
    for (const { kind } of query.wants) this.told[kind] = (this.told[kind] ?? 0) + query.points.length
    this.step({ type: 'observation', query, observation })
    return this
  }
  /** Answers until so many more steps are taken, or the method is done. */
  steps(count: number): this {
    const end = this.estimate.step + count
    while (!this.done && this.estimate.step < end) this.tell()
    return this
  }
  restart(): this {
    this.state = decodeTree(encodeTree(this.state))
    this.run.memo.clear()
    return this
  }
  get estimate(): Estimate {
    return this.method.estimate(this.run, this.state)
  }
  get x(): number[] {
    return Array.from(tensorsOf(this.estimate.points[0].point).x)
  }
  get metrics(): { readonly [name: string]: number } {
    return this.estimate.metrics ?? {}
  }
}
