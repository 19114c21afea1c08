/** Fits of whole matrices: n^2 numbers and operations per pair. */
import { dot } from '../flat.js'
import { matrixOf, radius, spectrumOf } from '../second-order/spectrum.js'
import {
  type Correction,
  correct,
  inverse,
  scaledIdentity,
  solveTransposedTriangle,
  solveTriangle,
  times,
  timesTransposed,
} from './dense.js'
import type { Fit, Fitting } from './fitting.js'

const square = ({ dimension }: { dimension: number }) => dimension ** 2

/** Corrects a matrix and its inverse, which is computed anew before its rounding errors add up. */
function correctBoth(fit: Fit, matrix: string, correction: Correction) {
  const n = correction.W[0].length
  correct(fit[matrix], fit.inverse, correction)
  if (++fit.age[0] < Math.max(n, 20)) return
  fit.inverse = inverse(fit[matrix], n)
  fit.age[0] = 0
}
const withInverse = (name: string, n: number, scale: number): Fit => ({
  [name]: scaledIdentity(n, scale),
  inverse: scaledIdentity(n, 1 / scale),
  age: new Float64Array(1),
})

/** Li 2024, table II: P = Q'Q with Q in GL(n), multiplied by I - mu*(a a' - b b')/(|a|^2 + |b|^2). */
export const generalLinear: Fitting = {
  equations: [
    String.raw`a = Q h,\quad b = Q^{-\top} v,\quad Q \leftarrow Q - \mu \frac{a a^\top - b b^\top}{\|a\|^2 + \|b\|^2} Q`,
  ],
  size: (layout) => 2 * square(layout),
  begin: ({ dimension }, scale) => withInverse('Q', dimension, scale),
  learn(fit, _, { v, h }, mu) {
    const [a, b] = [times(fit.Q, h), timesTransposed(fit.inverse, v)]
    const weight = mu / (dot(a, a) + dot(b, b))
    if (!Number.isFinite(weight)) return
    const Z = [timesTransposed(fit.Q, a), timesTransposed(fit.Q, b)] as const
    correctBoth(fit, 'Q', { W: [a, b], C: [-weight, 0, 0, weight], Z })
  },
  apply: ({ Q }, _, g) => timesTransposed(Q, times(Q, g)),
  invert: (fit, _, v) => times(fit.inverse, timesTransposed(fit.inverse, v)),
}

/** The same with Q an upper triangle, and the upper triangle of a a' - b b'. */
export const triangular: Fitting = {
  equations: [
    String.raw`a = Q h,\quad b = Q^{-\top} v,\quad Q \leftarrow Q - \mu \frac{\mathrm{triu}(a a^\top - b b^\top)}{\|a\|^2 + \|b\|^2} Q`,
  ],
  size: square,
  begin: ({ dimension }, scale) => ({ Q: scaledIdentity(dimension, scale) }),
  learn({ Q }, { dimension: n }, { v, h }, mu) {
    const [a, b] = [times(Q, h), solveTransposedTriangle(Q, v)]
    const weight = mu / (dot(a, a) + dot(b, b))
    if (!Number.isFinite(weight)) return
    multiplyTriangle(Q, n, (i) => [weight * a[i], a[i], weight * b[i], b[i]])
  },
  apply: ({ Q }, _, g) => timesTransposed(Q, times(Q, g)),
  invert: ({ Q }, _, v) => solveTriangle(Q, solveTransposedTriangle(Q, v)),
}

/** Q becomes Q - triu(p a' - q b')*Q, from the last row up: each row needs those below as they were. */
function multiplyTriangle(Q: Float64Array, n: number, of: (i: number) => readonly [number, number, number, number]) {
  const [alongA, alongB] = [new Float64Array(n), new Float64Array(n)]
  for (let i = n - 1; i >= 0; i--) {
    const [p, a, q, b] = of(i)
    for (let j = i; j < n; j++) {
      alongA[j] += a * Q[i * n + j]
      alongB[j] += b * Q[i * n + j]
      Q[i * n + j] -= p * alongA[j] - q * alongB[j]
    }
  }
}

/** Fits of P itself, by a symmetric correction of two vectors; undefined where a pair says nothing. */
type Symmetric = (
  pair: { v: Float64Array; h: Float64Array },
  Ph: Float64Array,
  iPv: Float64Array,
  inverse: Float64Array,
  mu: number,
) => { W: Correction['W']; C: Correction['C'] } | undefined

const symmetric = (equation: string, correction: Symmetric): Fitting => ({
  equations: [equation],
  size: (layout) => 2 * square(layout),
  begin: ({ dimension }, scale) => withInverse('P', dimension, scale ** 2),
  learn(fit, _, pair, mu) {
    const found = correction(pair, times(fit.P, pair.h), times(fit.inverse, pair.v), fit.inverse, mu)
    if (found?.C.every(Number.isFinite)) correctBoth(fit, 'P', { ...found, Z: found.W })
  },
  apply: ({ P }, _, g) => times(P, g),
  invert: (fit, _, v) => times(fit.inverse, v),
})

/** On the manifold of symmetric positive matrices: P - mu*(P h h'P - v v')/(h'P h + v'P^-1 v). */
export const positive = symmetric(
  String.raw`P \leftarrow P - \mu \frac{P h h^\top P - v v^\top}{h^\top P h + v^\top P^{-1} v}`,
  ({ v, h }, Ph, iPv, _, mu) => {
    const weight = mu / (dot(h, Ph) + dot(v, iPv))
    return { W: [Ph, v], C: [-weight, 0, 0, weight] }
  },
)

/** Broyden, Fletcher, Goldfarb, Shanno, with the sign of h that keeps P positive. */
export const bfgs = symmetric(
  String.raw`P \leftarrow P + \frac{v^\top h + h^\top P h}{(v^\top h)^2} v v^\top - \frac{P h v^\top + v h^\top P}{v^\top h}`,
  ({ v, h }, Ph) => {
    const along = dot(v, h)
    const rho = Math.abs(along)
    const y = along < 0 ? Ph.map((value) => -value) : Ph
    return { W: [y, v], C: [0, -1 / rho, -1 / rho, (rho + dot(h, Ph)) / rho ** 2] }
  },
)

/** P - step*(h h' - P^-1 v v'P^-1), with mu/1000 as the step, and short enough that P stays positive. */
export const euclidean = symmetric(
  String.raw`P \leftarrow P - \tfrac{\mu}{1000} (h h^\top - P^{-1} v v^\top P^{-1})`,
  ({ h }, _, iPv, inverseOf, mu) => {
    const step = Math.min(mu / 1000, 0.5 / dot(h, times(inverseOf, h)))
    return { W: [h, iPv], C: [-step, 0, 0, step] }
  },
)

/** Eigenvalues of S below this share of the largest belong to directions in which no pair has been. */
const UNSEEN = 1e-13

/** P = S^-1/2 of the mean S of h h'; zero where no h has been. */
export const closedForm: Fitting = {
  equations: [String.raw`S \leftarrow (1 - \tfrac{1}{k}) S + \tfrac{1}{k} h h^\top,\quad P = S^{-1/2}`],
  size: (layout) => 3 * square(layout),
  begin: ({ dimension: n }, scale) => ({
    S: new Float64Array(n * n),
    P: scaledIdentity(n, scale ** 2),
    inverse: scaledIdentity(n, 1 / scale ** 2),
    count: new Float64Array(1),
  }),
  learn(fit, { dimension: n }, { h }) {
    const weight = 1 / ++fit.count[0]
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) fit.S[i * n + j] += weight * (h[i] * h[j] - fit.S[i * n + j])
    const spectrum = spectrumOf(fit.S, n)
    const unseen = UNSEEN * radius(spectrum)
    const power = (exponent: number) => matrixOf(spectrum, (value) => (value > unseen ? value ** exponent : 0))
    fit.P = power(-0.5)
    fit.inverse = power(0.5)
  },
  apply: ({ P }, _, g) => times(P, g),
  invert: (fit, _, v) => times(fit.inverse, v),
}
