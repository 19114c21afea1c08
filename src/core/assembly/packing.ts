/** Compiled by scripts/build-assembly.mjs; optimizers/engines/packing is the only caller. Pointers are addresses in its memory. */

/** Elements with a scale of their own. */
const BLOCK: i32 = 256
/**
 * Places in the tables, in bytes: two maps of 256 float32 and an infinity, and for each upper half of a ratio the code to begin
 * with, which is the right one or one below it.
 */
const UNSIGNED: usize = 1040
const SIGNED_STARTS: usize = 2080
const UNSIGNED_STARTS: usize = 34848
/** Of the starts for negative numbers, from those for others. */
const NEGATIVE: i32 = 16384
/** Places in the room, in bytes: random numbers, and of a block the values and what they are rounded with. */
const VALUES: usize = 512
const RATIOS: usize = 1536
const CODES: usize = 2560
const BELOW: usize = 3584
const ABOVE: usize = 4608
const BYTES: usize = 5632
const LARGEST: f32 = 3.4028234663852886e38

/** The address of a block of values as float32, zeros behind it up to a multiple of 4. */
function blockAt(from: usize, wide: bool, start: i32, count: i32, room: usize): usize {
  if (!wide && count == BLOCK) return from + (<usize>start << 2)
  const to = room + VALUES
  for (let i = 0; i < count; i++) {
    const at = <usize>(start + i)
    store<f32>(to + (<usize>i << 2), wide ? <f32>load<f64>(from + (at << 3)) : load<f32>(from + (at << 2)))
  }
  for (let i = count; i & 3; i++) store<f32>(to + (<usize>i << 2), 0)
  return to
}

/**
 * 256 numbers of 16 bits: Philox4x32-10 (core/rng.ts) with the counters [block, tensor, site, 1]. Four Philox blocks give
 * 32 numbers: word j of them the numbers from 8j on, the lower half of a word first.
 */
function draw(key0: u32, key1: u32, tensor: u32, site: u32, first: u32, room: usize): void {
  const m0 = i32x4.splat(0xd2511f53)
  const m1 = i32x4.splat(0xcd9e8d57)
  for (let group: u32 = 0; group < 8; group++) {
    let c0 = i32x4.add(i32x4.splat(first + 4 * group), i32x4(0, 1, 2, 3))
    let c1 = i32x4.splat(tensor)
    let c2 = i32x4.splat(site)
    let c3 = i32x4.splat(1)
    let k0 = key0
    let k1 = key1
    for (let round = 0; round < 10; round++) {
      const a = i64x2.extmul_low_i32x4_u(c0, m0)
      const b = i64x2.extmul_high_i32x4_u(c0, m0)
      const c = i64x2.extmul_low_i32x4_u(c2, m1)
      const d = i64x2.extmul_high_i32x4_u(c2, m1)
      c0 = v128.xor(v128.xor(v128.shuffle<i32>(c, d, 1, 3, 5, 7), c1), i32x4.splat(k0))
      c1 = v128.shuffle<i32>(c, d, 0, 2, 4, 6)
      c2 = v128.xor(v128.xor(v128.shuffle<i32>(a, b, 1, 3, 5, 7), c3), i32x4.splat(k1))
      c3 = v128.shuffle<i32>(a, b, 0, 2, 4, 6)
      k0 += 0x9e3779b9
      k1 += 0xbb67ae85
    }
    const to = room + (<usize>group << 6)
    v128.store(to, c0)
    v128.store(to, c1, 16)
    v128.store(to, c2, 32)
    v128.store(to, c3, 48)
  }
}

/**
 * bfloat16 of n values, rounded up or down at random so that the mean is the value. What is above the largest bfloat16 and
 * finite becomes that; NaN and infinity stay. `index`: of the first value in its tensor, a multiple of 256.
 */
export function packBf16(
  from: usize, wide: bool, n: i32, to: usize, room: usize, key0: u32, key1: u32, tensor: u32, site: u32, index: u32,
): void {
  for (let start: i32 = 0; start < n; start += BLOCK) {
    draw(key0, key1, tensor, site, (index + start) >>> 3, room)
    const count = min(n - start, BLOCK)
    const values = blockAt(from, wide, start, count, room)
    const codes = to + (<usize>start << 1)
    let i = 0
    for (; i + 8 <= count; i += 8) {
      const at = values + (<usize>i << 2)
      const random = v128.load(room + (<usize>i << 1))
      const low = bf16Of(v128.load(at), i32x4.extend_low_i16x8_u(random))
      const high = bf16Of(v128.load(at, 16), i32x4.extend_high_i16x8_u(random))
      v128.store(codes + (<usize>i << 1), i16x8.narrow_i32x4_u(low, high))
    }
    for (; i < count; i++) {
      const random = i32x4.splat(load<u16>(room + (<usize>i << 1)))
      const code = bf16Of(v128.load32_splat(values + (<usize>i << 2)), random)
      store<u16>(codes + (<usize>i << 1), <u16>i32x4.extract_lane(code, 0))
    }
  }
}

// @ts-ignore: decorator
@inline
function bf16Of(bits: v128, random: v128): v128 {
  const magnitude = v128.and(bits, i32x4.splat(0x7fffffff))
  const upper = i32x4.shr_u(bits, 16)
  const rounded = i32x4.shr_u(i32x4.add(bits, random), 16)
  const large = i32x4.gt_s(magnitude, i32x4.splat(0x7f7effff))
  const nan = i32x4.gt_s(magnitude, i32x4.splat(0x7f800000))
  return v128.or(v128.bitselect(upper, rounded, large), v128.and(nan, i32x4.splat(0x40)))
}

export function unpackBf16(from: usize, n: i32, to: usize, wide: bool): void {
  let i: i32 = 0
  if (!wide)
    for (; i + 8 <= n; i += 8) {
      const bits = v128.load(from + (<usize>i << 1))
      const at = to + (<usize>i << 2)
      v128.store(at, i32x4.shl(i32x4.extend_low_i16x8_u(bits), 16))
      v128.store(at, i32x4.shl(i32x4.extend_high_i16x8_u(bits), 16), 16)
    }
  for (; i < n; i++) {
    const value = reinterpret<f32>(<u32>load<u16>(from + (<usize>i << 1)) << 16)
    if (wide) store<f64>(to + (<usize>i << 3), <f64>value)
    else store<f32>(to + (<usize>i << 2), value)
  }
}

/**
 * Numbers of the map times the largest magnitude of their block, the neighbour above or below at random so that the mean
 * is the value. A scale with the sign bit marks a block without negative values, which has the map for those; there nothing
 * but 0 becomes 0. Infinite values count as the largest float32; a NaN makes its block NaN.
 */
export function packInt8(
  from: usize, wide: bool, n: i32, scales: usize, codes: usize, tables: usize, room: usize,
  key0: u32, key1: u32, tensor: u32, site: u32, index: u32,
): void {
  for (let start: i32 = 0; start < n; start += BLOCK) {
    const count = min(n - start, BLOCK)
    const values = blockAt(from, wide, start, count, room)
    let largest = f32x4.splat(0)
    let below0 = i32x4.splat(0)
    let unknown = i32x4.splat(0)
    for (let i = 0; i < count; i += 4) {
      const value = v128.load(values + (<usize>i << 2))
      largest = f32x4.pmax(largest, f32x4.abs(value))
      below0 = v128.or(below0, f32x4.lt(value, f32x4.splat(0)))
      unknown = v128.or(unknown, f32x4.ne(value, value))
    }
    largest = f32x4.pmax(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1))
    largest = f32x4.pmax(largest, v128.shuffle<f32>(largest, largest, 1, 0, 3, 2))
    const most = min(f32x4.extract_lane(largest, 0), LARGEST)
    const negative = v128.any_true(below0)
    const known = !v128.any_true(unknown)
    const scale = scales + (<usize>(start / BLOCK) << 2)
    store<f32>(scale, known ? (negative || most == 0 ? most : -most) : NaN)
    if (!known || most == 0) {
      memory.fill(codes + start, 0, count)
      continue
    }
    draw(key0, key1, tensor, site, (index + start) >>> 3, room)
    const map = negative ? tables : tables + UNSIGNED
    const starts = tables + (negative ? SIGNED_STARTS : UNSIGNED_STARTS)
    const half = negative ? NEGATIVE : 0
    const high = f32x4.splat(most)
    for (let i: usize = 0; i < <usize>count << 2; i += 16)
      v128.store(room + RATIOS + i, f32x4.div(clamped(v128.load(values + i), high), high))
    // The code whose number is the largest that is not above a ratio, that number, and the next.
    for (let i = 0; i < count; i++) {
      const to = room + (<usize>i << 2)
      const bits = load<i32>(to, RATIOS)
      let at = map + (<usize>load<u8>(starts + ((bits >> 31) & half) + ((bits & 0x7fffffff) >>> 16)) << 2)
      at += <usize>i32(load<f32>(at, 4) <= reinterpret<f32>(bits)) << 2
      store<u32>(to, (at - map) >>> 2, CODES)
      store<f32>(to, load<f32>(at), BELOW)
      store<f32>(to, load<f32>(at, 4), ABOVE)
    }
    for (let i: usize = 0; i < <usize>count; i += 4) {
      const from = room + (i << 2)
      const value = clamped(v128.load(values + (i << 2)), high)
      const below = v128.load(from, BELOW)
      const above = v128.load(from, ABOVE)
      const whole = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v128.load64_zero(room + (i << 1))))
      const random = f32x4.mul(f32x4.add(whole, f32x4.splat(0.5)), f32x4.splat(1.0 / 65536))
      const up = f32x4.lt(f32x4.mul(random, f32x4.sub(above, below)), f32x4.sub(v128.load(from, RATIOS), below))
      // What was unpacked and not changed comes to the same code again.
      const exact = f32x4.eq(f32x4.mul(above, high), value)
      const rises = v128.and(v128.or(up, exact), f32x4.ne(f32x4.mul(below, high), value))
      let code = i32x4.sub(v128.load(from, CODES), rises)
      const lost = v128.and(i32x4.eq(code, i32x4.splat(0)), f32x4.gt(value, f32x4.splat(0)))
      code = i32x4.sub(code, v128.and(lost, i32x4.splat(negative ? 0 : -1)))
      const narrow = i16x8.narrow_i32x4_u(code, code)
      store<u32>(room + i, i32x4.extract_lane(i8x16.narrow_i16x8_u(narrow, narrow), 0), BYTES)
    }
    memory.copy(codes + start, room + BYTES, count)
  }
}

// @ts-ignore: decorator
@inline
function clamped(value: v128, most: v128): v128 {
  return f32x4.pmax(f32x4.neg(most), f32x4.pmin(most, value))
}

export function unpackInt8(scales: usize, codes: usize, n: i32, tables: usize, to: usize, wide: bool): void {
  for (let start: i32 = 0; start < n; start += BLOCK) {
    const end = min(n, start + BLOCK)
    const bits = load<u32>(scales + (<usize>(start / BLOCK) << 2))
    const scale = reinterpret<f32>(bits & 0x7fffffff)
    if (scale == 0) {
      const shift: usize = wide ? 3 : 2
      memory.fill(to + (<usize>start << shift), 0, <usize>(end - start) << shift)
      continue
    }
    const map = bits >>> 31 ? tables + UNSIGNED : tables
    if (wide)
      for (let i = start; i < end; i++)
        store<f64>(to + (<usize>i << 3), <f64>(load<f32>(map + (<usize>load<u8>(codes + i) << 2)) * scale))
    else
      for (let i = start; i < end; i++)
        store<f32>(to + (<usize>i << 2), load<f32>(map + (<usize>load<u8>(codes + i) << 2)) * scale)
  }
}
