/**
 * Momentum in a subspace: Nguyen, Nguyen, "Subset-Norm and Subspace-Momentum: Faster Memory-Efficient Adaptive Optimization
 * with Convergence Guarantees", 2024, algorithm 2. Of every matrix, momentum is kept of the part of the gradient that lies
 * in a subspace of a few dimensions; the rest of the gradient is taken as it is. Other tensors keep all of it.
 */
import { Rng, rngStream } from '../core/rng.js'
import { elements, type TensorSpec } from '../core/tensor.js'
import type { Slots } from './engines/engine.js'
import type { Host } from './gradient.js'
import type { Inputs } from './machine.js'

export type SubspaceConfig = {
  beta1: number
  /** Dimension of the subspace; without it, there is nothing to do. */
  rank?: number
  projection: 'svd' | 'uniform' | 'topk'
  /** Steps from one subspace to the next. */
  updateEvery: number
  keepMomentum: boolean
}

/** Steps of the orthogonal iteration: directions whose singular values differ by a third are told apart to 1e-10. */
const POWER = 30

/**
 * A tensor as a matrix G whose subspace lies along its second axis: the shorter one for singular vectors, the rows of the
 * tensor where rows are chosen.
 */
export function layout({ shape }: TensorSpec, projection: SubspaceConfig['projection']) {
  const last = shape[shape.length - 1]
  const first = elements(shape) / last
  return projection === 'svd' && first >= last
    ? { rows: first, columns: last, at: (i: number, j: number) => i * last + j }
    : { rows: last, columns: first, at: (i: number, j: number) => j * last + i }
}
export type Layout = ReturnType<typeof layout>

const length = (values: Float64Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))

/** Orthonormal rows in place (Gram-Schmidt, twice); a row that depends on those before becomes 0. */
export function orthonormalize(b: Float64Array, r: number, n: number) {
  for (let p = 0; p < r; p++) {
    const row = b.subarray(p * n, (p + 1) * n)
    const start = length(row)
    for (let pass = 0; pass < 2; pass++)
      for (let q = 0; q < p; q++) {
        const other = b.subarray(q * n, (q + 1) * n)
        let along = 0
        for (let j = 0; j < n; j++) along += row[j] * other[j]
        for (let j = 0; j < n; j++) row[j] -= along * other[j]
      }
    const left = length(row)
    const scale = left > 1e-12 * start ? 1 / left : 0
    for (let j = 0; j < n; j++) row[j] *= scale
  }
}

/** G*B', rows by r, of a gradient and the rows of a basis. */
export function into(g: ArrayLike<number>, b: Float64Array, r: number, { rows, columns, at }: Layout): Float64Array {
  const p = new Float64Array(rows * r)
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < r; k++) {
      let sum = 0
      for (let j = 0; j < columns; j++) sum += g[at(i, j)] * b[k * columns + j]
      p[i * r + k] = sum
    }
  return p
}

/** Leading right singular vectors by orthogonal iteration with G'G, as the rows of a basis. */
export function singular(g: ArrayLike<number>, b: Float64Array, r: number, rng: Rng, matrix: Layout) {
  const { rows, columns, at } = matrix
  for (let i = 0; i < b.length; i++) b[i] = rng.normal()
  orthonormalize(b, r, columns)
  for (let power = 0; power < POWER; power++) {
    const p = into(g, b, r, matrix)
    const next = new Float64Array(b.length)
    for (let k = 0; k < r; k++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++) next[k * columns + j] += p[i * r + k] * g[at(i, j)]
    orthonormalize(next, r, columns)
    // Directions that the gradient does not have may stay as they are.
    for (let k = 0; k < r; k++)
      if (next.subarray(k * columns, (k + 1) * columns).some((v) => v !== 0))
        b.set(next.subarray(k * columns, (k + 1) * columns), k * columns)
    orthonormalize(b, r, columns)
  }
}

/** Unit vectors: coordinates at random, or those of the largest norm. */
function coordinates(g: ArrayLike<number>, b: Float64Array, r: number, rng: Rng | undefined, matrix: Layout) {
  const { rows, columns, at } = matrix
  const weight = (j: number) => {
    let sum = 0
    for (let i = 0; i < rows; i++) sum += g[at(i, j)] ** 2
    return sum
  }
  const ranked = Array.from({ length: columns }, (_, j) => ({ j, weight: rng ? rng.uniform() : weight(j) }))
  ranked.sort((a, c) => c.weight - a.weight || a.j - c.j)
  b.fill(0)
  for (let k = 0; k < r; k++) b[k * columns + ranked[k].j] = 1
}

export const subspaceMomentum: Host<SubspaceConfig> = {
  inside: true,
  provides: ({ rank }) => (rank === undefined ? [] : ['momentum']),
  begin({ rank, projection }, { tensors }): Slots {
    if (rank === undefined) return {}
    const arrays = (size: (matrix: Layout, r: number) => number, vector: (n: number) => number) => {
      const entries = tensors.map((tensor) => {
        const { name, shape } = tensor
        const matrix = layout(tensor, projection)
        const count = shape.length < 2 ? vector(elements(shape)) : size(matrix, Math.min(rank, matrix.columns))
        return [name, new Float64Array(count)]
      })
      return Object.fromEntries(entries)
    }
    const momentum = arrays(
      ({ rows }, r) => rows * r,
      (n) => n,
    )
    const basis = arrays(
      ({ columns }, r) => columns * r,
      () => 0,
    )
    return { momentum, basis }
  },
  inputs({ rank, beta1, projection, updateEvery, keepMomentum }, { tensors }, { gradient, kept, t, seed }): Inputs {
    if (rank === undefined) return {}
    const momentum = tensors.map((tensor) => {
      const { name, shape } = tensor
      const g = gradient[name]
      const m = kept.momentum[name]
      if (shape.length < 2) {
        for (let i = 0; i < m.length; i++) m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        return [name, m]
      }
      const b = kept.basis[name] as Float64Array
      const matrix = layout(tensor, projection)
      const r = Math.min(rank, matrix.columns)
      if ((t - 1) % updateEvery === 0) {
        const rng = new Rng(rngStream(seed, name))
        if (projection === 'svd') singular(g, b, r, rng, matrix)
        else coordinates(g, b, r, projection === 'uniform' ? rng : undefined, matrix)
        if (!keepMomentum) m.fill(0)
      }
      const p = into(g, b, r, matrix)
      // back(m) + (g - back(p)): by what m and p differ goes back.
      for (let i = 0; i < m.length; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * p[i]
        p[i] = m[i] - p[i]
      }
      const out = Float64Array.from(g)
      const { rows, columns, at } = matrix
      for (let i = 0; i < rows; i++)
        for (let k = 0; k < r; k++) for (let j = 0; j < columns; j++) out[at(i, j)] += p[i * r + k] * b[k * columns + j]
      return [name, out]
    })
    return { momentum: Object.fromEntries(momentum) }
  },
}
