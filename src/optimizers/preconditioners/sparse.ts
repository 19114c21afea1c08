/** Fits of matrices that a few vectors describe. P = Q'Q with Q in a subgroup of GL(n). */
import { accumulate, dot, norm } from '../flat.js'
import { solve } from './dense.js'
import type { Fit, Fitting } from './fitting.js'

const filled = (n: number, value: number) => new Float64Array(n).fill(value)
const largest = (x: Float64Array) => x.reduce((most, value) => Math.max(most, value), 0)

/** Q = diag(q). */
export const diagonal: Fitting = {
  equations: [
    String.raw`q \leftarrow q - \mu \frac{(q h)^2 - (v/q)^2}{\max((q h)^2 + (v/q)^2)} q,\quad P = \mathrm{diag}(q^2)`,
  ],
  size: ({ dimension }) => dimension,
  begin: ({ dimension }, scale) => ({ q: filled(dimension, scale) }),
  learn({ q }, _, { v, h }, mu) {
    const [a, b] = [q.map((qi, i) => (qi * h[i]) ** 2), q.map((qi, i) => (v[i] / qi) ** 2)]
    const weight = mu / largest(a.map((ai, i) => ai + b[i]))
    if (!Number.isFinite(weight)) return
    for (let i = 0; i < q.length; i++) q[i] -= weight * (a[i] - b[i]) * q[i]
  },
  apply: ({ q }, _, g) => g.map((gi, i) => q[i] ** 2 * gi),
  invert: ({ q }, _, v) => v.map((vi, i) => vi / q[i] ** 2),
}

const reversed = (x: Float64Array) => x.slice().reverse()

/** Q = diag(a) + antidiag(b), the matrices of the shape of an X: element i meets n - 1 - i. */
export const crossed: Fitting = {
  equations: [
    String.raw`Q = \mathrm{diag}(a) + \mathrm{adiag}(b),\quad Q \leftarrow Q - \mu \frac{\mathrm{X}(Q h h^\top Q^\top - Q^{-\top} v v^\top Q^{-1})}{\max((Q h)^2 + (Q^{-\top} v)^2)} Q`,
  ],
  size: ({ dimension }) => 2 * dimension,
  begin: ({ dimension }, scale) => ({ a: filled(dimension, scale), b: filled(dimension, 0) }),
  learn({ a, b }, _, { v, h }, mu) {
    const Qh = timesCross(a, b, h)
    const w = solveCrossTransposed(a, b, v)
    const weight = mu / largest(Qh.map((value, i) => value ** 2 + w[i] ** 2))
    if (!Number.isFinite(weight)) return
    const [RQh, Rw, Ra, Rb] = [Qh, w, a, b].map(reversed)
    const middle = a.length % 2 ? (a.length - 1) / 2 : -1
    for (let i = 0; i < a.length; i++) {
      const nA = Qh[i] ** 2 - w[i] ** 2
      const nB = i === middle ? 0 : Qh[i] * RQh[i] - w[i] * Rw[i]
      const [ai, bi] = [a[i], b[i]]
      a[i] -= weight * (nA * ai + nB * Rb[i])
      b[i] -= weight * (nA * bi + nB * Ra[i])
    }
  },
  apply({ a, b }, _, g) {
    const y = timesCross(a, b, g)
    const crossing = reversed(y.map((yi, i) => b[i] * yi))
    return y.map((yi, i) => a[i] * yi + crossing[i])
  },
  invert({ a, b }, _, v) {
    const w = solveCrossTransposed(a, b, v)
    const [Ra, Rw] = [a, w].map(reversed)
    return w.map((wi, i) => (Ra[i] * wi - b[i] * Rw[i]) / (a[i] * Ra[i] - b[i] * b[b.length - 1 - i]))
  },
}
/** Q*x */
const timesCross = (a: Float64Array, b: Float64Array, x: Float64Array) =>
  x.map((xi, i) => a[i] * xi + b[i] * x[x.length - 1 - i])
/** Solves Q'*w = v. */
function solveCrossTransposed(a: Float64Array, b: Float64Array, v: Float64Array) {
  const [Ra, Rb, Rv] = [a, b, v].map(reversed)
  return v.map((vi, i) => (Ra[i] * vi - Rb[i] * Rv[i]) / (a[i] * Ra[i] - b[i] * Rb[i]))
}

/** Columns of an n x r matrix that lies column by column. */
const columns = (m: Float64Array, n: number): Columns =>
  Array.from({ length: m.length / n }, (_, k) => m.subarray(k * n, (k + 1) * n))
/** M'*x for the columns of M. */
const along = (m: readonly Float64Array[], x: Float64Array) => m.map((column) => dot(column, x))
/** x + M*c */
function plusColumns(x: Float64Array, m: readonly Float64Array[], c: ArrayLike<number>): Float64Array {
  const y = x.slice()
  m.forEach((column, k) => {
    accumulate(y, c[k], column)
  })
  return y
}
/** Solves (I + X'Y)*c = r, or with its transpose. */
function solveInner(X: readonly Float64Array[], Y: readonly Float64Array[], r: readonly number[]): Float64Array {
  const size = X.length
  const inner = Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    return dot(X[i], Y[j]) + (i === j ? 1 : 0)
  })
  return solve(inner, Float64Array.from(r), size)
}

type Columns = readonly Float64Array[]
type LowRank = { U: Columns; V: Columns; d: Float64Array }

const parts = ({ U, V, d }: Fit, n: number): LowRank => ({ U: columns(U, n), V: columns(V, n), d })
const scaled = (d: Float64Array, x: Float64Array) => x.map((xi, i) => d[i] * xi)
const negated = (c: Float64Array) => c.map((ck) => -ck)
/** Q*x */
function timesLowRank({ U, V, d }: LowRank, x: Float64Array) {
  const dx = scaled(d, x)
  return plusColumns(dx, U, along(V, dx))
}
/** Q'*x */
const timesLowRankTransposed = ({ U, V, d }: LowRank, x: Float64Array) => scaled(d, plusColumns(x, V, along(U, x)))
/** Solves Q'*b = v: b = (I + V U')^-1 (v/d). */
function solveLowRankTransposed({ U, V, d }: LowRank, v: Float64Array) {
  const vd = v.map((vi, i) => vi / d[i])
  return plusColumns(vd, V, negated(solveInner(U, V, along(U, vd))))
}
/** Solves Q*x = b. */
const solveLowRank = ({ U, V, d }: LowRank, b: Float64Array) =>
  plusColumns(b, U, negated(solveInner(V, U, along(V, b)))).map((value, i) => value / d[i])

/** Q = (I + U V')*diag(d), U and V of few columns. */
export const lowRank: Fitting = {
  equations: [
    String.raw`Q = (I + U V^\top)\, \mathrm{diag}(d),\quad d \leftarrow d - \mu_1 (P h \circ h - v \circ P^{-1} v) \circ d,\quad U \leftarrow U - \mu_2 (a a^\top - b b^\top) V (I + V^\top U) \text{ or } V \leftarrow V - \mu_3 (I + V U^\top) (a a^\top - b b^\top) U`,
  ],
  size: ({ dimension, rank }) => dimension * (2 * rank + 1),
  begin({ dimension: n, rank }, scale, rng) {
    const random = () => new Float64Array(n * rank).map(() => (0.1 / Math.sqrt(n)) * rng.normal())
    return { U: random(), V: random(), d: filled(n, scale) }
  },
  learn(fit, { dimension: n }, { v, h }, mu, rng) {
    const Q = parts(fit, n)
    const [a, b] = [timesLowRank(Q, h), solveLowRankTransposed(Q, v)]
    const [Ph, iPv] = [timesLowRankTransposed(Q, a), solveLowRank(Q, b)]
    const shares = Ph.map((value, i) => 1 / Math.sqrt((value ** 2 + v[i] ** 2) * (h[i] ** 2 + iPv[i] ** 2)))
    const weight = mu * shares.reduce((least, share) => Math.min(least, share), Infinity)
    if (!Number.isFinite(weight)) return
    for (let i = 0; i < n; i++) fit.d[i] -= weight * (Ph[i] * h[i] - v[i] * iPv[i]) * fit.d[i]
    if (rng.uniform() < 0.5) turn(Q, a, b, mu)
    else turnOther(Q, a, b, mu)
  },
  apply(fit, { dimension }, g) {
    const Q = parts(fit, dimension)
    return timesLowRankTransposed(Q, timesLowRank(Q, g))
  },
  invert(fit, { dimension }, v) {
    const Q = parts(fit, dimension)
    return solveLowRank(Q, solveLowRankTransposed(Q, v))
  },
}

/** U - mu*(a a' - b b')*V*(I + V'U)/(|a| |V V'a| + |b| |V V'b|) */
function turn({ U, V }: LowRank, a: Float64Array, b: Float64Array, mu: number) {
  const zero = new Float64Array(a.length)
  const [Va, Vb] = [along(V, a), along(V, b)]
  const weight = mu / (norm(a) * norm(plusColumns(zero, V, Va)) + norm(b) * norm(plusColumns(zero, V, Vb)))
  if (!Number.isFinite(weight)) return
  // Row vectors a'V(I + V'U) = (V'a)' + (V V'a)'U.
  const rowOf = (c: readonly number[]) => {
    const through = along(U, plusColumns(zero, V, c))
    return c.map((ck, k) => ck + through[k])
  }
  const [ra, rb] = [rowOf(Va), rowOf(Vb)]
  U.forEach((column, k) => {
    accumulate(column, -weight * ra[k], a)
    accumulate(column, weight * rb[k], b)
  })
}

/** V - mu*(I + V U')*(a a' - b b')*U/(|a| |U U'a| + |b| |U U'b|) */
function turnOther({ U, V }: LowRank, a: Float64Array, b: Float64Array, mu: number) {
  const zero = new Float64Array(a.length)
  const [Ua, Ub] = [along(U, a), along(U, b)]
  const weight = mu / (norm(a) * norm(plusColumns(zero, U, Ua)) + norm(b) * norm(plusColumns(zero, U, Ub)))
  if (!Number.isFinite(weight)) return
  const [wa, wb] = [plusColumns(a, V, Ua), plusColumns(b, V, Ub)]
  V.forEach((column, k) => {
    accumulate(column, -weight * Ua[k], wa)
    accumulate(column, weight * Ub[k], wb)
  })
}
