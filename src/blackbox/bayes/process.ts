/**
 * A Gaussian process conditioned on values and, where told, gradients: exact, for the few hundred rows of expensive
 * problems, with covariances between any two points. (surrogate.ts is the fast one, of values alone.)
 * C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, algorithm 2.1, eq. 5.9.
 */
import { cholesky, dot, inverse, solveLower, solveUpper } from '../linalg/dense.js'
import type { Kernel } from './covariance.js'
import { BOUNDS, logPrior, logRhoPrior, RHO_BOUND, rhoOf } from './fit.js'
import { lbfgs, minimizeTogether, type Sample } from './lbfgs.js'
import { type LengthPrior, ownOf } from './lengths.js'
import type { Theta } from './surrogate.js'
import { combined, type Trend } from './tasks.js'

/** What is known at a point. `noise` is a variance; `gradient` has one number per ordered dimension. */
export type Datum = { u: Float64Array; value: number; noise: number; gradient?: Float64Array }
/** The prior mean: zero, or a constant that is estimated by generalized least squares. */
export type PriorMean = 'zero' | 'constant'

/** A process with drawn values at further points. */
export type Fantasy = { process: Process; values: readonly number[] }

/** Added to the diagonal, relative to it, when a matrix is not numerically definite. */
const JITTERS = [0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1]
/** Posterior variances are at least this part of the prior's. */
const FLOOR = 1e-12
/** Noise of drawn values, as a part of the signal variance: a point may be drawn next to one that is known. */
const FANTASY_NOISE = 1e-10
/** The noise variance of exact observations. */
const LEAST_NOISE = 1e-12

/** The Cholesky factor of a covariance matrix that may be definite only up to rounding. Throws RangeError where it is NaN. */
function factored(k: Float64Array, n: number): Float64Array {
  for (const jitter of JITTERS) {
    const l = k.slice()
    for (let i = 0; i < n; i++) l[i * (n + 1)] *= 1 + jitter
    if (cholesky(l, n)) return l
  }
  throw new RangeError('the covariance matrix is not finite')
}

export class Process {
  /** Prior mean. */
  mean = 0
  readonly size: number
  /** Where each datum begins among the rows. */
  private readonly offsets: number[] = []
  /** Of each row the ordered dimension whose derivative it is; -1 for values. */
  private readonly axes: number[] = []
  private readonly l: Float64Array
  /** Of (K + noise) alpha = y - mean. */
  private readonly alpha: Float64Array
  /** L^-1 (y - mean), then 1 for the trend: the posterior mean is its product with a whitened vector. */
  private readonly whiteResidual: Float64Array
  private readonly residual: Float64Array

  constructor(
    readonly covariance: Kernel,
    readonly data: readonly Datum[],
    prior: PriorMean | { mean: number },
    factor?: Float64Array,
    /** A function that the values lie about, beside the prior mean. */
    private readonly trend?: Trend,
  ) {
    const { ordered } = covariance
    for (const { gradient } of data) {
      this.offsets.push(this.axes.length)
      for (let axis = -1; axis < (gradient ? ordered : 0); axis++) this.axes.push(axis)
    }
    const n = this.axes.length
    this.size = n
    this.l = factor ?? this.factorize()
    const ones = new Float64Array(n)
    const y = new Float64Array(n)
    data.forEach(({ value, gradient }, i) => {
      ones[this.offsets[i]] = 1
      y[this.offsets[i]] = value
      if (gradient) y.set(gradient, this.offsets[i] + 1)
    })
    const trends = trend && this.rowsOf(trend)
    for (let i = 0; trends && i < n; i++) y[i] -= trends[i]
    if (typeof prior === 'object') this.mean = prior.mean
    else if (prior === 'constant' && n > 0) {
      const o = this.solve(ones.slice())
      this.mean = dot(o, y) / dot(o, ones)
    }
    this.residual = y.map((v, i) => v - this.mean * ones[i])
    const white = solveLower(this.l, n, this.residual.slice())
    this.alpha = solveUpper(this.l, n, white.slice())
    this.whiteResidual = new Float64Array(n + 1).fill(1)
    this.whiteResidual.set(white)
  }

  /** What the rows would be if the data were values, and told gradients, of this function. */
  private rowsOf(trend: Trend): Float64Array {
    const { data, offsets, size } = this
    const rows = new Float64Array(size)
    data.forEach(({ u, gradient }, i) => {
      rows[offsets[i]] = trend.value(u)
      if (gradient) rows.set(trend.gradient(u), offsets[i] + 1)
    })
    return rows
  }

  /** Derivative of the log marginal likelihood in a multiple of this function that is in the trend. */
  slopeIn(trend: Trend): number {
    return dot(this.rowsOf(trend), this.alpha)
  }

  private solve(b: Float64Array): Float64Array {
    return solveUpper(this.l, this.size, solveLower(this.l, this.size, b))
  }

  /** The covariance matrix of all rows without noise, or its derivative in the logarithm of weight `l`. */
  private assemble(l = -1): Float64Array {
    const { data, offsets, size, covariance } = this
    const k = new Float64Array(size * size)
    data.forEach((a, i) => {
      for (let j = 0; j <= i; j++) {
        const b = data[j]
        if (!a.gradient && !b.gradient && l < 0) {
          k[offsets[i] * size + offsets[j]] = covariance.value(a.u, b.u)
          k[offsets[j] * size + offsets[i]] = k[offsets[i] * size + offsets[j]]
          continue
        }
        const block = covariance.block(a.u, b.u, !!a.gradient, !!b.gradient, l)
        const columns = b.gradient ? covariance.ordered + 1 : 1
        for (let e = 0; e < block.length; e++) {
          const [row, column] = [offsets[i] + Math.floor(e / columns), offsets[j] + (e % columns)]
          k[row * size + column] = block[e]
          k[column * size + row] = block[e]
        }
      }
    })
    return k
  }

  /** Noise variance of a row; of derivatives it is as much larger as their prior variance is. */
  private noiseOf(row: number): number {
    const { noise, weights } = this.covariance
    return this.axes[row] < 0 ? noise : noise * weights[this.axes[row]]
  }

  private factorize(): Float64Array {
    const { size, data, offsets } = this
    const k = this.assemble()
    for (let i = 0; i < size; i++) k[i * (size + 1)] += this.noiseOf(i)
    data.forEach(({ noise }, i) => {
      k[offsets[i] * (size + 1)] += noise
    })
    return factored(k, size)
  }

  /** Covariances of f(u) with all data, whitened: L^-1 k; behind them the trend at u. What `covary` takes. */
  whiten(u: Float64Array): Float64Array {
    const { size } = this
    const white = new Float64Array(size + 1)
    white.set(this.cross(u))
    white[size] = this.trend?.value(u) ?? 0
    return solveLower(this.l, size, white)
  }

  /** What the data explain of the covariance of two whitened vectors. */
  explained(white: Float64Array, other: Float64Array): number {
    let sum = 0
    for (let i = 0; i < this.size; i++) sum += white[i] * other[i]
    return sum
  }

  private cross(u: Float64Array): Float64Array {
    const { data, offsets, covariance, size } = this
    const k = new Float64Array(size)
    for (let i = 0; i < data.length; i++) {
      if (data[i].gradient) k.set(covariance.block(u, data[i].u, false, true), offsets[i])
      else k[offsets[i]] = covariance.value(u, data[i].u)
    }
    return k
  }

  /** Posterior mean, of the whitened covariances at a point. */
  meanOf(white: Float64Array): number {
    return this.mean + dot(white, this.whiteResidual)
  }

  /** Posterior variance of the noiseless value. */
  varianceOf(white: Float64Array): number {
    const { variance } = this.covariance
    return Math.max(variance - this.explained(white, white), FLOOR * variance)
  }

  at(u: Float64Array): { mean: number; variance: number } {
    const white = this.whiten(u)
    return { mean: this.meanOf(white), variance: this.varianceOf(white) }
  }

  /** Posterior mean and variance of one of the functions whose sum this is, given its covariance. Zero prior mean. */
  partAt(part: Kernel, u: Float64Array): { mean: number; variance: number } {
    const { data, offsets, whiteResidual, l, size } = this
    const k = new Float64Array(size)
    for (let i = 0; i < data.length; i++) k[offsets[i]] = part.value(u, data[i].u)
    const white = solveLower(l, size, k)
    return { mean: dot(white, whiteResidual), variance: part.variance - dot(white, white) }
  }

  /** Posterior covariance of f at two points whose whitened vectors are known. */
  covary(u: Float64Array, white: Float64Array, v: Float64Array, other: Float64Array): number {
    return this.covariance.value(u, v) - this.explained(white, other)
  }

  /**
   * The process as it may be after values at further points: one for each vector of standard normal numbers, in which
   * these values are drawn from the posterior with its noise. They share one factor, and so their variances.
   */
  fantasies(points: readonly Float64Array[], draws: readonly Float64Array[]): Fantasy[] {
    const white = points.map((u) => this.whiten(u))
    const m = points.length
    const c = new Float64Array(m * m)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < m; j++) c[i * m + j] = this.covary(points[i], white[i], points[j], white[j])
    for (let i = 0; i < m; i++) c[i * (m + 1)] += this.covariance.noise + FANTASY_NOISE * this.covariance.variance
    const l = factored(c, m)
    const means = white.map((w) => this.meanOf(w))
    let shared: Float64Array | undefined
    return draws.map((z) => {
      const values = means.map((mean, i) => mean + dot(l.subarray(i * m, i * m + i + 1), z))
      const added = points.map((u, i) => ({ u, value: values[i], noise: FANTASY_NOISE * this.covariance.variance }))
      const process = new Process(this.covariance, [...this.data, ...added], { mean: this.mean }, shared, this.trend)
      shared = process.l
      return { process, values }
    })
  }

  /** Log marginal likelihood (the constant mean at its best) and its gradient in theta. */
  likelihood(): { value: number; gradient: Float64Array } {
    const { size: n, l, alpha, residual, covariance, data, offsets } = this
    let value = -0.5 * n * Math.log(2 * Math.PI) - 0.5 * dot(alpha, residual)
    for (let i = 0; i < n; i++) value -= Math.log(l[i * (n + 1)])
    // dL/dtheta = 1/2 tr(G dK), G = alpha alpha^T - K^-1.
    const g = inverse(l, n)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) g[i * n + j] = alpha[i] * alpha[j] - g[i * n + j]
    const d = covariance.weights.length
    const gradient = new Float64Array(d + 2)
    for (let k = 0; k < d; k++) gradient[k] = 0.5 * dot(g, this.assemble(k))
    let [noise, told] = [0, 0]
    for (let i = 0; i < n; i++) {
      const part = g[i * (n + 1)] * this.noiseOf(i)
      noise += part
      if (this.axes[i] >= 0) gradient[this.axes[i]] += 0.5 * part
    }
    data.forEach((datum, i) => {
      told += g[offsets[i] * (n + 1)] * datum.noise
    })
    gradient[d] = 0.5 * (dot(alpha, residual) - n - noise - told)
    gradient[d + 1] = 0.5 * noise
    return { value, gradient }
  }
}

export type FitOptions = {
  /** The covariance function of hyperparameters laid out as in surrogate.ts. */
  kernel: (theta: Theta) => Kernel
  prior: PriorMean
  maxEvaluations: number
  /** Noise variance that is known; learned when absent. */
  noise?: number
  /** Prior of the lengths; what it has of its own comes last in theta. */
  lengths?: LengthPrior
  /** Earlier tasks, each in units in which its factor rho is a correlation. The factors come before what the lengths have. */
  tasks?: readonly Trend[]
}

/** Hyperparameters of largest posterior density reached from any of the starts (priors of fit.ts). */
export function fitProcess(
  data: readonly Datum[],
  starts: readonly Theta[],
  { kernel, prior, maxEvaluations, noise, lengths = 'optuna', tasks = [] }: FitOptions,
): Theta {
  const d = starts[0].length - 2 - ownOf(lengths) - tasks.length
  const extras = { tasks: tasks.length }
  const evaluate = (theta: Theta): Sample => {
    const rho = rhoOf(theta, d, extras)
    const trend = tasks.length ? combined(tasks, rho) : undefined
    const process = new Process(kernel(theta), data, prior, undefined, trend)
    const { value, gradient: own } = process.likelihood()
    const gradient = new Float64Array(theta.length)
    gradient.set(own)
    const slopes = rhoOf(gradient, d, extras)
    for (const [t, task] of tasks.entries()) slopes[t] += process.slopeIn(task)
    const density = value + logPrior(theta, gradient, d, lengths) + logRhoPrior(rho, slopes)
    return { value: -density, gradient: gradient.map((g) => -g) }
  }
  const bound = (end: 0 | 1) =>
    starts[0].map((_, k) =>
      k === d + 1 && noise !== undefined
        ? Math.log(Math.max(noise, LEAST_NOISE))
        : k >= d + 2 && k < d + 2 + tasks.length
          ? (2 * end - 1) * RHO_BOUND
          : BOUNDS[k === d ? 'signal' : k === d + 1 ? 'noise' : 'weight'][end],
    )
  const [low, high] = [bound(0), bound(1)]
  const options = { maxEvaluations, tolerance: 1e-3, progress: 1e-6, firstStep: 1 }
  const minima = minimizeTogether(
    starts.map((start) => lbfgs(start, low, high, options)),
    (thetas) => thetas.map(evaluate),
  )
  return minima.reduce((best, m) => (m.value < best.value ? m : best)).x
}
