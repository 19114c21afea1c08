/**
 * The arithmetic of one value type in WebAssembly: four f32 or two f64 at once, or one of either for the tails of
 * loops and for numbers. The generator is written once over these.
 */
import type binaryen from 'binaryen'

export type Module = binaryen.Module
export type Expr = binaryen.ExpressionRef
export type Precision = 'f32' | 'f64'
export const BYTES: Readonly<Record<Precision, number>> = { f32: 4, f64: 8 }

export type Comparison = '<' | '<=' | '>' | '>=' | '==' | '!='
export type Binary = '+' | '-' | '*' | '/' | 'min' | 'max'
export type Unary = 'negate' | 'abs' | 'sqrt' | 'floor' | 'ceil' | 'round'
/** Functions without an instruction, called lane by lane from the host in float64. */
export type Hosted = 'sin' | 'cos' | '^'
export const HOSTED: readonly Hosted[] = ['sin', 'cos', '^']

const COMPARE: Readonly<Record<Comparison, 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne'>> = {
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '==': 'eq',
  '!=': 'ne',
}
const BINARY: Readonly<Record<Binary, 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max'>> = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '/': 'div',
  min: 'min',
  max: 'max',
}
const UNARY: Readonly<Record<Unary, 'neg' | 'abs' | 'sqrt' | 'floor' | 'ceil' | 'nearest'>> = {
  negate: 'neg',
  abs: 'abs',
  sqrt: 'sqrt',
  floor: 'floor',
  ceil: 'ceil',
  round: 'nearest',
}
export const isComparison = (fn: string): fn is Comparison => fn in COMPARE
export const isBinary = (fn: string): fn is Binary => fn in BINARY
export const isUnary = (fn: string): fn is Unary => fn in UNARY

export interface Lanes {
  readonly width: number
  /** Bytes that one step of a loop moves on. */
  readonly bytes: number
  readonly type: binaryen.Type
  readonly maskType: binaryen.Type
  /** f64: what host functions take and give. */
  readonly hostType: binaryen.Type
  load(pointer: Expr): Expr
  store(pointer: Expr, value: Expr): Expr
  /** All lanes from one f64. */
  splat(number: Expr): Expr
  constant(value: number): Expr
  unary(fn: Unary, a: Expr): Expr
  binary(fn: Binary, a: Expr, b: Expr): Expr
  compare(fn: Comparison, a: Expr, b: Expr): Expr
  and(a: Expr, b: Expr): Expr
  or(a: Expr, b: Expr): Expr
  not(a: Expr): Expr
  select(mask: Expr, a: Expr, b: Expr): Expr
  /** The magnitude of `a` with the sign of `b`. */
  copysign(a: Expr, b: Expr): Expr
  /** One lane as f64, and the lanes of f64 values made by `lane`. */
  extract(value: Expr, lane: number): Expr
  gather(lane: (lane: number) => Expr): Expr
  /** Applies a function of two f64 lanes. */
  apply(fn: string, value: () => Expr): Expr
  /** One part of the lanes as the f64 lanes in which sums are kept: a vector of f32 has two parts. */
  widen(value: Expr, part: number): Expr
  readonly parts: number
  readonly wide: Lanes
}

type B = typeof binaryen

const ZEROS = new Uint8Array(16)
/** Moves the high half of a vector to the low half. */
const HIGH = Uint8Array.of(8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
/** Joins the low halves of two vectors. */
const LOW_HALVES = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)

/** One number at a time. */
export function scalarLanes(b: B, m: Module, precision: Precision): Lanes {
  const ops = m[precision]
  const isF32 = precision === 'f32'
  const narrow = (value: Expr) => (isF32 ? m.f32.demote(value) : value)
  const promote = (value: Expr) => (isF32 ? m.f64.promote(value) : value)
  const lanes: Lanes = {
    width: 1,
    bytes: BYTES[precision],
    type: b[precision],
    maskType: b.i32,
    hostType: b.f64,
    load: (pointer) => ops.load(0, 1, pointer),
    store: (pointer, value) => ops.store(0, 1, pointer, value),
    splat: narrow,
    constant: (value) => ops.const(value),
    unary: (fn, a) => ops[UNARY[fn]](a),
    binary: (fn, x, y) => ops[BINARY[fn]](x, y),
    compare: (fn, x, y) => ops[COMPARE[fn]](x, y),
    and: (x, y) => m.i32.and(x, y),
    or: (x, y) => m.i32.or(x, y),
    not: (a) => m.i32.eqz(a),
    select: (mask, x, y) => m.select(mask, x, y),
    copysign: (x, y) => ops.copysign(x, y),
    extract: (value) => promote(value),
    gather: (lane) => narrow(lane(0)),
    apply: (fn, value) => narrow(m.f64x2.extract_lane(m.call(fn, [m.f64x2.splat(promote(value()))], b.v128), 0)),
    widen: (value) => promote(value),
    parts: 1,
    get wide() {
      return isF32 ? scalarLanes(b, m, 'f64') : lanes
    },
  }
  return lanes
}

/** As many numbers as 16 bytes hold. */
export function vectorLanes(b: B, m: Module, precision: Precision): Lanes {
  const isF32 = precision === 'f32'
  const ops = isF32 ? m.f32x4 : m.f64x2
  const width = isF32 ? 4 : 2
  const narrow = (value: Expr) => (isF32 ? m.f32.demote(value) : value)
  const constant = (value: number) => ops.splat(m[precision].const(value))
  const lanes: Lanes = {
    width,
    bytes: 16,
    type: b.v128,
    maskType: b.v128,
    hostType: b.f64,
    load: (pointer) => m.v128.load(0, 1, pointer),
    store: (pointer, value) => m.v128.store(0, 1, pointer, value),
    splat: (number) => ops.splat(narrow(number)),
    constant,
    unary: (fn, a) => ops[UNARY[fn]](a),
    binary: (fn, x, y) => ops[BINARY[fn]](x, y),
    compare: (fn, x, y) => ops[COMPARE[fn]](x, y),
    and: (x, y) => m.v128.and(x, y),
    or: (x, y) => m.v128.or(x, y),
    not: (a) => m.v128.not(a),
    select: (mask, x, y) => m.v128.bitselect(x, y, mask),
    copysign: (x, y) => m.v128.bitselect(y, x, constant(-0)),
    extract: (value, lane) => {
      const one = ops.extract_lane(value, lane)
      return isF32 ? m.f64.promote(one) : one
    },
    gather: (lane) => {
      let all = ops.splat(narrow(lane(0)))
      for (let i = 1; i < width; i++) all = ops.replace_lane(all, i, narrow(lane(i)))
      return all
    },
    apply: (fn, value) => {
      const parts = Array.from({ length: lanes.parts }, (_, part) => m.call(fn, [lanes.widen(value(), part)], b.v128))
      if (!isF32) return parts[0]
      const [low, high] = parts.map((part) => m.f32x4.demote_f64x2_zero(part))
      return m.i8x16.shuffle(low, high, LOW_HALVES)
    },
    widen: (value, part) => {
      if (!isF32) return value
      return m.f64x2.promote_low_f32x4(part === 0 ? value : m.i8x16.shuffle(value, m.v128.const(ZEROS), HIGH))
    },
    parts: isF32 ? 2 : 1,
    get wide() {
      return isF32 ? vectorLanes(b, m, 'f64') : lanes
    },
  }
  return lanes
}
