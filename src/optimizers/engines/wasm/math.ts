/**
 * Elementary functions of two f64 lanes at once, within two units in the last place. Argument reductions and the
 * logarithm's polynomial follow fdlibm (Sun Microsystems, 1993); the other polynomials are Taylor's.
 */
import type binaryen from 'binaryen'
import type { Expr, Module } from './lanes.js'

/** A value of two lanes, kept in a local: it may be used any number of times. */
export type Vec = () => Expr

const LN2_HIGH = 0.6931471803691238
const LN2_LOW = 1.9082149292705877e-10
const LOG_COEFFICIENTS = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
]
/** 1/1!, 1/2!, ... to 1/n!. */
const inverseFactorials = (n: number) => {
  const terms = [1]
  for (let k = 2; k <= n; k++) terms.push(terms[k - 2] / k)
  return terms
}
const EXP_COEFFICIENTS = inverseFactorials(13)
/** Of sin(r)/r and of cos(r) in powers of r^2. */
const SIN_COEFFICIENTS = inverseFactorials(17).flatMap((c, i) => (i % 2 === 0 ? [i % 4 === 0 ? c : -c] : []))
const COS_COEFFICIENTS = [1, ...inverseFactorials(16).flatMap((c, i) => (i % 2 === 1 ? [i % 4 === 1 ? -c : c] : []))]

/** Writes straight-line vector code. */
export class VectorCode {
  readonly statements: Expr[] = []
  readonly vars: binaryen.Type[] = []

  constructor(
    readonly b: typeof binaryen,
    readonly m: Module,
    private readonly params: number,
  ) {}

  keep(value: Expr): Vec {
    const local = this.params + this.vars.push(this.b.v128) - 1
    this.statements.push(this.m.local.set(local, value))
    return () => this.m.local.get(local, this.b.v128)
  }
  parameter(index: number): Vec {
    return () => this.m.local.get(index, this.b.v128)
  }
  constant(value: number): Vec {
    return () => this.m.f64x2.splat(this.m.f64.const(value))
  }
  add = (x: Vec, y: Vec): Vec => this.keep(this.m.f64x2.add(x(), y()))
  subtract = (x: Vec, y: Vec): Vec => this.keep(this.m.f64x2.sub(x(), y()))
  multiply = (x: Vec, y: Vec): Vec => this.keep(this.m.f64x2.mul(x(), y()))
  divide = (x: Vec, y: Vec): Vec => this.keep(this.m.f64x2.div(x(), y()))
  scale = (x: Vec, factor: number): Vec => this.multiply(x, this.constant(factor))
  round = (x: Vec): Vec => this.keep(this.m.f64x2.nearest(x()))
  negate = (x: Vec): Vec => this.keep(this.m.f64x2.neg(x()))
  select = (mask: Vec, x: Vec, y: Vec): Vec => this.keep(this.m.v128.bitselect(x(), y(), mask()))
  clamp = (x: Vec, low: number, high: number): Vec =>
    this.keep(this.m.f64x2.min(this.m.f64x2.max(x(), this.constant(low)()), this.constant(high)()))

  /** c[0] + c[1] x + c[2] x^2 + ... */
  polynomial(x: Vec, coefficients: readonly number[]): Vec {
    const descending = [...coefficients].reverse()
    return descending
      .slice(1)
      .reduce((sum, c) => this.add(this.multiply(sum, x), this.constant(c)), this.constant(descending[0]))
  }

  /** 2^n for whole n from -1022 to 1023. */
  private powerOfTwo(n: Vec): Vec {
    const { m } = this
    const whole = m.i64x2.extend_low_i32x4_s(m.i32x4.trunc_sat_f64x2_s_zero(n()))
    return this.keep(m.i64x2.shl(m.i64x2.add(whole, m.i64x2.splat(m.i64.const(1023))), m.i32.const(52)))
  }

  /** x = n ln 2 + r with whole n: gives n, and e^r - 1. */
  private reduceExponent(x: Vec): { n: Vec; minusOne: Vec } {
    const n = this.round(this.scale(x, Math.LOG2E))
    const r = this.subtract(this.subtract(x, this.scale(n, LN2_HIGH)), this.scale(n, LN2_LOW))
    return { n, minusOne: this.multiply(r, this.polynomial(r, EXP_COEFFICIENTS)) }
  }

  exp(x: Vec): Vec {
    const { n, minusOne } = this.reduceExponent(this.clamp(x, -746, 710))
    // In two factors, as 2^n itself may be out of range where the result is not.
    const half = this.keep(this.m.f64x2.floor(this.scale(n, 0.5)()))
    const first = this.multiply(this.add(minusOne, this.constant(1)), this.powerOfTwo(half))
    return this.multiply(first, this.powerOfTwo(this.subtract(n, half)))
  }

  tanh(x: Vec): Vec {
    const { m } = this
    const twice = this.scale(this.clamp(this.keep(m.f64x2.abs(x())), 0, 20), 2)
    const { n, minusOne } = this.reduceExponent(twice)
    const power = this.multiply(this.add(minusOne, this.constant(1)), this.powerOfTwo(n))
    const isSmall = this.keep(m.f64x2.eq(n(), this.constant(0)()))
    const e = this.select(isSmall, minusOne, this.subtract(power, this.constant(1)))
    const size = this.divide(e, this.add(e, this.constant(2)))
    return this.select(this.constant(-0), x, size)
  }

  log(x: Vec): Vec {
    const { m } = this
    const isTiny = this.keep(m.f64x2.lt(x(), this.constant(2 ** -1022)()))
    const scaled = this.select(isTiny, this.scale(x, 2 ** 54), x)
    // scaled = 2^k y with y from sqrt(1/2) to sqrt(2), from the bits.
    const bitsOfRootHalf = m.i64x2.splat(m.i64.reinterpret(m.f64.const(Math.SQRT1_2)))
    const exponent = this.keep(m.i64x2.shr_s(m.i64x2.sub(scaled(), bitsOfRootHalf), m.i32.const(52)))
    const y = this.keep(m.i64x2.sub(scaled(), m.i64x2.shl(exponent(), m.i32.const(52))))
    const low = m.i8x16.shuffle(exponent(), exponent(), [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11])
    const shift = this.select(isTiny, this.constant(-54), this.constant(0))
    const k = this.add(this.keep(m.f64x2.convert_low_i32x4_s(low)), shift)
    const f = this.subtract(y, this.constant(1))
    const s = this.divide(f, this.add(f, this.constant(2)))
    const z = this.multiply(s, s)
    const rest = this.multiply(z, this.polynomial(z, LOG_COEFFICIENTS))
    const half = this.scale(this.multiply(f, f), 0.5)
    const correction = this.add(this.multiply(s, this.add(half, rest)), this.scale(k, LN2_LOW))
    const finite = this.subtract(this.scale(k, LN2_HIGH), this.subtract(this.subtract(half, correction), f))
    const isBounded = this.keep(m.f64x2.lt(x(), this.constant(Number.POSITIVE_INFINITY)()))
    const isZero = this.keep(m.f64x2.eq(x(), this.constant(0)()))
    const isPositive = this.keep(m.f64x2.gt(x(), this.constant(0)()))
    const below = this.select(isZero, this.constant(Number.NEGATIVE_INFINITY), this.constant(Number.NaN))
    return this.select(isPositive, this.select(isBounded, finite, x), below)
  }

  /** Sine and cosine of 2 pi u, for u from 0 to 1. */
  turn(u: Vec): { sin: Vec; cos: Vec } {
    const { m } = this
    const quarters = this.round(this.scale(u, 4))
    const r = this.scale(this.subtract(u, this.scale(quarters, 0.25)), 2 * Math.PI)
    const z = this.multiply(r, r)
    const sin = this.multiply(r, this.polynomial(z, SIN_COEFFICIENTS))
    const cos = this.polynomial(z, COS_COEFFICIENTS)
    const isQuarter = (q: number) => this.keep(m.f64x2.eq(quarters(), this.constant(q)()))
    const [one, two, three] = [isQuarter(1), isQuarter(2), isQuarter(3)]
    const isOdd = this.keep(m.v128.or(one(), three()))
    const signed = (negative: Vec, value: Vec) => this.select(negative, this.negate(value), value)
    return {
      sin: signed(this.keep(m.v128.or(two(), three())), this.select(isOdd, cos, sin)),
      cos: signed(this.keep(m.v128.or(one(), two())), this.select(isOdd, sin, cos)),
    }
  }
}

/** Functions of rules that have vector code. */
export const VECTOR_FUNCTIONS = ['exp', 'log', 'tanh'] as const
export type VectorFunction = (typeof VECTOR_FUNCTIONS)[number]
export const isVectorFunction = (fn: string): fn is VectorFunction =>
  (VECTOR_FUNCTIONS as readonly string[]).includes(fn)

/** Adds a function of two f64 lanes to a module. */
export function addVectorFunction(b: typeof binaryen, m: Module, fn: VectorFunction): void {
  const code = new VectorCode(b, m, 1)
  const result = code[fn](code.parameter(0))
  m.addFunction(fn, b.v128, b.v128, code.vars, m.block(null, [...code.statements, result()], b.v128))
}
