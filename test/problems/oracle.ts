/** Turns a plain function into an oracle that answers a method's queries. */
import { SeededIterate } from '../../clients/typescript/src/seeded.js'
import type { Estimate } from '../../src/core/method.js'
import type {
  Curvature,
  Observation,
  Point,
  Quantity,
  Query,
  Score,
  Terms,
  Want,
  WantKind,
} from '../../src/core/query.js'
import type { Problem } from '../../src/core/space.js'
import { type Dtype, elements, type FloatArray, type Tensors } from '../../src/core/tensor.js'

/** Resolves a point of kind `view`; a method's `view` hook bound to its state. */
export type ResolveView = (name: string) => Tensors

/** A problem with a known solution and a deterministic oracle. */
export type TestProblem = {
  name: string
  problem: Problem
  /** Kinds of want that `answer` answers. */
  offers: readonly WantKind[]
  /** The true observation of a query, status ok. Throws when the query wants what the problem does not offer. */
  answer(query: Query, view: ResolveView): Observation
  /** The true objective at the first point of an estimate; NaN while it is empty. */
  value(estimate: Estimate, view: ResolveView): number
  /** The best that `value` can be. */
  optimum: number
}

type Completion = Extract<Want, { kind: 'completion' }>

/** What a problem is made of. Each function gets points with views already resolved to literal tensors. */
export type Definition = {
  problem: Problem
  optimum: number
  objective: (point: Point) => number
  /** All values at a point, where there are several objectives. */
  objectives?: (point: Point) => readonly number[]
  /** Values of outcome constraints at a point; <= 0 is feasible. */
  constraints?: (point: Point) => readonly number[]
  /** What estimates are judged by, where that is not the objective: a game's distance to its saddle. */
  judge?: (point: Point) => number
  /** What is judged of an estimate's numbers, where its points say nothing: what a player of rounds has paid. */
  assess?: (estimate: Estimate) => number
  gradient?: (point: Point) => Tensors
  /** The dense curvature matrices at a point, row-major. */
  curvature?: { readonly [kind in Curvature]?: (point: Point) => Float64Array }
  /** Further arrays by name, beside "hessian", which is the curvature of that name. */
  quantities?: { readonly [name: string]: (point: Point, quantity: Quantity, query: Query) => FloatArray }
  terms?: (point: Point) => Terms
  score?: (point: Point, examples?: readonly number[]) => Score
  complete?: (want: Completion) => readonly string[]
  offers: readonly WantKind[]
}

export type ProblemOptions = {
  /** Moves the whole problem (start, bounds and solution) by this much in every coordinate. */
  shift?: number
  /** Passes every told value, and the values behind rankings, through this function. */
  transform?: (value: number) => number
  /** Multiplies every told gradient. */
  gradientScale?: number
  /** Type of all tensors, in place of the problem's own. */
  dtype?: Dtype
}

/** Groups of equal values, least first (greatest first when maximizing), as an observation's ranking wants them. */
export function rankingOf(values: readonly number[], maximize: boolean, top: number): number[][] {
  const sign = maximize ? -1 : 1
  const order = values.map((_, i) => i).sort((a, b) => sign * (values[a] - values[b]) || a - b)
  const groups: number[][] = []
  let listed = 0
  for (const i of order) {
    const last = groups.at(-1)
    if (last && values[last[0]] === values[i]) last.push(i)
    else if (listed >= top) break
    else groups.push([i])
    listed++
  }
  return groups
}

/** The same problem, its tensors and start of another type. */
function retyped(problem: Problem, dtype: Dtype): Problem {
  const { space } = problem
  if (space.kind !== 'tensors') return problem
  const start = (x: FloatArray) => (dtype === 'f64' ? Float64Array.from(x) : Float32Array.from(x))
  const initial = Object.entries(space.initial ?? {}).map(([key, x]) => [key, start(x)])
  const tensors = space.tensors.map((spec) => ({ ...spec, dtype }))
  return { ...problem, space: { ...space, tensors, initial: Object.fromEntries(initial) } }
}

/** The inner product of a gradient and a direction. */
function along(gradient: Tensors, direction: Point): number {
  if (direction.kind !== 'tensors') throw new Error(`expected tensors, got a ${direction.kind} point`)
  let sum = 0
  for (const [name, g] of Object.entries(gradient))
    for (let i = 0; i < g.length; i++) sum += g[i] * direction.tensors[name][i]
  return sum
}

/** A matrix in the order of the space times a direction. */
function timesDirection(matrix: Float64Array, { space }: Problem, direction: Point): Tensors {
  if (direction.kind !== 'tensors' || space.kind !== 'tensors') throw new Error('a direction has tensors')
  const { tensors } = direction
  const v = space.tensors.flatMap(({ name }) => Array.from(tensors[name]))
  let row = 0
  const product = () => v.reduce((sum, x, j) => sum + matrix[row * v.length + j] * x, 0)
  return Object.fromEntries(
    space.tensors.map(({ name }) => [
      name,
      tensors[name].map(() => {
        const value = product()
        row++
        return value
      }),
    ]),
  )
}

export function testProblem(name: string, definition: Definition, options: ProblemOptions): TestProblem {
  const problem = options.dtype ? retyped(definition.problem, options.dtype) : definition.problem
  const { objective, judge, gradient, terms, score, complete, offers, optimum, curvature } = definition
  const told = options.transform ?? ((value: number) => value)
  const scale = options.gradientScale ?? 1
  const maximize = problem.objectives[0].direction === 'maximize'
  /** Of seeds, what a client makes whose iterate is that of the method. */
  const resolve = (point: Point, view: ResolveView): Point => {
    if (point.kind === 'view') return { kind: 'tensors', tensors: view(point.name) }
    if (point.kind !== 'seeded') return point
    const { move, alone = false } = point
    return { kind: 'tensors', tensors: new SeededIterate(view('x')).at({ seeded: { move, alone } }) }
  }

  const scaled = (tensors: Tensors): Tensors => {
    if (scale === 1) return tensors
    return Object.fromEntries(Object.entries(tensors).map(([key, array]) => [key, array.map((x) => x * scale)]))
  }

  const matrixAt = (kind: Curvature, point: Point): Float64Array => {
    const matrix = curvature?.[kind]
    if (!matrix) throw new Error(`problem ${name} has no ${kind} matrix`)
    return matrix(point).map((x) => x * scale)
  }
  const quantityAt = (quantity: Quantity, point: Point, query: Query): FloatArray => {
    const of = definition.quantities?.[quantity.name]
    if (!of && quantity.name !== 'hessian') throw new Error(`problem ${name} has no quantity ${quantity.name}`)
    const array = of ? of(point, quantity, query) : matrixAt('hessian', point)
    const unit = elements(quantity.shape.filter((length) => length !== -1))
    if (quantity.shape.includes(-1) ? array.length % unit : array.length !== unit)
      throw new Error(`${quantity.name}: expected the shape [${quantity.shape}], got ${array.length} elements`)
    return array
  }

  return {
    name,
    problem,
    offers,
    optimum,
    answer(query, view) {
      const points = query.points.map((point) => resolve(point, view))
      let observation: Observation = { queryId: query.id, status: 'ok' }
      for (const want of query.wants) {
        if (!offers.includes(want.kind)) throw new Error(`problem ${name} does not answer ${want.kind} queries`)
        if (want.kind === 'value')
          observation = {
            ...observation,
            values: points.map((p) => (definition.objectives?.(p) ?? [objective(p)]).map(told)),
            ...(definition.constraints && { constraints: points.map(definition.constraints) }),
          }
        else if (want.kind === 'gradient')
          observation = { ...observation, gradients: points.map((p) => scaled(gradient!(p))) }
        else if (want.kind === 'ranking') {
          const values = points.map((p) => told(objective(p)))
          observation = { ...observation, ranking: rankingOf(values, maximize, want.top) }
        } else if (want.kind === 'score')
          observation = { ...observation, scores: points.map((p) => score!(p, want.examples)) }
        else if (want.kind === 'directional')
          observation = { ...observation, derivatives: points.slice(1).map((u) => along(gradient!(points[0]), u)) }
        else if (want.kind === 'terms') observation = { ...observation, terms: points.map((p) => terms!(p)) }
        else if (want.kind === 'hvp') {
          const matrix = matrixAt(want.curvature, points[0])
          observation = { ...observation, products: points.slice(1).map((v) => timesDirection(matrix, problem, v)) }
        } else if (want.kind === 'quantities') {
          const record = (p: Point) =>
            want.quantities.map((quantity) => [quantity.name, quantityAt(quantity, p, query)])
          // A text point elsewhere than in a space of text is a note.
          const places = points.filter(({ kind }) => kind !== 'text' || problem.space.kind === 'text')
          observation = { ...observation, quantities: places.map((p) => Object.fromEntries(record(p))) }
        } else observation = { ...observation, completions: complete!(want), usage: { calls: want.count } }
      }
      return observation
    },
    value(estimate, view) {
      if (definition.assess) return definition.assess(estimate)
      const [first] = estimate.points
      return first ? (judge ?? objective)(resolve(first.point, view)) : Number.NaN
    },
  }
}
