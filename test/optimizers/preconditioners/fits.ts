/** What the tests of fitted preconditioners share. */
import { coordinate, norm, plus } from '../../../src/optimizers/flat.js'
import type { Fit, Layout } from '../../../src/optimizers/preconditioners/fitting.js'
import { type FittingName, fittings } from '../../../src/optimizers/preconditioners/index.js'

export type Matrix = readonly Float64Array[]

export const layoutOf = (n: number, more: Partial<Layout> = {}): Layout => ({
  dimension: n,
  sides: [[n, 1]],
  rank: Math.min(10, n),
  maxSide: 1024,
  ...more,
})
export const product = (m: Matrix, x: ArrayLike<number>) =>
  Float64Array.from(m, (row) => row.reduce((sum, value, j) => sum + value * x[j], 0))

/** The columns of P*M. */
export const preconditioned = (name: FittingName, fit: Fit, layout: Layout, m: Matrix): Matrix =>
  m.map((_, i) =>
    fittings[name].apply(
      fit,
      layout,
      Float64Array.from(m, (row) => row[i]),
    ),
  )
/** |P*M - I|, Frobenius. */
export const distance = (name: FittingName, fit: Fit, layout: Layout, m: Matrix): number =>
  Math.hypot(
    ...preconditioned(name, fit, layout, m).map((column, i) => norm(plus(column, -1, coordinate(i, column.length)))),
  )
