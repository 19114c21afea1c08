/**
 * Reductions in f32. Squares and products leave its range long before the numbers do: those that are too large or too
 * small are summed apart, scaled by powers of two, and put together in float64 on the host.
 */
import type { Reduction } from '../../language/program.js'
import type { Reduce } from '../graph.js'

const isProduct = (fn: Reduction) => fn === 'norm' || fn === 'dot'
/** A variable of a shader that takes a part of a reduction. */
export type Part = { fn: Reduction; name: string }
/** Of products, those of common size, the huge and the tiny ones are summed apart. */
export const partsOf = (sums: readonly Reduce[]): Part[] =>
  sums.flatMap(({ fn, id }) =>
    (isProduct(fn) ? ['', 'huge', 'tiny'] : ['']).map((end) => ({ fn, name: `s${id}${end}` })),
  )

/** Powers of two by which the factors are scaled. */
const HUGE_SCALE = -80
const TINY_SCALE = 60

/** What a block's partial sums come to. */
export const combine = (parts: ArrayLike<number>, at: number, { fn }: Reduce): number =>
  isProduct(fn) ? parts[at] + parts[at + 1] * 4 ** -HUGE_SCALE + parts[at + 2] * 4 ** -TINY_SCALE : parts[at]

export const START: Readonly<Record<Reduction, string>> = {
  sum: 'V(0)',
  mean: 'V(0)',
  norm: 'V(0)',
  dot: 'V(0)',
  max: '-infinity()',
  min: 'infinity()',
}

const plus = (a: string, b: string) => `${a} + ${b}`

/** One f32 of two. */
export const JOIN = {
  sum: plus,
  mean: plus,
  norm: plus,
  dot: plus,
  max: (a: string, b: string) => `larger(${a}, ${b})`,
  min: (a: string, b: string) => `smaller(${a}, ${b})`,
} as const satisfies Record<Reduction, (a: string, b: string) => string>
export const JOIN_FUNCTIONS = `
fn isNumber(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) <= 0x7f800000u; }
fn larger(a: f32, b: f32) -> f32 { return select(a + b, select(a, b, b > a), isNumber(a) && isNumber(b)); }
fn smaller(a: f32, b: f32) -> f32 { return select(a + b, select(a, b, b < a), isNumber(a) && isNumber(b)); }`

type Lines = (name: string, a: string, b: string, inside?: string) => string[]
const within = (inside: string | undefined, start: string, value: string) =>
  inside === undefined ? value : `select(${start}, ${value}, ${inside})`

const sum: Lines = (name, a, _, inside) => [`${name} += ${within(inside, 'V(0)', a)};`]
const product: Lines = (name, a, b, inside) => [
  `let ${name}product = ${a} * ${b};`,
  `let ${name}isHuge = abs(${name}product) > V(${2 ** 100});`,
  `let ${name}isTiny = abs(${name}product) < V(${2 ** -60});`,
  `${name} += ${within(inside, 'V(0)', `select(${name}product, V(0), ${name}isHuge | ${name}isTiny)`)};`,
  `${name}huge += ${within(inside, 'V(0)', `select(V(0), scaled(${a}, ${HUGE_SCALE}) * scaled(${b}, ${HUGE_SCALE}), ${name}isHuge)`)};`,
  `${name}tiny += ${within(inside, 'V(0)', `select(V(0), scaled(${a}, ${TINY_SCALE}) * scaled(${b}, ${TINY_SCALE}), ${name}isTiny)`)};`,
]

/** Lines that take another value into the sums. */
export const ACCUMULATE: Readonly<Record<Reduction, Lines>> = {
  sum,
  mean: sum,
  norm: product,
  dot: product,
  max: (name, a, _, inside) => [`${name} = greater(${name}, ${within(inside, '-infinity()', a)});`],
  min: (name, a, _, inside) => [`${name} = lesser(${name}, ${within(inside, 'infinity()', a)});`],
}
