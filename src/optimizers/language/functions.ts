/** The functions of the language by name: what each takes and what it means. */
import type { Distribution, Domain, ElementFunction, Reduction } from './program.js'

export type FunctionSpec =
  | { kind: 'element'; fn: ElementFunction; arity: number }
  | { kind: 'reduction'; fn: Reduction; arity: number; axis?: 'row' | 'column' }
  | { kind: 'random'; distribution: Distribution; arity: 0 }
  | { kind: 'clip'; arity: 3 }
  | { kind: 'missing'; arity: number }

const element = (fn: ElementFunction, arity: number): FunctionSpec => ({ kind: 'element', fn, arity })
const random = (distribution: Distribution): FunctionSpec => ({ kind: 'random', distribution, arity: 0 })
const reduction = (fn: Reduction, arity = 1, axis?: 'row' | 'column'): FunctionSpec => ({
  kind: 'reduction',
  fn,
  arity,
  axis,
})
const missing: FunctionSpec = { kind: 'missing', arity: 0 }

/** Functions that a rule may call. `min` and `max` of one argument are reductions, of two are elementwise. */
export const FUNCTIONS: ReadonlyMap<string, FunctionSpec> = new Map([
  ...(['abs', 'sign', 'sqrt', 'exp', 'log', 'tanh', 'sin', 'cos', 'floor', 'ceil', 'round', 'isfinite'] as const).map(
    (fn) => [fn, element(fn, 1)] as const,
  ),
  ['min', element('min', 2)],
  ['max', element('max', 2)],
  ['pow', element('^', 2)],
  ['select', element('select', 3)],
  ['clip', { kind: 'clip', arity: 3 }],
  ['sum', reduction('sum')],
  ['mean', reduction('mean')],
  ['norm', reduction('norm')],
  ['dot', reduction('dot', 2)],
  ['rowMean', reduction('mean', 1, 'row')],
  ['colMean', reduction('mean', 1, 'column')],
  ['rowSum', reduction('sum', 1, 'row')],
  ['colSum', reduction('sum', 1, 'column')],
  ['rowMax', reduction('max', 1, 'row')],
  ['colMax', reduction('max', 1, 'column')],
  ['normal', random('normal')],
  ['rademacher', random('rademacher')],
  ['uniform', random('uniform')],
  ['exponential', random('exponential')],
  ['matmul', missing],
  ['orthogonalize', missing],
  ['inverseRoot', missing],
])

/** Functions that operators stand for. */
export const OPERATOR_FUNCTIONS: ReadonlyMap<string, ElementFunction> = new Map([
  ...(['+', '-', '*', '/', '^', '<', '<=', '>', '>=', '==', '!=', 'and', 'or', 'not', 'negate'] as const).map(
    (fn) => [fn, fn] as const,
  ),
  ['?:', 'select'] as const,
])

/** Names with a meaning of their own: no slot, hyperparameter, input or local may take them. */
export const RESERVED: ReadonlySet<string> = new Set([
  ...FUNCTIONS.keys(),
  ...['x', 'g', 't', 'all', 'matrix', 'size', 'sizeAll', 'pi', 'report', 'and', 'or', 'not', 'xor', 'mod', 'to', 'in'],
  ...['true', 'false', 'null', 'undefined', 'NaN', 'Infinity', 'end'],
])

const CONTAINS: Readonly<Record<Domain, readonly Domain[]>> = {
  global: ['global'],
  scalar: ['scalar', 'global'],
  row: ['row', 'scalar', 'global'],
  column: ['column', 'scalar', 'global'],
  tensor: ['tensor', 'row', 'column', 'scalar', 'global'],
}

/** Whether a value of one domain can be used where another is computed. */
export const broadcasts = (from: Domain, to: Domain): boolean => CONTAINS[to].includes(from)

/** The smallest domain that both broadcast to. */
export const join = (a: Domain, b: Domain): Domain => (broadcasts(a, b) ? b : broadcasts(b, a) ? a : 'tensor')
