/**
 * C += alpha A B in float64, any strides: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * ACM TOMS 2008; the stride-only interface is that of BLIS (Van Zee and van de Geijn, ACM TOMS 2015), so a transpose
 * is a swap of strides and a reversed order is a negative stride. Pointers and strides are in bytes.
 */

/** Panels of A (MC x KC) and of B (KC x NC), packed at the start of the memory. Multiples of 4. */
const MC: i32 = 64
const KC: i32 = 256
const NC: i32 = 512
const PACK_A: usize = 1024
const PACK_B: usize = PACK_A + MC * KC * 8
const TILE: usize = PACK_B + KC * NC * 8
/** Bytes at the start of the memory that belong to these kernels. */
export const RESERVED: usize = TILE + 256

/** Panels of four rows, column by column, rows past the end as zeros: panel[k][4]. */
function pack(to: usize, from: usize, rs: isize, cs: isize, rows: i32, k: i32, alpha: f64): void {
  for (let i = 0; i < rows; i += 4) {
    const row = from + (i as isize) * rs
    const left = rows - i
    for (let p = 0; p < k; p++) {
      const at = row + (p as isize) * cs
      store<f64>(to, alpha * load<f64>(at))
      store<f64>(to, left > 1 ? alpha * load<f64>(at + rs) : 0, 8)
      store<f64>(to, left > 2 ? alpha * load<f64>(at + 2 * rs) : 0, 16)
      store<f64>(to, left > 3 ? alpha * load<f64>(at + 3 * rs) : 0, 24)
      to += 32
    }
  }
}

/** C[4][4] += a[k][4] outer b[k][4], rows of C rs bytes apart. */
function micro(k: i32, a: usize, b: usize, c: usize, rs: isize): void {
  let c00 = f64x2.splat(0)
  let c01 = c00
  let c10 = c00
  let c11 = c00
  let c20 = c00
  let c21 = c00
  let c30 = c00
  let c31 = c00
  const end = a + (<usize>k << 5)
  while (a < end) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let x = v128.load_splat<f64>(a)
    c00 = f64x2.add(c00, f64x2.mul(x, b0))
    c01 = f64x2.add(c01, f64x2.mul(x, b1))
    x = v128.load_splat<f64>(a, 8)
    c10 = f64x2.add(c10, f64x2.mul(x, b0))
    c11 = f64x2.add(c11, f64x2.mul(x, b1))
    x = v128.load_splat<f64>(a, 16)
    c20 = f64x2.add(c20, f64x2.mul(x, b0))
    c21 = f64x2.add(c21, f64x2.mul(x, b1))
    x = v128.load_splat<f64>(a, 24)
    c30 = f64x2.add(c30, f64x2.mul(x, b0))
    c31 = f64x2.add(c31, f64x2.mul(x, b1))
    a += 32
    b += 32
  }
  addRow(c, c00, c01)
  addRow(c + rs, c10, c11)
  addRow(c + 2 * rs, c20, c21)
  addRow(c + 3 * rs, c30, c31)
}

function addRow(c: usize, low: v128, high: v128): void {
  v128.store(c, f64x2.add(v128.load(c), low))
  v128.store(c, f64x2.add(v128.load(c, 16), high), 16)
}

/** The part of a tile that lies inside of C: rows x columns of it. */
function microEdge(k: i32, a: usize, b: usize, c: usize, rs: isize, rows: i32, columns: i32): void {
  memory.fill(TILE, 0, 128)
  micro(k, a, b, TILE, 32)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const at = c + (i as isize) * rs + (j << 3)
      store<f64>(at, load<f64>(at) + load<f64>(TILE + (i << 5) + (j << 3)))
    }
}

/**
 * C[m x n] += alpha A[m x k] B[k x n]. One of the strides of C is 8 (or the first is -8). With `lower`, C is square and row-major, and tiles
 * above its diagonal are left alone (those on the diagonal are written whole).
 */
export function gemm(
  lower: bool,
  m: i32,
  n: i32,
  k: i32,
  alpha: f64,
  a: usize,
  ars: isize,
  acs: isize,
  b: usize,
  brs: isize,
  bcs: isize,
  c: usize,
  crs: isize,
  ccs: isize,
): void {
  if (crs == -8) {
    // The same rows, last one first.
    const last = (m - 1) as isize
    gemm(false, m, n, k, alpha, a + last * ars, -ars, acs, b, brs, bcs, c + last * crs, 8, ccs)
    return
  }
  if (ccs != 8) {
    gemm(false, n, m, k, alpha, b, bcs, brs, a, acs, ars, c, ccs, crs)
    return
  }
  for (let jc = 0; jc < n; jc += NC) {
    const nc = min(NC, n - jc)
    for (let pc = 0; pc < k; pc += KC) {
      const kc = min(KC, k - pc)
      pack(PACK_B, b + (pc as isize) * brs + (jc as isize) * bcs, bcs, brs, nc, kc, 1)
      for (let ic = lower ? jc : 0; ic < m; ic += MC) {
        const mc = min(MC, m - ic)
        pack(PACK_A, a + (ic as isize) * ars + (pc as isize) * acs, ars, acs, mc, kc, alpha)
        for (let jr = 0; jr < nc; jr += 4) {
          const columns = min(4, nc - jr)
          const panel = PACK_B + ((jr * kc) << 3)
          for (let ir = 0; ir < mc; ir += 4) {
            if (lower && ic + ir + 3 < jc + jr) continue
            const rows = min(4, mc - ir)
            const at = c + ((ic + ir) as isize) * crs + ((jc + jr) << 3)
            if (rows == 4 && columns == 4) micro(kc, PACK_A + ((ir * kc) << 3), panel, at, crs)
            else microEdge(kc, PACK_A + ((ir * kc) << 3), panel, at, crs, rows, columns)
          }
        }
      }
    }
  }
}
