/**
 * Increasing transforms of told values, for models that take them for normal: a huge value, or a long tail, would else take
 * the whole scale.
 *
 * - winsorize: what lies above the upper fence of a box plot, Q3 + 1.5 (Q3 - Q1), counts as the fence: J. W. Tukey,
 *   "Exploratory Data Analysis", 1977. As Ax does it: the side that is minimized stays.
 * - power: I.-K. Yeo, R. A. Johnson, "A New Family of Power Transformations to Improve Normality or Symmetry", Biometrika 87,
 *   2000, its exponent by maximum likelihood; for Bayesian optimization A. I. Cowen-Rivers et al., "HEBO", JAIR 74, 2022, arXiv
 *   2012.03826. It depends on units; theirs are the standard deviation, here they are median and quartiles, which an outlier
 *   leaves alone: J. Raymaekers, P. J. Rousseeuw, "Transforming variables to central normality", Mach. Learn. 2021.
 * - copula: normal quantiles of the ranks: D. Salinas, H. Shen, V. Perrone, "A Quantile-based Approach for Hyperparameter
 *   Transfer Learning", ICML 2020, arXiv 1909.13595; D. Eriksson, M. Poloczek, "Scalable Constrained Bayesian
 *   Optimization", AISTATS 2021, arXiv 2002.08526. Linear between told values and beyond them, so that values told after a
 *   fit have a place too.
 */
import { normalQuantile } from '../zeroth/module-noise.js'
import { type Row, standardization } from './data.js'

export const OUTCOME_TRANSFORMS = ['standardize', 'winsorize', 'power', 'copula'] as const
export type OutcomeTransform = (typeof OUTCOME_TRANSFORMS)[number]

export type Transform = {
  at(y: number): number
  /** Derivative of `at`: what it makes of a small deviation. */
  slope(y: number): number
  inverse(z: number): number
}

const IDENTITY: Transform = { at: (y) => y, slope: () => 1, inverse: (z) => z }
/** Tukey's fence, in distances of the quartiles. */
const FENCE = 1.5
/** Exponents of Yeo and Johnson; symmetric about 1, which changes nothing. */
const EXPONENTS = [-2, 4] as const
/** Standardized values are cut here: their fourth power is finite. */
const LARGEST = 1e75
const clamped = (z: number) => Math.min(Math.max(z, -LARGEST), LARGEST)

/**
 * The transform that this kind is on the evidence of these rows; infeasible ones (NaN) say nothing. Sessions that were stored
 * before there was a choice name no kind.
 */
export function transformOf(kind: OutcomeTransform = 'standardize', rows: readonly Row[] = []): Transform {
  if (kind === 'standardize') return IDENTITY
  const values = Float64Array.from(rows.flatMap(({ value }) => (Number.isNaN(value) ? [] : [value]))).sort()
  if (values.length === 0) return IDENTITY
  return { winsorize, power, copula }[kind](values)
}

/** The rows as the transform has them; told noise follows to first order. */
export function transformed<R extends Row>(rows: readonly R[], { at, slope }: Transform): R[] {
  return rows.map((row) => {
    if (Number.isNaN(row.value)) return row
    return { ...row, value: at(row.value), noise: row.noise && row.noise * slope(row.value) }
  })
}

/** Quartiles of sorted values, both towards their end. */
const quartiles = (sorted: Float64Array) => {
  const last = sorted.length - 1
  return [sorted[Math.floor(last / 4)], sorted[Math.ceil((3 * last) / 4)]] as const
}

function winsorize(sorted: Float64Array): Transform {
  const [lower, upper] = quartiles(sorted)
  if (lower === upper) return IDENTITY
  const fence = upper + 2 * FENCE * (upper / 2 - lower / 2)
  return { ...IDENTITY, at: (y) => Math.min(y, fence) }
}

/** Yeo and Johnson's eq. 2.1 and its inverse; lambda = 2 - lambda mirrors y. */
export function yeoJohnson(lambda: number): Transform {
  const power = (y: number, p: number) => (Math.abs(p) < 1e-9 ? Math.log1p(y) : Math.expm1(p * Math.log1p(y)) / p)
  const root = (z: number, p: number) =>
    Math.abs(p) < 1e-9 ? Math.expm1(z) : Math.expm1(Math.log1p(Math.max(p * z, Number.EPSILON - 1)) / p)
  return {
    at: (y) => (y >= 0 ? power(y, lambda) : -power(-y, 2 - lambda)),
    slope: (y) => Math.exp((lambda - 1) * Math.sign(y) * Math.log1p(Math.abs(y))),
    inverse: (z) => (z >= 0 ? root(z, lambda) : -root(-z, 2 - lambda)),
  }
}

/** Log likelihood of lambda, mean and variance at their best: their eq. 3.1, without constants. */
export function yeoJohnsonLikelihood(values: ArrayLike<number>, lambda: number): number {
  const n = values.length
  const z = Array.from(values, yeoJohnson(lambda).at)
  const mean = z.reduce((sum, v) => sum + v / n, 0)
  const variance = z.reduce((sum, v) => sum + (v - mean) ** 2 / n, 0)
  const jacobian = Array.from(values).reduce((sum, y) => sum + Math.sign(y) * Math.log1p(Math.abs(y)), 0)
  return -0.5 * n * Math.log(variance) + (lambda - 1) * jacobian
}

function power(sorted: Float64Array): Transform {
  if (sorted[0] === sorted[sorted.length - 1]) return IDENTITY
  const center = sorted[Math.floor((sorted.length - 1) / 2)]
  const [lower, upper] = quartiles(sorted)
  const scale = upper / 2 - lower / 2 || standardization([...sorted].map((value) => ({ value }) as Row)).scale
  const scaled = (y: number) => clamped(2 * ((y / 2 - center / 2) / scale))
  const { at, slope, inverse } = yeoJohnson(largest(sorted.map(scaled)))
  return {
    at: (y) => at(scaled(y)),
    slope: (y) => slope(scaled(y)) / scale,
    inverse: (z) => center + scale * inverse(z),
  }
}

/** The exponent of largest likelihood: of a grid, then by golden sections between its neighbours. */
function largest(values: Float64Array): number {
  const [from, to] = EXPONENTS
  const likelihood = (lambda: number) => yeoJohnsonLikelihood(values, lambda)
  const step = 0.25
  let best = from
  for (let lambda = from; lambda <= to; lambda += step) if (likelihood(lambda) > likelihood(best)) best = lambda
  let [low, high] = [Math.max(from, best - step), Math.min(to, best + step)]
  const golden = (Math.sqrt(5) - 1) / 2
  for (let k = 0; k < 24; k++) {
    const [a, b] = [high - golden * (high - low), low + golden * (high - low)]
    if (likelihood(a) > likelihood(b)) high = b
    else low = a
  }
  return (low + high) / 2
}

function copula(sorted: Float64Array): Transform {
  const n = sorted.length
  const knots = [...new Set(sorted)]
  let ranked = 0
  const heights = knots.map((y) => {
    const first = ranked
    while (sorted[ranked] === y) ranked++
    // Equal values share the mean of their ranks, which are i - 1/2 of n.
    return normalQuantile((first + ranked) / (2 * n))
  })
  if (knots.length === 1) return { at: (y) => y - knots[0], slope: () => 1, inverse: (z) => knots[0] + z }
  /** The piece that x lies on, of the line through its ends. */
  const piece = (at: readonly number[], x: number) => {
    let [low, high] = [0, at.length - 1]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (x < at[middle]) high = middle
      else low = middle
    }
    return low
  }
  const line = (from: readonly number[], to: readonly number[], x: number) => {
    const i = piece(from, x)
    const width = from[i + 1] - from[i]
    // Halved where the width is beyond the largest number.
    const share = clamped(
      width < Number.POSITIVE_INFINITY
        ? (x - from[i]) / width
        : (x / 2 - from[i] / 2) / (from[i + 1] / 2 - from[i] / 2),
    )
    return to[i] * (1 - share) + to[i + 1] * share
  }
  return {
    at: (y) => line(knots, heights, y),
    slope: (y) => {
      const i = piece(knots, y)
      return (heights[i + 1] - heights[i]) / (knots[i + 1] - knots[i])
    },
    inverse: (z) => line(heights, knots, z),
  }
}
