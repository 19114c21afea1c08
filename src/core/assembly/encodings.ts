/** Compiled by scripts/build-assembly.mjs; encodings/kernels.ts is the only caller. Pointers are addresses in its memory. */

/** Values that have a scale of their own. */
const BLOCK: i32 = 256

/** Added to each other, n a multiple of 4. */
export function plus(a: usize, b: usize, n: i32, to: usize): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16)
    v128.store(to + i, f32x4.add(v128.load(a + i), v128.load(b + i)))
}

/** The second taken from the first, n a multiple of 4. */
export function minus(a: usize, b: usize, n: i32, to: usize): void {
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16)
    v128.store(to + i, f32x4.sub(v128.load(a + i), v128.load(b + i)))
}

/** Whether n float32, a multiple of 4, are finite: not all bits of an exponent are set. */
export function finite(a: usize, n: i32): bool {
  const exponent = i32x4.splat(0x7f800000)
  let bad = i32x4.splat(0)
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 16)
    bad = v128.or(bad, i32x4.eq(v128.and(v128.load(a + i), exponent), exponent))
  return !v128.any_true(bad)
}

/** float64 as the nearest float32, n a multiple of 2. */
export function demote(from: usize, n: i32, to: usize): void {
  for (let i: i32 = 0; i < n; i += 2)
    v128.store64_lane(to + (<usize>i << 2), f32x4.demote_f64x2_zero(v128.load(from + (<usize>i << 3))), 0)
}

/** block-int8 of n float32, a multiple of 256. */
export function quantize(from: usize, n: i32, largestScale: f32, scales: usize, integers: usize): void {
  const most = f32x4.splat(127)
  const least = f32x4.splat(-127)
  for (let block: i32 = 0; block < n / BLOCK; block++) {
    const start = from + (<usize>block << 10)
    let a = f32x4.splat(0)
    let b = f32x4.splat(0)
    for (let i: usize = 0; i < 1024; i += 32) {
      a = f32x4.pmax(a, f32x4.abs(v128.load(start + i)))
      b = f32x4.pmax(b, f32x4.abs(v128.load(start + i, 16)))
    }
    a = f32x4.pmax(a, b)
    a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1))
    a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 1, 0, 3, 2))
    let scale = f32x4.extract_lane(a, 0) / 127
    if (scale > largestScale) scale = largestScale
    store<f32>(scales + (<usize>block << 2), scale)
    const to = integers + (<usize>block << 8)
    if (scale == 0) {
      memory.fill(to, 0, BLOCK)
      continue
    }
    const divisor = f32x4.splat(scale)
    for (let i: usize = 0; i < 256; i += 16) {
      const at = start + (i << 2)
      const low = i16x8.narrow_i32x4_s(
        integersOf(v128.load(at), divisor, least, most),
        integersOf(v128.load(at, 16), divisor, least, most),
      )
      const high = i16x8.narrow_i32x4_s(
        integersOf(v128.load(at, 32), divisor, least, most),
        integersOf(v128.load(at, 48), divisor, least, most),
      )
      v128.store(to + i, i8x16.narrow_i16x8_s(low, high))
    }
  }
}

// @ts-ignore: decorator
@inline
function integersOf(values: v128, divisor: v128, least: v128, most: v128): v128 {
  // A scale that was rounded down to a subnormal, or to the largest, leaves ratios above 127.
  return i32x4.trunc_sat_f32x4_s(
    f32x4.min(f32x4.max(f32x4.nearest(f32x4.div(values, divisor)), least), most),
  )
}

/** What block-int8 stands for, n a multiple of 256. */
export function dequantize(scales: usize, integers: usize, n: i32, to: usize): void {
  for (let block: i32 = 0; block < n / BLOCK; block++) {
    const scale = f32x4.splat(load<f32>(scales + (<usize>block << 2)))
    const from = integers + (<usize>block << 8)
    const target = to + (<usize>block << 10)
    for (let i: usize = 0; i < 256; i += 8) {
      const wide = v128.load8x8_s(from + i)
      const at = target + (i << 2)
      v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(wide))))
      v128.store(at, f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(wide))), 16)
    }
  }
}

/**
 * sign of n float32, zeros from n on up to a multiple of 2,048. The magnitudes of a block are summed one by one, as float64,
 * so that the scale has the same bits everywhere; eight blocks go side by side, each in a lane.
 */
export function signs(from: usize, n: i32, scales: usize, bits: usize): void {
  for (let start: i32 = 0; start < n; start += 8 * BLOCK) {
    const base = from + (<usize>start << 2)
    let s0 = f64x2.splat(0)
    let s1 = f64x2.splat(0)
    let s2 = f64x2.splat(0)
    let s3 = f64x2.splat(0)
    for (let i: usize = 0; i < 1024; i += 16) {
      const at = base + i
      s0 = added(s0, v128.load(at), v128.load(at, 1024))
      s1 = added(s1, v128.load(at, 2048), v128.load(at, 3072))
      s2 = added(s2, v128.load(at, 4096), v128.load(at, 5120))
      s3 = added(s3, v128.load(at, 6144), v128.load(at, 7168))
    }
    const to = scales + (<usize>(start / BLOCK) << 2)
    means(to, s0, n - start)
    means(to + 8, s1, n - start - 2 * BLOCK)
    means(to + 16, s2, n - start - 4 * BLOCK)
    means(to + 24, s3, n - start - 6 * BLOCK)
    const zero = f32x4.splat(0)
    for (let i: usize = 0; i < 2048; i += 16) {
      const at = base + (i << 2)
      const low = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(at), zero), f32x4.lt(v128.load(at, 16), zero))
      const high = i16x8.narrow_i32x4_s(f32x4.lt(v128.load(at, 32), zero), f32x4.lt(v128.load(at, 48), zero))
      store<u16>(bits + ((<usize>start + i) >> 3), <u16>i8x16.bitmask(i8x16.narrow_i16x8_s(low, high)))
    }
  }
}

// @ts-ignore: decorator
@inline
function added(sum: v128, x: v128, y: v128): v128 {
  const a = f32x4.abs(x)
  const b = f32x4.abs(y)
  const first = v128.shuffle<f32>(a, b, 0, 4, 1, 5)
  const second = v128.shuffle<f32>(a, b, 2, 6, 3, 7)
  let total = f64x2.add(sum, f64x2.promote_low_f32x4(first))
  total = f64x2.add(total, f64x2.promote_low_f32x4(v128.shuffle<f64>(first, first, 1, 1)))
  total = f64x2.add(total, f64x2.promote_low_f32x4(second))
  return f64x2.add(total, f64x2.promote_low_f32x4(v128.shuffle<f64>(second, second, 1, 1)))
}

/** The mean magnitudes of two blocks, of which `left` values are left. */
// @ts-ignore: decorator
@inline
function means(to: usize, sums: v128, left: i32): void {
  const first = left < BLOCK ? left : BLOCK
  const second = left - BLOCK < BLOCK ? left - BLOCK : BLOCK
  if (first > 0) store<f32>(to, <f32>(f64x2.extract_lane(sums, 0) / <f64>first))
  if (second > 0) store<f32>(to + 4, <f32>(f64x2.extract_lane(sums, 1) / <f64>second))
}

/** What sign stands for, n a multiple of 256. */
export function unsign(scales: usize, bits: usize, n: i32, to: usize): void {
  const low = i32x4(1, 2, 4, 8)
  const high = i32x4(16, 32, 64, 128)
  const minus = i32x4.splat(0x80000000)
  for (let i: i32 = 0; i < n; i += 8) {
    const scale = v128.load32_splat(scales + (<usize>(i / BLOCK) << 2))
    const byte = i32x4.splat(<i32>load<u8>(bits + (<usize>i >> 3)))
    const at = to + (<usize>i << 2)
    v128.store(at, v128.xor(scale, v128.and(minus, i32x4.eq(v128.and(byte, low), low))))
    v128.store(at, v128.xor(scale, v128.and(minus, i32x4.eq(v128.and(byte, high), high))), 16)
  }
}

/**
 * top-k of n float32, a multiple of 16 of which those from `length` on are zeros: indices, then values. As integers, the
 * bits of floats that are not negative have the order of the floats: the k-th largest is found from its 11 highest bits
 * on, the others from the candidates that share these. `room`: 8 KiB of counters, then 4 bytes for each value.
 */
export function topK(from: usize, length: i32, n: i32, k: i32, room: usize, to: usize): void {
  const candidates = room + 8192
  memory.fill(room, 0, 8192)
  for (let i: i32 = 0; i < length; i++) count(room, (load<u32>(from + (<usize>i << 2)) & 0x7fffffff) >>> 20)
  let ties = k
  let bucket: u32 = 2047
  for (; ties > counted(room, bucket); bucket--) ties -= counted(room, bucket)

  const magnitude = i32x4.splat(0x7fffffff)
  const wanted = i32x4.splat(bucket)
  let found: usize = 0
  for (let i: i32 = 0; i < length; i += 4) {
    const bits = v128.and(v128.load(from + (<usize>i << 2)), magnitude)
    let mask = i32x4.bitmask(i32x4.eq(i32x4.shr_u(bits, 20), wanted))
    for (; mask != 0; mask &= mask - 1) {
      const j = i + ctz(mask)
      if (j >= length) continue
      store<u32>(candidates + found, load<u32>(from + (<usize>j << 2)) & 0xfffff)
      found += 4
    }
  }
  let threshold = bucket
  for (let shift: u32 = 10; ; shift = 0) {
    memory.fill(room, 0, 8192)
    for (let i: usize = 0; i < found; i += 4) {
      const rest = load<u32>(candidates + i)
      if (shift == 10 || rest >>> 10 == (threshold & 1023)) count(room, (rest >>> shift) & 1023)
    }
    let part: u32 = 1023
    for (; ties > counted(room, part); part--) ties -= counted(room, part)
    threshold = (threshold << 10) | part
    if (shift == 0) break
  }

  const edge = i32x4.splat(threshold)
  const values = to + (<usize>k << 2)
  let kept: usize = 0
  for (let i: i32 = 0; i < n; i += 16) {
    const at = from + (<usize>i << 2)
    const a = i32x4.ge_s(v128.and(v128.load(at), magnitude), edge)
    const b = i32x4.ge_s(v128.and(v128.load(at, 16), magnitude), edge)
    const c = i32x4.ge_s(v128.and(v128.load(at, 32), magnitude), edge)
    const d = i32x4.ge_s(v128.and(v128.load(at, 48), magnitude), edge)
    let mask = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)))
    for (; mask != 0; mask &= mask - 1) {
      const j = i + ctz(mask)
      const bits = load<u32>(from + (<usize>j << 2))
      if (j >= length || ((bits & 0x7fffffff) == threshold && ties-- <= 0)) continue
      store<u32>(to + kept, j)
      store<u32>(values + kept, bits)
      kept += 4
    }
  }
}

// @ts-ignore: decorator
@inline
function count(counters: usize, bucket: u32): void {
  const at = counters + (<usize>bucket << 2)
  store<i32>(at, load<i32>(at) + 1)
}

// @ts-ignore: decorator
@inline
function counted(counters: usize, bucket: u32): i32 {
  return load<i32>(counters + (<usize>bucket << 2))
}

/** What top-k stands for. */
export function scatter(pairs: usize, k: i32, n: i32, to: usize): void {
  memory.fill(to, 0, <usize>n << 2)
  for (let j: usize = 0, end = <usize>k << 2; j < end; j += 4)
    store<u32>(to + (<usize>load<u32>(pairs + j) << 2), load<u32>(pairs + end + j))
}

/** Upper halves of float32, rounded to nearest, ties to even; NaN stays NaN. n: a multiple of 8. */
export function toBf16(from: usize, n: i32, to: usize): void {
  for (let i: i32 = 0; i < n; i += 8) {
    const at = from + (<usize>i << 2)
    v128.store(to + (<usize>i << 1), i16x8.narrow_i32x4_u(bf16Of(v128.load(at)), bf16Of(v128.load(at, 16))))
  }
}

// @ts-ignore: decorator
@inline
function bf16Of(bits: v128): v128 {
  const upper = i32x4.shr_u(bits, 16)
  const odd = v128.and(upper, i32x4.splat(1))
  const rounded = i32x4.shr_u(i32x4.add(bits, i32x4.add(odd, i32x4.splat(0x7fff))), 16)
  const nan = i32x4.gt_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x7f800000))
  return v128.bitselect(v128.or(upper, i32x4.splat(0x40)), rounded, nan)
}

/** n: a multiple of 8. */
export function fromBf16(from: usize, n: i32, to: usize): void {
  for (let i: i32 = 0; i < n; i += 8) {
    const bits = v128.load(from + (<usize>i << 1))
    const at = to + (<usize>i << 2)
    v128.store(at, i32x4.shl(i32x4.extend_low_i16x8_u(bits), 16))
    v128.store(at, i32x4.shl(i32x4.extend_high_i16x8_u(bits), 16), 16)
  }
}

/** binary16 of float32, rounded to nearest, ties to even; beyond 65,504 infinity. n: a multiple of 8. */
export function toF16(from: usize, n: i32, to: usize): void {
  for (let i: i32 = 0; i < n; i += 8) {
    const at = from + (<usize>i << 2)
    v128.store(to + (<usize>i << 1), i16x8.narrow_i32x4_u(f16Of(v128.load(at)), f16Of(v128.load(at, 16))))
  }
}

// @ts-ignore: decorator
@inline
function f16Of(bits: v128): v128 {
  const sign = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(0x8000))
  const magnitude = v128.and(bits, i32x4.splat(0x7fffffff))
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1))
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - 0x38000000)), odd), 13)
  // Subnormal: adding 0.5 to the magnitude leaves its multiple of 2^-24, rounded by the hardware, in the low bits.
  const subnormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000))
  let half = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)))
  half = v128.bitselect(i32x4.splat(0x7c00), half, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)))
  half = v128.bitselect(i32x4.splat(0x7e00), half, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)))
  return v128.or(sign, half)
}

/** n: a multiple of 8. */
export function fromF16(from: usize, n: i32, to: usize): void {
  for (let i: i32 = 0; i < n; i += 8) {
    const bits = v128.load(from + (<usize>i << 1))
    const at = to + (<usize>i << 2)
    v128.store(at, floatOf(i32x4.extend_low_i16x8_u(bits)))
    v128.store(at, floatOf(i32x4.extend_high_i16x8_u(bits)), 16)
  }
}

// @ts-ignore: decorator
@inline
function floatOf(bits: v128): v128 {
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16)
  const magnitude = v128.and(bits, i32x4.splat(0x7fff))
  // The product has the exponent of the other format, of subnormals too.
  const scaled = f32x4.mul(i32x4.shl(magnitude, 13), f32x4.splat(5192296858534827628530496329220096.0))
  const infinite = i32x4.eq(magnitude, i32x4.splat(0x7c00))
  const float = v128.or(sign, v128.bitselect(i32x4.splat(0x7f800000), scaled, infinite))
  return v128.bitselect(i32x4.splat(0x7fc00000), float, i32x4.gt_s(magnitude, i32x4.splat(0x7c00)))
}
