/**
 * A fit per tensor, P = (Q2'Q2) x (Q1'Q1), with triangles Q1 over its first axis and Q2 over the others: P*G is
 * Q1'Q1 G Q2'Q2. Of a vector, Q2 is a number. Sides above a limit have a diagonal in place of a triangle.
 */
import { norm } from '../flat.js'
import { scaledIdentity, solveTransposedTriangle, solveTriangle, times, timesTransposed } from './dense.js'
import type { Fit, Fitting, Layout } from './fitting.js'

/** One side of a product: how its factor acts on vectors, and how it takes a step. */
type Side = {
  times(q: Float64Array, x: Float64Array): Float64Array
  timesTransposed(q: Float64Array, x: Float64Array): Float64Array
  solve(q: Float64Array, x: Float64Array): Float64Array
  solveTransposed(q: Float64Array, x: Float64Array): Float64Array
  /** q - mu*part(X X' - Y Y')*q/|X X' + Y Y'|, the columns of X and Y given. */
  step(q: Float64Array, X: readonly Float64Array[], Y: readonly Float64Array[], mu: number): void
}

const byElement = (q: Float64Array, x: Float64Array) => x.map((xi, i) => q[i] * xi)
const overElement = (q: Float64Array, x: Float64Array) => x.map((xi, i) => xi / q[i])
const diagonalSide: Side = {
  times: byElement,
  timesTransposed: byElement,
  solve: overElement,
  solveTransposed: overElement,
  step(q, X, Y, mu) {
    const squares = (of: readonly Float64Array[]) => q.map((_, i) => of.reduce((sum, x) => sum + x[i] ** 2, 0))
    const [a, b] = [squares(X), squares(Y)]
    const weight = mu / a.reduce((most, ai, i) => Math.max(most, ai + b[i]), 0)
    if (!Number.isFinite(weight)) return
    for (let i = 0; i < q.length; i++) q[i] -= weight * (a[i] - b[i]) * q[i]
  },
}

const triangularSide: Side = {
  times,
  timesTransposed,
  solve: solveTriangle,
  solveTransposed: solveTransposedTriangle,
  step(q, X, Y, mu) {
    const n = Math.sqrt(q.length)
    const gram = (of: readonly Float64Array[]) => {
      const m = new Float64Array(n * n)
      for (const x of of) for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) m[i * n + j] += x[i] * x[j]
      return m
    }
    const [A, B] = [gram(X), gram(Y)]
    const weight = mu / norm(A.map((a, i) => a + B[i]))
    if (!Number.isFinite(weight)) return
    // Row i of triu(A - B)*q needs the rows of q from i on, as they were.
    for (let i = 0; i < n; i++) {
      const change = new Float64Array(n)
      for (let k = i; k < n; k++) {
        const factor = weight * (A[i * n + k] - B[i * n + k])
        for (let j = k; j < n; j++) change[j] += factor * q[k * n + j]
      }
      for (let j = i; j < n; j++) q[i * n + j] -= change[j]
    }
  },
}

type Sides = { rows: number; columns: number; from: number; left: Side; right: Side; names: readonly [string, string] }
function sidesOf({ sides, maxSide }: Layout): Sides[] {
  let from = 0
  const side = (n: number) => (n > maxSide ? diagonalSide : triangularSide)
  return sides.map(([rows, columns], k) => {
    const names = [`left${k}`, `right${k}`] as const
    const found = { rows, columns, from, left: side(rows), right: side(columns), names }
    from += rows * columns
    return found
  })
}

const elementsOf = (n: number, { maxSide }: Layout) => (n > maxSide ? n : n * n)

const columnsOf = (m: Float64Array, rows: number, columns: number) =>
  Array.from({ length: columns }, (_, j) => Float64Array.from({ length: rows }, (_, i) => m[i * columns + j]))
const rowsOf = (m: Float64Array, rows: number, columns: number) =>
  Array.from({ length: rows }, (_, i) => m.slice(i * columns, (i + 1) * columns))
/** The matrix whose columns are these. */
const joined = (columns: readonly Float64Array[]): Float64Array =>
  Float64Array.from({ length: columns.length * columns[0].length }, (_, at) => {
    return columns[at % columns.length][Math.floor(at / columns.length)]
  })

/** Left and right factors act on columns and rows in turn. */
function both(
  { rows, columns }: Sides,
  m: Float64Array,
  left: (column: Float64Array) => Float64Array,
  right: (row: Float64Array) => Float64Array,
): Float64Array {
  const half = joined(columnsOf(m, rows, columns).map(left))
  const out = new Float64Array(m.length)
  rowsOf(half, rows, columns).forEach((row, i) => {
    out.set(right(row), i * columns)
  })
  return out
}

/** Applies a function of factors to each tensor of a vector. */
function eachTensor(
  fit: Fit,
  layout: Layout,
  x: Float64Array,
  act: (sides: Sides, m: Float64Array, q1: Float64Array, q2: Float64Array) => Float64Array,
): Float64Array {
  const out = new Float64Array(x.length)
  for (const sides of sidesOf(layout)) {
    const m = x.subarray(sides.from, sides.from + sides.rows * sides.columns)
    out.set(act(sides, m, fit[sides.names[0]], fit[sides.names[1]]), sides.from)
  }
  return out
}

export const kronecker: Fitting = {
  equations: [
    String.raw`A = Q_1 H Q_2^\top,\quad B = Q_2^{-\top} V^\top Q_1^{-1},\quad Q_1 \leftarrow Q_1 - \mu \frac{\mathrm{triu}(A A^\top - B^\top B)}{\|A A^\top + B^\top B\|} Q_1,\quad Q_2 \leftarrow Q_2 - \mu \frac{\mathrm{triu}(A^\top A - B B^\top)}{\|A^\top A + B B^\top\|} Q_2`,
  ],
  size: (layout) =>
    layout.sides.reduce((sum, [rows, columns]) => sum + elementsOf(rows, layout) + elementsOf(columns, layout), 0),
  begin(layout, scale) {
    const fit: Fit = {}
    const factor = (n: number) => {
      const root = Math.sqrt(scale)
      return n > layout.maxSide ? new Float64Array(n).fill(root) : scaledIdentity(n, root)
    }
    for (const { rows, columns, names } of sidesOf(layout)) {
      fit[names[0]] = factor(rows)
      fit[names[1]] = factor(columns)
    }
    return fit
  },
  learn(fit, layout, { v, h }, mu) {
    for (const sides of sidesOf(layout)) {
      const { rows, columns, from, left, right, names } = sides
      const [q1, q2] = [fit[names[0]], fit[names[1]]]
      const part = (x: Float64Array) => x.subarray(from, from + rows * columns)
      const along = (x: Float64Array) => right.times(q2, x)
      const A = both(sides, part(h), (x) => left.times(q1, x), along)
      // The transpose of B = Q2^-T V' Q1^-1.
      const against = (x: Float64Array) => right.solveTransposed(q2, x)
      const B = both(sides, part(v), (x) => left.solveTransposed(q1, x), against)
      left.step(q1, columnsOf(A, rows, columns), columnsOf(B, rows, columns), mu)
      right.step(q2, rowsOf(A, rows, columns), rowsOf(B, rows, columns), mu)
    }
  },
  apply: (fit, layout, g) =>
    eachTensor(fit, layout, g, (sides, m, q1, q2) =>
      both(
        sides,
        m,
        (x) => sides.left.timesTransposed(q1, sides.left.times(q1, x)),
        (x) => sides.right.timesTransposed(q2, sides.right.times(q2, x)),
      ),
    ),
  invert: (fit, layout, v) =>
    eachTensor(fit, layout, v, (sides, m, q1, q2) =>
      both(
        sides,
        m,
        (x) => sides.left.solve(q1, sides.left.solveTransposed(q1, x)),
        (x) => sides.right.solve(q2, sides.right.solveTransposed(q2, x)),
      ),
    ),
}
