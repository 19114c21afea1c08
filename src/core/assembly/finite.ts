/** Compiled by scripts/build-assembly.mjs; finite.ts is the only caller. Reads the beginning of memory. */

/** Whether n bytes of float32 hold finite numbers only: not all bits of an exponent are set. n: a multiple of 64. */
export function finite32(n: i32): bool {
  const exponent = i32x4.splat(0x7f800000)
  let bad = i32x4.splat(0)
  for (let i = 0; i < n; i += 64) {
    const a = i32x4.eq(v128.and(v128.load(i), exponent), exponent)
    const b = i32x4.eq(v128.and(v128.load(i, 16), exponent), exponent)
    const c = i32x4.eq(v128.and(v128.load(i, 32), exponent), exponent)
    const d = i32x4.eq(v128.and(v128.load(i, 48), exponent), exponent)
    bad = v128.or(bad, v128.or(v128.or(a, b), v128.or(c, d)))
  }
  return !v128.any_true(bad)
}

/** The same of float64. */
export function finite64(n: i32): bool {
  const exponent = i64x2.splat(0x7ff0000000000000)
  let bad = i64x2.splat(0)
  for (let i = 0; i < n; i += 64) {
    const a = i64x2.eq(v128.and(v128.load(i), exponent), exponent)
    const b = i64x2.eq(v128.and(v128.load(i, 16), exponent), exponent)
    const c = i64x2.eq(v128.and(v128.load(i, 32), exponent), exponent)
    const d = i64x2.eq(v128.and(v128.load(i, 48), exponent), exponent)
    bad = v128.or(bad, v128.or(v128.or(a, b), v128.or(c, d)))
  }
  return !v128.any_true(bad)
}
