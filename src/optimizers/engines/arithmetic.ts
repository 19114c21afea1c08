/** What the functions of the language mean, in float64: the reference, and what engines compute numbers with on the host. */
import type { ElementFunction, Reduction } from '../language/program.js'

/** Elementwise functions on float64. */
export const ELEMENT: Readonly<Record<ElementFunction, (a: number, b: number, c: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '^': (a, b) => a ** b,
  negate: (a) => -a,
  '<': (a, b) => Number(a < b),
  '<=': (a, b) => Number(a <= b),
  '>': (a, b) => Number(a > b),
  '>=': (a, b) => Number(a >= b),
  '==': (a, b) => Number(a === b),
  '!=': (a, b) => Number(a !== b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
  not: (a) => Number(a === 0),
  select: (a, b, c) => (a !== 0 ? b : c),
  abs: Math.abs,
  sign: Math.sign,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundToEven,
  isfinite: (a) => Number(Number.isFinite(a)),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
}

/** IEEE 754 rounding to the nearest integer, ties to even. */
function roundToEven(a: number): number {
  const r = Math.round(a)
  return r - a === 0.5 && r % 2 !== 0 ? r - 1 : r
}

/**
 * Start, one step and end of each reduction; `count` is the number of values reduced. `join` makes one of what two parts
 * of the values came to, before the end.
 */
export const REDUCE: Readonly<
  Record<
    Reduction,
    {
      start: number
      step: (sum: number, a: number, b: number) => number
      join: (sum: number, other: number) => number
      end: (sum: number, count: number) => number
    }
  >
> = {
  sum: { start: 0, step: (sum, a) => sum + a, join: plus, end: same },
  mean: { start: 0, step: (sum, a) => sum + a, join: plus, end: (sum, count) => sum / count },
  norm: { start: 0, step: (sum, a) => sum + a * a, join: plus, end: Math.sqrt },
  dot: { start: 0, step: (sum, a, b) => sum + a * b, join: plus, end: same },
  max: { start: Number.NEGATIVE_INFINITY, step: (most, a) => Math.max(most, a), join: Math.max, end: same },
  min: { start: Number.POSITIVE_INFINITY, step: (least, a) => Math.min(least, a), join: Math.min, end: same },
}

function plus(a: number, b: number): number {
  return a + b
}
function same(a: number): number {
  return a
}
