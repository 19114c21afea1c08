/** Alternating least squares for factorizations of matrices, with missing entries and a ridge. All matrices are row-major. */
import { choleskyFactor, solveRows } from '../cholesky.js'

/** A matrix to be factored; `mask`, where there is one, is 0 at the entries that are missing. */
export type Target = { rows: number; columns: number; values: Float64Array; mask?: ArrayLike<number> }
/** Left and right factors: rows x rank and rank x columns. */
export type Pair = { left: Float64Array; right: Float64Array; rank: number }

/** A pivot below this share of its diagonal is rounding. */
const ROUNDING = 1e-14

/** The minimizer of |design*w - target|^2 + ridge*|w|^2, the equations added one by one. */
class LeastSquares {
  private readonly gram: Float64Array
  private readonly moments: Float64Array
  constructor(private readonly n: number) {
    this.gram = new Float64Array(n * n)
    this.moments = new Float64Array(n)
  }
  add(design: ArrayLike<number>, target: number) {
    const { n, gram, moments } = this
    for (let a = 0; a < n; a++) {
      moments[a] += design[a] * target
      for (let b = 0; b <= a; b++) gram[a * n + b] += design[a] * design[b]
    }
  }
  solve(ridge: number): Float64Array {
    const { n, gram, moments } = this
    for (let a = 0; a < n; a++) gram[a * n + a] += ridge
    return solveRows(choleskyFactor(gram, n, ROUNDING), n, moments)
  }
}

/**
 * One round of values ~ scale o (left*right): the left factor anew with the right one fixed, then the right one. `scale`
 * multiplies entry by entry; without it, all are 1.
 */
export function alternate({ rows, columns, values, mask }: Target, pair: Pair, ridge: number, scale?: Float64Array) {
  const { left, right, rank } = pair
  const design = new Float64Array(rank)
  const solveEach = (
    count: number,
    others: number,
    at: (k: number, o: number) => number,
    factor: (o: number, r: number) => number,
  ) =>
    Array.from({ length: count }, (_, k) => {
      const squares = new LeastSquares(rank)
      for (let o = 0; o < others; o++) {
        const entry = at(k, o)
        if (mask && mask[entry] === 0) continue
        for (let r = 0; r < rank; r++) design[r] = (scale ? scale[entry] : 1) * factor(o, r)
        squares.add(design, values[entry])
      }
      return squares.solve(ridge)
    })
  solveEach(
    rows,
    columns,
    (i, j) => i * columns + j,
    (j, r) => right[r * columns + j],
  ).forEach((row, i) => void left.set(row, i * rank))
  solveEach(
    columns,
    rows,
    (j, i) => i * columns + j,
    (i, r) => left[i * rank + r],
  ).forEach((column, j) => {
    for (let r = 0; r < rank; r++) right[r * columns + j] = column[r]
  })
}

export function productOf({ left, right, rank }: Pair): Float64Array {
  const [rows, columns] = [left.length / rank, right.length / rank]
  const out = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let r = 0; r < rank; r++)
      for (let j = 0; j < columns; j++) out[i * columns + j] += left[i * rank + r] * right[r * columns + j]
  return out
}

/** A ~ (left1*right1) o (left2*right2): a round of each pair, scaled by the product of the other. */
export function alternateHadamard(target: Target, first: Pair, second: Pair, ridge: number) {
  alternate(target, first, ridge, productOf(second))
  alternate(target, second, ridge, productOf(first))
}

/**
 * Where entry (p, q) of block (i, j) of a matrix of blocks goes when each block becomes a row: sums of Kronecker products
 * become matrices of low rank (Van Loan, Pitsianis 1993). `outer` and `inner` are rows and columns of the two factors.
 */
export function byBlocks(target: Target, outer: readonly number[], inner: readonly number[]): Target {
  const [blocks, entries] = [outer[0] * outer[1], inner[0] * inner[1]]
  const arrange = (from: ArrayLike<number>) => {
    const out = new Float64Array(blocks * entries)
    for (let i = 0; i < outer[0]; i++)
      for (let j = 0; j < outer[1]; j++)
        for (let p = 0; p < inner[0]; p++)
          for (let q = 0; q < inner[1]; q++) {
            const at = (i * inner[0] + p) * target.columns + j * inner[1] + q
            out[(i * outer[1] + j) * entries + p * inner[1] + q] = from[at]
          }
    return out
  }
  const { values, mask } = target
  return { rows: blocks, columns: entries, values: arrange(values), mask: mask && arrange(mask) }
}

/** Column j as a matrix of `height` rows: a column of a Khatri-Rao product is one of rank 1. */
export function columnAs({ rows, columns, values, mask }: Target, j: number, height: number): Target {
  const pick = (from: ArrayLike<number>) => Float64Array.from({ length: rows }, (_, i) => from[i * columns + j])
  return { rows: height, columns: rows / height, values: pick(values), mask: mask && pick(mask) }
}

/** |A - fit| over |A|, of the entries that are there. */
export function relativeError({ values, mask }: Target, fit: ArrayLike<number>): number {
  let [off, all] = [0, 0]
  for (let i = 0; i < values.length; i++) {
    if (mask && mask[i] === 0) continue
    off += (values[i] - fit[i]) ** 2
    all += values[i] ** 2
  }
  return all > 0 ? Math.sqrt(off / all) : 0
}
