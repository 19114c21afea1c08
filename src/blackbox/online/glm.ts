/**
 * Generalized linear models fitted online: follow the regularized leader, and the metric that its confidence is measured in.
 * The loss of a label y at features x is -y <w, x> + m(<w, x>), with m the log-partition function; its derivative, the
 * mean of y, is the inverse of the link function.
 */
import { choleskyFactor, solveRows } from '../../optimizers/cholesky.js'
import { dot } from '../../optimizers/flat.js'
import { observe, startInverse, times, width } from '../bandits/ridge.js'

export const LINKS = ['identity', 'logistic', 'poisson'] as const
export type Link = (typeof LINKS)[number]

const SIGMOID = (z: number) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)))
const FAMILIES: { [link in Link]: { m(z: number): number; mean(z: number): number; slope(mean: number): number } } = {
  identity: { m: (z) => (z * z) / 2, mean: (z) => z, slope: () => 1 },
  logistic: {
    m: (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
    mean: SIGMOID,
    slope: (mean) => mean * (1 - mean),
  },
  poisson: { m: Math.exp, mean: Math.exp, slope: (mean) => mean },
}

export const meanOf = (link: Link, z: number): number => FAMILIES[link].mean(z)
export const lossOf = (link: Link, z: number, y: number): number => FAMILIES[link].m(z) - y * z

/** Newton steps from the last estimate, when a label has come. */
const NEWTON_STEPS = 5

/** A model and what it has been told; plain data. */
export type Fit = {
  count: number
  w: Float64Array
  /** (lam I + sum c x x')^-1, row-major. */
  inverse: Float64Array
  /** sum c y x. */
  b: Float64Array
  /** Rows [x..., y, c] of models that are not linear, with room at the end. */
  rows: Float64Array
}

export const startFit = (d: number, lam: number): Fit => ({
  count: 0,
  w: new Float64Array(d),
  inverse: startInverse(d, lam),
  b: new Float64Array(d),
  rows: new Float64Array(0),
})

/** Takes a label with weight c, and moves w to the minimum of lam/2 |w|^2 + sum c loss. */
export function addLabel(fit: Fit, link: Link, lam: number, x: Float64Array, y: number, c = 1): void {
  const { inverse, b } = fit
  const d = x.length
  const root = Math.sqrt(c)
  observe(
    inverse,
    x.map((xi) => root * xi),
  )
  for (let i = 0; i < d; i++) b[i] += c * y * x[i]
  if (link !== 'identity') append(fit, x, y, c)
  fit.count++
  if (link === 'identity') fit.w = times(inverse, b)
  else for (let k = 0; k < NEWTON_STEPS; k++) newton(fit, link, lam)
}

function append(fit: Fit, x: Float64Array, y: number, c: number): void {
  const width = x.length + 2
  const at = fit.count * width
  if (at === fit.rows.length) {
    const grown = new Float64Array(Math.max(8 * width, 2 * at))
    grown.set(fit.rows)
    fit.rows = grown
  }
  fit.rows.set(x, at)
  fit.rows.set([y, c], at + x.length)
}

/** lam/2 |w|^2 + sum c loss. */
function objective({ rows, count }: Fit, link: Link, lam: number, w: Float64Array): number {
  const d = w.length
  let sum = (lam / 2) * dot(w, w)
  for (let k = 0, at = 0; k < count; k++, at += d + 2)
    sum += rows[at + d + 1] * lossOf(link, dot(w, rows.subarray(at, at + d)), rows[at + d])
  return sum
}

/** A Newton step, halved until the objective does not rise: exp has no bound. */
function newton(fit: Fit, link: Link, lam: number): void {
  const { w, rows, count } = fit
  const { mean, slope } = FAMILIES[link]
  const d = w.length
  const gradient = w.map((wi) => lam * wi)
  const H = Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? lam : 0))
  for (let k = 0, at = 0; k < count; k++, at += d + 2) {
    const x = rows.subarray(at, at + d)
    const c = rows[at + d + 1]
    const expected = mean(dot(w, x))
    const curvature = c * slope(expected)
    for (let i = 0; i < d; i++) {
      gradient[i] += c * (expected - rows[at + d]) * x[i]
      for (let j = 0; j <= i; j++) H[i * d + j] += curvature * x[i] * x[j]
    }
  }
  const direction = solveRows(choleskyFactor(H, d), d, gradient)
  const before = objective(fit, link, lam, w)
  for (let step = 1; step > 1e-6; step /= 2) {
    const next = w.map((wi, i) => wi - step * direction[i])
    if (objective(fit, link, lam, next) <= before) {
      fit.w = next
      return
    }
  }
}

/** |x| in the metric of the inverse: how uncertain the model is along x. */
export const uncertainty = ({ inverse }: Fit, x: Float64Array): number => width(inverse, x)

/** Of sigma-sub-Gaussian noise: w is within this of the truth in the metric, with probability 1 - failure. */
export function confidenceRadius(
  count: number,
  d: number,
  lam: number,
  width: number,
  sigma: number,
  bound: number,
  failure: number,
): number {
  const volume = d * Math.log(1 + (count * width ** 2) / (lam * d))
  return sigma * Math.sqrt(volume + 2 * Math.log(1 / failure)) + Math.sqrt(lam) * bound
}
