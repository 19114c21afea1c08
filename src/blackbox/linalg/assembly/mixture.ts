/**
 * Sums over the kernels of a Parzen mixture (blackbox/bayes/parzen.ts): sum_k w_k exp(t_kc) at points c, where
 * t_kc = base_k + terms_kc - sum_j ((x_jc - mu_kj) s_kj)^2, kept as a running maximum and a sum relative to it.
 *
 * Eight points at a time, two axes at a time; a kernel is left as soon as it is negligible at all eight.
 */
import { exp2x } from './kernel'

/** exp(-37) is below half a unit in the last place of 1. */
const NEGLIGIBLE: f64 = 37

/** Adds w exp(t) to the sums at `sum`, relative to the maxima at `max`, of two points. */
function add(t: v128, w: v128, max: usize, sum: usize): void {
  let top = v128.load(max)
  let total = v128.load(sum)
  if (v128.any_true(f64x2.gt(t, top))) {
    const higher = f64x2.max(t, top)
    total = f64x2.mul(total, exp2x(f64x2.sub(top, higher)))
    top = higher
    v128.store(max, top)
  }
  v128.store(sum, f64x2.add(total, f64x2.mul(w, exp2x(f64x2.sub(t, top)))))
}

/**
 * Takes the n kernels listed in `rows` in turn. Kernel `row` has base[row] and, at bells + row * 16 * axes bytes, mu and
 * s of each axis; weights and terms (0 for none) are by position in the list. `axes` is even, `points` a multiple of 8;
 * x[j * points + c], terms[k * points + c].
 */
export function mixtureSums(
  n: i32,
  rows: usize,
  axes: i32,
  bells: usize,
  base: usize,
  weights: usize,
  terms: usize,
  points: i32,
  x: usize,
  max: usize,
  sum: usize,
): void {
  const stride = (points as usize) << 3
  const margin = f64x2.splat(NEGLIGIBLE)
  for (let k = 0; k < n; k++) {
    const row = load<i32>(rows + (k << 2)) as usize
    const w = v128.load_splat<f64>(weights + (k << 3))
    const from = v128.load_splat<f64>(base + (row << 3))
    const first = bells + row * ((axes as usize) << 4)
    const last = first + ((axes as usize) << 4)
    for (let c: usize = 0; c < stride; c += 64) {
      let t0 = from
      let t1 = from
      let t2 = from
      let t3 = from
      if (terms) {
        const at = terms + (k as usize) * stride + c
        t0 = f64x2.add(t0, v128.load(at))
        t1 = f64x2.add(t1, v128.load(at, 16))
        t2 = f64x2.add(t2, v128.load(at, 32))
        t3 = f64x2.add(t3, v128.load(at, 48))
      }
      const cut0 = f64x2.sub(v128.load(max + c), margin)
      const cut1 = f64x2.sub(v128.load(max + c, 16), margin)
      const cut2 = f64x2.sub(v128.load(max + c, 32), margin)
      const cut3 = f64x2.sub(v128.load(max + c, 48), margin)
      let at = x + c
      let bell = first
      let near = true
      while (near && bell < last) {
        for (let axis = 0; axis < 2; axis++) {
          const mu = v128.load_splat<f64>(bell)
          const s = v128.load_splat<f64>(bell, 8)
          let z = f64x2.mul(f64x2.sub(v128.load(at), mu), s)
          t0 = f64x2.sub(t0, f64x2.mul(z, z))
          z = f64x2.mul(f64x2.sub(v128.load(at, 16), mu), s)
          t1 = f64x2.sub(t1, f64x2.mul(z, z))
          z = f64x2.mul(f64x2.sub(v128.load(at, 32), mu), s)
          t2 = f64x2.sub(t2, f64x2.mul(z, z))
          z = f64x2.mul(f64x2.sub(v128.load(at, 48), mu), s)
          t3 = f64x2.sub(t3, f64x2.mul(z, z))
          at += stride
          bell += 16
        }
        near = v128.any_true(
          v128.or(
            v128.or(f64x2.ge(t0, cut0), f64x2.ge(t1, cut1)),
            v128.or(f64x2.ge(t2, cut2), f64x2.ge(t3, cut3)),
          ),
        )
      }
      if (!near) continue
      if (v128.any_true(f64x2.ge(t0, cut0))) add(t0, w, max + c, sum + c)
      if (v128.any_true(f64x2.ge(t1, cut1))) add(t1, w, max + c + 16, sum + c + 16)
      if (v128.any_true(f64x2.ge(t2, cut2))) add(t2, w, max + c + 32, sum + c + 32)
      if (v128.any_true(f64x2.ge(t3, cut3))) add(t3, w, max + c + 48, sum + c + 48)
    }
  }
}
