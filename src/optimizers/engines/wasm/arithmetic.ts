/** The functions and reductions of the language in WebAssembly, over lanes of any width. */
import type { Call, Node, Reduce } from '../graph.js'
import { type Binary, type Expr, HOSTED, isBinary, isComparison, isUnary, type Lanes, type Module } from './lanes.js'
import { isVectorFunction } from './math.js'

/** Reads the arguments of a function, as values and as masks. Each call makes a new expression. */
export type Arguments = { value: (node: Node) => Expr; mask: (node: Node) => Expr }

/** Whether a function's value is true or false by nature, so that it is best kept as a mask. */
export const isMask = (fn: Call['fn']): boolean => isComparison(fn) || ['and', 'or', 'not', 'isfinite'].includes(fn)

/** One function applied to values. */
export function compute(m: Module, lanes: Lanes, node: Call, args: Arguments): Expr {
  const { value, mask } = args
  const { fn } = node
  const [a, b, c] = node.args
  if (isMask(fn)) return lanes.select(computeMask(lanes, node, args), lanes.constant(1), lanes.constant(0))
  if (isBinary(fn)) return lanes.binary(fn, value(a), value(b))
  if (isUnary(fn)) return lanes.unary(fn, value(a))
  if (fn === 'broadcast') return value(a)
  if (fn === 'select') return lanes.select(mask(a), value(b), value(c))
  if (fn === 'sign') {
    const zero = () => lanes.constant(0)
    const signed = lanes.or(lanes.compare('<', value(a), zero()), lanes.compare('>', value(a), zero()))
    return lanes.select(signed, lanes.copysign(lanes.constant(1), value(a)), value(a))
  }
  if (isVectorFunction(fn)) return lanes.apply(fn, () => value(a))
  if (!(HOSTED as readonly string[]).includes(fn)) throw new Error(`${fn} has no code`)
  return lanes.gather((lane) => {
    const numbers = node.args.map((arg) => lanes.extract(value(arg), lane))
    return m.call(fn, numbers, lanes.hostType)
  })
}

/** A comparison or logic as a mask. */
export function computeMask(lanes: Lanes, { fn, args }: Call, { value, mask }: Arguments): Expr {
  const [a, b] = args
  if (isComparison(fn)) return lanes.compare(fn, value(a), value(b))
  if (fn === 'isfinite')
    return lanes.compare('<', lanes.unary('abs', value(a)), lanes.constant(Number.POSITIVE_INFINITY))
  if (fn === 'not') return lanes.not(mask(a))
  return fn === 'and' ? lanes.and(mask(a), mask(b)) : lanes.or(mask(a), mask(b))
}

/** What a total starts with, and how a value or another total joins it. */
export const REDUCTIONS: Readonly<Record<Reduce['fn'], { start: number; join: Binary }>> = {
  sum: { start: 0, join: '+' },
  mean: { start: 0, join: '+' },
  norm: { start: 0, join: '+' },
  dot: { start: 0, join: '+' },
  max: { start: Number.NEGATIVE_INFINITY, join: 'max' },
  min: { start: Number.POSITIVE_INFINITY, join: 'min' },
}

/** A total with one more value in it; all are of these lanes. */
export function accumulate(lanes: Lanes, { fn, args }: Reduce, total: Expr, value: (node: Node) => Expr): Expr {
  const [a, b = a] = args
  const term = fn === 'norm' || fn === 'dot' ? lanes.binary('*', value(a), value(b)) : value(a)
  return lanes.binary(REDUCTIONS[fn].join, total, term)
}

/** What a reduction comes to, from the total of all its values. */
export function finish(m: Module, { fn }: Reduce, total: Expr, count: Expr): Expr {
  if (fn === 'mean') return m.f64.div(total, count)
  return fn === 'norm' ? m.f64.sqrt(total) : total
}
