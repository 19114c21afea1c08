/**
 * Matérn 5/2 kernels with a length scale per dimension: k = s2 (1 + a + a^2/3) exp(-a), a = sqrt(5 r2) (Rasmussen and
 * Williams, "Gaussian Processes for Machine Learning", 2006, eq. 4.17), and k' = dk/d(r2) = -5/6 s2 (1 + a) exp(-a).
 *
 * Points lie dimension by dimension, already divided by the length scales: x[d * ldx + i], each dimension padded to an
 * even number of points. r2 sums the squared differences of the first `continuous` dimensions; of the others it adds
 * `weights[d]` where they differ (the Hamming distance). Strides count elements.
 */

const LOG2E: f64 = 1.4426950408889634
const LN2_HIGH: f64 = 6.93147180369123816490e-1
const LN2_LOW: f64 = 1.90821492927058770002e-10

/** exp of two numbers <= 0, to about one unit in the last place: 2^n times a Taylor polynomial on |r| <= ln(2)/2. */
export function exp2x(x: v128): v128 {
  x = f64x2.max(x, f64x2.splat(-700))
  const n = f64x2.nearest(f64x2.mul(x, f64x2.splat(LOG2E)))
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(n, f64x2.splat(LN2_HIGH))), f64x2.mul(n, f64x2.splat(LN2_LOW)))
  let p = f64x2.splat(1.0 / 6227020800.0)
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 479001600.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 39916800.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 3628800.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 362880.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 40320.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 5040.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 720.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 120.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 24.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1.0 / 6.0))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(0.5))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1))
  p = f64x2.add(f64x2.mul(p, r), f64x2.splat(1))
  const exponent = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(n))
  return i64x2.add(p, i64x2.shl(exponent, 52))
}

/** r2 between the point at x and the two points at y, stepping through the dimensions of both. */
function distance2(x: usize, sx: usize, y: usize, sy: usize, continuous: i32, d: i32, weights: usize): v128 {
  let sum = f64x2.splat(0)
  for (let k = 0; k < continuous; k++) {
    const difference = f64x2.sub(v128.load_splat<f64>(x), v128.load(y))
    sum = f64x2.add(sum, f64x2.mul(difference, difference))
    x += sx
    y += sy
  }
  for (let k = continuous; k < d; k++) {
    const differs = f64x2.ne(v128.load_splat<f64>(x), v128.load(y))
    sum = f64x2.add(sum, v128.and(differs, v128.load_splat<f64>(weights + (k << 3))))
    x += sx
    y += sy
  }
  return sum
}

/** Rows [from, to) of the kernel matrix of n points, up to the diagonal (one element beyond it may be written). */
export function kernelRows(
  from: i32,
  to: i32,
  continuous: i32,
  d: i32,
  x: usize,
  ldx: i32,
  weights: usize,
  variance: f64,
  out: usize,
  ld: i32,
): void {
  const step = <usize>ldx << 3
  for (let i = from; i < to; i++) {
    const row = out + ((i * ld) << 3)
    for (let j = 0; j <= i; j += 2) {
      const r2 = distance2(x + (i << 3), step, x + (j << 3), step, continuous, d, weights)
      const a = f64x2.sqrt(f64x2.mul(r2, f64x2.splat(5)))
      const e = f64x2.mul(exp2x(f64x2.neg(a)), f64x2.splat(variance))
      const polynomial = f64x2.add(
        f64x2.add(f64x2.splat(1), a),
        f64x2.mul(r2, f64x2.splat(5.0 / 3.0)),
      )
      v128.store(row + (j << 3), f64x2.mul(polynomial, e))
    }
  }
}

/** k[n x m] and k'[n x m] between n points x and m points q (m even), rows m apart. */
export function crossKernel(
  n: i32,
  m: i32,
  continuous: i32,
  d: i32,
  x: usize,
  ldx: i32,
  q: usize,
  weights: usize,
  variance: f64,
  k: usize,
  slope: usize,
): void {
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j += 2) {
      const r2 = distance2(x + (i << 3), <usize>ldx << 3, q + (j << 3), <usize>m << 3, continuous, d, weights)
      const a = f64x2.sqrt(f64x2.mul(r2, f64x2.splat(5)))
      const e = f64x2.mul(exp2x(f64x2.neg(a)), f64x2.splat(variance))
      const linear = f64x2.add(f64x2.splat(1), a)
      const at = (i * m + j) << 3
      v128.store(k + at, f64x2.mul(f64x2.add(linear, f64x2.mul(r2, f64x2.splat(5.0 / 3.0))), e))
      v128.store(slope + at, f64x2.mul(f64x2.mul(linear, e), f64x2.splat(-5.0 / 6.0)))
    }
}

/** out[j] = sum_i a_i K[i][j] for K[n x m], m even. */
export function weightedRows(n: i32, m: i32, a: usize, k: usize, out: usize): void {
  memory.fill(out, 0, m << 3)
  for (let i = 0; i < n; i++) {
    const weight = v128.load_splat<f64>(a + (i << 3))
    for (let j = 0; j < m; j += 2) {
      const at = out + (j << 3)
      v128.store(at, f64x2.add(v128.load(at), f64x2.mul(weight, v128.load(k + ((i * m + j) << 3)))))
    }
  }
}

/** out[j] = sum_i V[i][j]^2 for V[n x m], m even. */
export function squaredColumns(n: i32, m: i32, v: usize, out: usize): void {
  memory.fill(out, 0, m << 3)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < m; j += 2) {
      const value = v128.load(v + ((i * m + j) << 3))
      const at = out + (j << 3)
      v128.store(at, f64x2.add(v128.load(at), f64x2.mul(value, value)))
    }
}

/**
 * Gradients in the (scaled) continuous coordinates of m points q, for W = K^-1 k: of the mean, sum_i a_i k_i, and of
 * the explained variance, k^T K^-1 k. Both are d(mean)[continuous x m].
 */
export function crossGradient(
  n: i32,
  m: i32,
  continuous: i32,
  x: usize,
  ldx: i32,
  q: usize,
  slope: usize,
  w: usize,
  a: usize,
  mean: usize,
  explained: usize,
): void {
  memory.fill(mean, 0, (continuous * m) << 3)
  memory.fill(explained, 0, (continuous * m) << 3)
  for (let i = 0; i < n; i++) {
    const weight = f64x2.splat(2 * load<f64>(a + (i << 3)))
    for (let j = 0; j < m; j += 2) {
      const at = (i * m + j) << 3
      const s = v128.load(slope + at)
      const u = f64x2.mul(s, weight)
      const v = f64x2.mul(s, f64x2.mul(v128.load(w + at), f64x2.splat(4)))
      for (let k = 0; k < continuous; k++) {
        const to = (k * m + j) << 3
        const difference = f64x2.sub(v128.load(q + to), v128.load_splat<f64>(x + ((k * ldx + i) << 3)))
        v128.store(mean + to, f64x2.add(v128.load(mean + to), f64x2.mul(u, difference)))
        v128.store(explained + to, f64x2.add(v128.load(explained + to), f64x2.mul(v, difference)))
      }
    }
  }
}

/**
 * out[d] = 1/2 tr((a a^T - inverse) dK/d(log w_d)) for w_d = 1/length_d^2: the gradient of the log likelihood
 * (Rasmussen and Williams, eq. 5.9). `inverse` holds K^-1 in its lower half; `row` is scratch of n + 1 elements.
 */
export function likelihoodGradient(
  n: i32,
  continuous: i32,
  d: i32,
  x: usize,
  ldx: i32,
  weights: usize,
  variance: f64,
  inverse: usize,
  ld: i32,
  a: usize,
  row: usize,
  out: usize,
): void {
  const step = <usize>ldx << 3
  memory.fill(out, 0, d << 3)
  for (let i = 1; i < n; i++) {
    const ai = v128.load_splat<f64>(a + (i << 3))
    for (let j = 0; j < i; j += 2) {
      const r2 = distance2(x + (i << 3), step, x + (j << 3), step, continuous, d, weights)
      const root = f64x2.sqrt(f64x2.mul(r2, f64x2.splat(5)))
      const e = f64x2.mul(exp2x(f64x2.neg(root)), f64x2.splat((-5.0 / 6.0) * variance))
      const slope = f64x2.mul(f64x2.add(f64x2.splat(1), root), e)
      const outer = f64x2.mul(ai, v128.load(a + (j << 3)))
      const g = f64x2.sub(outer, v128.load(inverse + ((i * ld + j) << 3)))
      v128.store(row + (j << 3), f64x2.mul(g, slope))
    }
    // An odd i closes its last pair with j = i, where all differences are zero.
    for (let k = 0; k < d; k++) {
      const xi = v128.load_splat<f64>(x + ((k * ldx + i) << 3))
      const base = x + ((k * ldx) << 3)
      let sum = f64x2.splat(0)
      if (k < continuous)
        for (let j = 0; j < i; j += 2) {
          const difference = f64x2.sub(xi, v128.load(base + (j << 3)))
          sum = f64x2.add(sum, f64x2.mul(v128.load(row + (j << 3)), f64x2.mul(difference, difference)))
        }
      else {
        const weight = v128.load_splat<f64>(weights + (k << 3))
        for (let j = 0; j < i; j += 2) {
          const differs = v128.and(f64x2.ne(xi, v128.load(base + (j << 3))), weight)
          sum = f64x2.add(sum, f64x2.mul(v128.load(row + (j << 3)), differs))
        }
      }
      const at = out + (k << 3)
      store<f64>(at, load<f64>(at) + f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1))
    }
  }
}
