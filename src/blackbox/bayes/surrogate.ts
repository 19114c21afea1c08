/**
 * A Gaussian process over the unit cube: constant mean, Matérn 5/2 with a length scale per dimension, Gaussian noise.
 * C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, algorithm 2.1; the
 * mean is the generalized least squares estimate (their eq. 2.41 with a flat prior and a constant basis).
 *
 * Unordered dimensions use the Hamming distance. The factor is that of the first `factored` rows, extended row by row:
 * one order of operations whether a model is kept or rebuilt, so the same bits.
 */
import type { Block, Workspace } from '../linalg/linalg.js'

/** Which coordinates of a point differ by distance, and which only by being equal or not. */
export type Dimensions = { ordered: readonly number[]; unordered: readonly number[] }

/**
 * log(1/length^2) for the ordered, then the unordered dimensions, log signal variance, log noise variance; behind them what
 * else a fit has (fit.ts), which a surrogate does not look at.
 */
export type Theta = Float64Array

/** Lower factor of a kernel matrix, packed row by row: what a session keeps between suggestions. */
export type Factor = { rows: number; packed: Float64Array; jitter: number }

/** Added to the diagonal, relative to the signal variance, when a matrix is not numerically definite. */
const JITTERS = [0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1]
/** Pivots of added rows and posterior variances are at least this part of the signal variance. */
const FLOOR = 1e-12
/** Query points per batch: the panels stay in the cache. */
const BATCH = 128

export type Prediction = { mean: number; variance: number; dMean?: Float64Array; dVariance?: Float64Array }

const even = (n: number) => (n + 1) & ~1
/** Start of row i in a packed lower triangle. */
const packedAt = (i: number) => (i * (i + 1)) / 2

export class Surrogate {
  /** Rows in the factor, fantasies among them. */
  rows = 0
  /** The constant mean. */
  mean = 0
  readonly variance: number
  private readonly noise: number
  private readonly order: readonly number[]
  private readonly continuous: number
  private readonly scales: Float64Array
  private readonly ld: number
  private readonly x: Block
  private readonly l: Block
  private readonly alpha: Block
  private readonly weights: Block
  private jitter = 0

  /** Room for `capacity` rows in the workspace's present scope. */
  constructor(
    private readonly workspace: Workspace,
    { ordered, unordered }: Dimensions,
    theta: Theta,
    capacity: number,
  ) {
    const d = ordered.length + unordered.length
    this.order = [...ordered, ...unordered]
    this.continuous = ordered.length
    this.variance = Math.exp(theta[d])
    this.noise = Math.exp(theta[d + 1])
    const weights = theta.slice(0, d).map(Math.exp)
    this.scales = weights.map((w, k) => (k < this.continuous ? Math.sqrt(w) : 1))
    this.ld = even(capacity)
    this.x = workspace.alloc(d * this.ld)
    this.l = workspace.alloc(this.ld * this.ld)
    this.alpha = workspace.alloc(this.ld)
    this.weights = workspace.alloc(d)
    this.weights.view.set(weights)
    this.x.view.fill(0)
  }

  private place(i: number, u: Float64Array) {
    const { view } = this.x
    this.order.forEach((axis, k) => {
      view[k * this.ld + i] = u[axis] * this.scales[k]
    })
  }

  private kernelRows(from: number, to: number) {
    const { x, l, ld, continuous, weights, variance } = this
    this.workspace.kernels.kernelRows(
      from,
      to,
      continuous,
      this.order.length,
      x.pointer,
      ld,
      weights.pointer,
      variance,
      l.pointer,
      ld,
    )
  }

  /** Factors the kernel matrix of these points from nothing; jitter grows until it is definite. */
  factorize(points: readonly Float64Array[], noises: readonly number[]): void {
    const { l, ld, variance, noise, workspace } = this
    points.forEach((u, i) => {
      this.place(i, u)
    })
    for (const jitter of JITTERS) {
      this.kernelRows(0, points.length)
      const { view } = l
      for (let i = 0; i < points.length; i++) view[i * (ld + 1)] += noise + noises[i] + jitter * variance
      this.jitter = jitter
      if (workspace.kernels.cholesky(points.length, l.pointer, ld * 8) === points.length) break
    }
    this.rows = points.length
  }

  /** Takes rows of a kept factor over; `points` are theirs. */
  restore({ rows, packed, jitter }: Factor, points: readonly Float64Array[]): void {
    const { view } = this.l
    for (let i = 0; i < rows; i++) {
      this.place(i, points[i])
      view.set(packed.subarray(packedAt(i), packedAt(i + 1)), i * this.ld)
    }
    this.rows = rows
    this.jitter = jitter
  }

  /** The factor of the rows now in the model; reuses what `kept` holds of it already. */
  save(kept?: Factor): Factor {
    const { rows, jitter } = this
    const { view } = this.l
    let packed = kept?.packed ?? new Float64Array(0)
    if (packed.length < packedAt(rows)) {
      const grown = new Float64Array(packedAt(Math.ceil(rows * 1.1) + 16))
      grown.set(packed)
      packed = grown
    }
    for (let i = kept?.rows ?? 0; i < rows; i++)
      packed.set(view.subarray(i * this.ld, i * this.ld + i + 1), packedAt(i))
    return { rows, packed, jitter }
  }

  /** Adds a row to the factor in O(n^2). */
  extend(u: Float64Array, noise: number): void {
    const { l, ld, rows, variance, jitter, workspace } = this
    const { kernels } = workspace
    const row = l.pointer + rows * ld * 8
    this.place(rows, u)
    this.kernelRows(rows, rows + 1)
    kernels.solveVector(rows, l.pointer, ld * 8, row)
    const pivot = variance * (1 + jitter) + this.noise + noise - kernels.dot(rows, row, row)
    l.view[rows * (ld + 1)] = Math.sqrt(Math.max(pivot, FLOOR * variance))
    this.rows++
  }

  /**
   * Adds a point as if the posterior mean had been observed there (the kriging believer: D. Ginsbourger, R. Le Riche,
   * L. Carraro, "Kriging Is Well-Suited to Parallelize Optimization", 2010). The mean stays; the variance shrinks.
   */
  believe(u: Float64Array): void {
    this.alpha.view[this.rows] = 0
    this.extend(u, 0)
  }

  /** Conditions on the values of all rows. Returns the posterior mean at each. */
  condition(values: readonly number[], noises: readonly number[]): Float64Array {
    const { l, ld, alpha, rows, workspace, noise, jitter, variance } = this
    const { kernels } = workspace
    return workspace.scope(() => {
      const ones = workspace.alloc(ld)
      alpha.view.set(values)
      ones.view.fill(1)
      kernels.solveVector(rows, l.pointer, ld * 8, alpha.pointer)
      kernels.solveVector(rows, l.pointer, ld * 8, ones.pointer)
      this.mean = kernels.dot(rows, ones.pointer, alpha.pointer) / kernels.dot(rows, ones.pointer, ones.pointer)
      const a = alpha.view
      const one = ones.view
      for (let i = 0; i < rows; i++) a[i] -= this.mean * one[i]
      kernels.solveTransposedVector(rows, l.pointer, ld * 8, alpha.pointer)
      // (K + noise) alpha = y - mean, so the posterior mean at the data is y - noise alpha.
      return Float64Array.from(values, (y, i) => y - (noise + noises[i] + jitter * variance) * a[i])
    })
  }

  /** K^-1 (y - mean) of the rows conditioned on. */
  dual(): Float64Array {
    return this.alpha.view.slice(0, this.rows)
  }

  /**
   * One joint draw of the function at the last rows of the factor, given values at the first ones: of L L^T, the covariance of
   * all, the lower right block of L is a factor of the posterior covariance. `normals` has a number for each of the last rows.
   */
  draw(values: readonly number[], normals: Float64Array): Float64Array {
    const { l, ld, rows, workspace } = this
    const { kernels } = workspace
    const n = values.length
    return workspace.scope(() => {
      const [white, ones] = [workspace.alloc(ld), workspace.alloc(ld)]
      white.view.set(values)
      ones.view.fill(1)
      kernels.solveVector(n, l.pointer, ld * 8, white.pointer)
      kernels.solveVector(n, l.pointer, ld * 8, ones.pointer)
      const mean = kernels.dot(n, ones.pointer, white.pointer) / kernels.dot(n, ones.pointer, ones.pointer)
      const [w, one] = [white.view, ones.view]
      for (let i = 0; i < n; i++) w[i] -= mean * one[i]
      w.set(normals, n)
      const row = (i: number) => l.pointer + i * ld * 8
      return Float64Array.from({ length: rows - n }, (_, i) => mean + kernels.dot(n + i + 1, row(n + i), white.pointer))
    })
  }

  /** Posterior mean and variance (of the noiseless value) at points; with gradients in the ordered coordinates. */
  predict(points: readonly Float64Array[], gradients: boolean): Prediction[] {
    const predictions: Prediction[] = []
    for (let from = 0; from < points.length; from += BATCH)
      predictions.push(...this.predictBatch(points.slice(from, from + BATCH), gradients))
    return predictions
  }

  private predictBatch(points: readonly Float64Array[], gradients: boolean): Prediction[] {
    const { workspace, rows: n, ld, continuous, order, scales, variance, mean } = this
    const { kernels } = workspace
    // A multiple of the tile of gemm: no edges.
    const m = (points.length + 3) & ~3
    const d = order.length
    return workspace.scope(() => {
      const q = workspace.alloc(d * m)
      const k = workspace.alloc(n * m)
      const slope = workspace.alloc(n * m)
      const means = workspace.alloc(m)
      const explained = workspace.alloc(m)
      const dMean = workspace.alloc(continuous * m)
      const dExplained = workspace.alloc(continuous * m)
      const [x, l, a, w] = [this.x.pointer, this.l.pointer, this.alpha.pointer, this.weights.pointer]
      const coordinates = q.view
      coordinates.fill(0)
      points.forEach((u, j) => {
        order.forEach((axis, dimension) => {
          coordinates[dimension * m + j] = u[axis] * scales[dimension]
        })
      })
      kernels.crossKernel(n, m, continuous, d, x, ld, q.pointer, w, variance, k.pointer, slope.pointer)
      kernels.weightedRows(n, m, a, k.pointer, means.pointer)
      kernels.solve(n, m, l, ld * 8, 8, k.pointer, m * 8, 8)
      kernels.squaredColumns(n, m, k.pointer, explained.pointer)
      if (gradients) {
        kernels.solveTransposed(n, m, l, ld * 8, k.pointer, m * 8, 8)
        const [dm, de] = [dMean.pointer, dExplained.pointer]
        kernels.crossGradient(n, m, continuous, x, ld, q.pointer, slope.pointer, k.pointer, a, dm, de)
      }
      const [mu, part, gradient, shrink] = [means.view, explained.view, dMean.view, dExplained.view]
      return points.map((u, j) => {
        const left = variance - part[j]
        const prediction = { mean: mean + mu[j], variance: Math.max(left, FLOOR * variance) }
        if (!gradients) return prediction
        const [dm, dv] = [new Float64Array(u.length), new Float64Array(u.length)]
        for (let c = 0; c < continuous; c++) {
          dm[order[c]] = gradient[c * m + j] * scales[c]
          dv[order[c]] = left > FLOOR * variance ? -shrink[c * m + j] * scales[c] : 0
        }
        return { ...prediction, dMean: dm, dVariance: dv }
      })
    })
  }

  /**
   * The log marginal likelihood of `values` under a model just factorized (the constant mean at its best), and its
   * gradient in theta; with `inputs` also its gradient in the ordered coordinates of every point. Uses the factor up.
   */
  likelihood(
    values: readonly number[],
    noises: readonly number[],
    inputs = false,
  ): { value: number; gradient: Float64Array; inputs?: Float64Array[] } {
    const { workspace, rows: n, ld, continuous, order, variance, noise, l, x, alpha, weights } = this
    const { kernels } = workspace
    const d = order.length
    this.condition(values, noises)
    let value = -0.5 * n * Math.log(2 * Math.PI)
    let quadratic = 0
    const [factor, residuals] = [l.view, alpha.view]
    for (let i = 0; i < n; i++) {
      value -= Math.log(factor[i * (ld + 1)])
      quadratic += residuals[i] * (values[i] - this.mean)
    }
    value -= 0.5 * quadratic
    return workspace.scope(() => {
      const [k, row, out] = [workspace.alloc(ld * ld), workspace.alloc(ld + 2), workspace.alloc(d)]
      kernels.inverse(n, l.pointer, ld * 8, k.pointer)
      const [px, pw, pk, pa] = [x.pointer, weights.pointer, k.pointer, alpha.pointer]
      kernels.likelihoodGradient(n, continuous, d, px, ld, pw, variance, pk, ld, pa, row.pointer, out.pointer)
      const gradient = new Float64Array(d + 2)
      gradient.set(out.view)
      const [a, inverse] = [alpha.view, k.view]
      // With G = a a^T - K^-1: tr(G K) = a^T K a - n, less the noise on the diagonal of K.
      let shared = 0
      let told = 0
      for (let i = 0; i < n; i++) {
        const g = a[i] ** 2 - inverse[i * (ld + 1)]
        shared += g
        told += g * noises[i]
      }
      gradient[d] = 0.5 * (quadratic - n - noise * shared - told)
      gradient[d + 1] = 0.5 * noise * shared
      return inputs ? { value, gradient, inputs: this.inputGradient(k) } : { value, gradient }
    })
  }

  /** dL/dx_j = sum_i G_ij dk(x_i, x_j)/dx_j, G = a a^T - K^-1, given the lower half of K^-1. */
  private inputGradient(inverse: Block): Float64Array[] {
    const { workspace, rows: n, ld, continuous, order, scales, variance, x, alpha, weights } = this
    const { kernels } = workspace
    return workspace.scope(() => {
      const [k, slope] = [workspace.alloc(n * ld), workspace.alloc(n * ld)]
      const [mean, explained] = [workspace.alloc(continuous * ld), workspace.alloc(continuous * ld)]
      const full = inverse.view
      for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) full[j * ld + i] = full[i * ld + j]
      const [px, pw, ps] = [x.pointer, weights.pointer, slope.pointer]
      kernels.crossKernel(n, ld, continuous, order.length, px, ld, px, pw, variance, k.pointer, ps)
      const [pm, pe] = [mean.pointer, explained.pointer]
      kernels.crossGradient(n, ld, continuous, px, ld, px, ps, inverse.pointer, alpha.pointer, pm, pe)
      // What predictions call the explained variance is quadratic in k: twice what is wanted here.
      const [a, m, e] = [alpha.view, mean.view, explained.view]
      return Array.from({ length: n }, (_, j) => {
        const gradient = new Float64Array(order.length)
        for (let c = 0; c < continuous; c++) gradient[order[c]] = scales[c] * (a[j] * m[c * ld + j] - e[c * ld + j] / 2)
        return gradient
      })
    })
  }
}
