/**
 * Points of a search space as vectors of the unit cube: one coordinate per parameter, in the order of the space; of a
 * permutation one per item.
 *
 * - float: linear, or linear in the logarithm.
 * - int, float with a step, categorical, ordinal: n values share [0, 1] equally; a value is encoded as the middle of
 *   its share, so a uniform coordinate gives a uniform value.
 * - int on a log scale: k owns the share of [k - 1/2, k + 1/2] on the logarithm of [low - 1/2, high + 1/2].
 * - permutation: the items in the order of their coordinates, of equal ones in that of the space (random keys: J. C. Bean,
 *   "Genetic Algorithms and Random Keys for Sequencing and Optimization", 1994). An item is encoded as its place.
 *
 * Where the space has constraints, every vector stands for a point that satisfies them: see feasible.ts.
 *
 * decode(encode(p)) = p exactly for all but continuous floats (up to 2^50 values, on a log scale up to 10^12). Those
 * have more values than [0, 1] and come back within rounding of the coordinate; their ends come back exactly.
 */
import { violated } from '../../core/constraints.js'
import {
  isActive,
  type Parameter,
  type Params,
  type ParamValue,
  type Scalar,
  type SearchSpace,
} from '../../core/space.js'
import { repairOf } from './feasible.js'

/** One parameter, or one item of a permutation, as a coordinate in [0, 1]. */
export type Axis = {
  parameter: Parameter
  /** How many values it can take; Infinity for continuous floats. */
  size: number
  /** False for categoricals, whose neighbouring coordinates mean nothing. */
  ordered: boolean
  /** The value at a coordinate; coordinates outside of [0, 1] are clamped. */
  decode(u: number): ParamValue
  /** The coordinate of a value of the parameter. */
  encode(value: ParamValue): number
  /** The numbered values of all but continuous floats. */
  values?: Values
}

/** Values 0 to size - 1, each the owner of a share of [0, 1]. */
export type Values = {
  at(i: number): ParamValue
  /** The number of the value at a coordinate. */
  index(u: number): number
  /** Where the share of value i begins; edge(size) is 1. */
  edge(i: number): number
}

export type Encoding = {
  axes: readonly Axis[]
  /** Coordinates per point. */
  dimension: number
  /** Distinct points of the space, conditions counted and constraints not; Infinity where a float is continuous. */
  cardinality: number
  /** The point of the vector that starts at `offset`, active parameters only; moved to where the constraints hold. */
  decode(u: ArrayLike<number>, offset?: number): Params
  /** As `decode`, wherever that is. */
  decodeAnywhere(u: ArrayLike<number>, offset?: number): Params
  /** Whether the constraints of the space hold at a point. */
  feasible(params: Params): boolean
  /** Whether the space has constraints. */
  constrained: boolean
  /** A few vectors whose points satisfy the constraints; empty where none was found. */
  anchors(): readonly Float64Array[]
  /** Coordinates (1/2 where inactive) and a mask of active parameters (1 or 0). The point must lie in the space. */
  encode(params: Params): { u: Float64Array; active: Uint8Array }
  /** The distinct point of this number, from 0 to cardinality - 1; of finite spaces only, constraints aside. */
  point(number: number): Params
}

const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high)

/** n values that share the unit interval equally. */
function shares(
  parameter: Parameter,
  size: number,
  at: (i: number) => ParamValue,
  number: (v: ParamValue) => number,
): Axis {
  const index = (u: number) => clamp(Math.floor(u * size), 0, size - 1)
  return {
    parameter,
    size,
    ordered: parameter.type !== 'categorical',
    decode: (u) => at(index(u)),
    encode: (v) => (number(v) + 0.5) / size,
    values: { at, index, edge: (i) => i / size },
  }
}

/** x without the last digit's noise of decimal steps: 0.30000000000000004 becomes 0.3. */
function tidy(x: number): number {
  const short = Number(x.toPrecision(15))
  return Math.abs(short - x) <= 2 * Number.EPSILON * Math.abs(x) ? short : x
}

function axisOf(p: Exclude<Parameter, { type: 'permutation' }>): Axis {
  if (p.type === 'categorical' || p.type === 'ordinal')
    return shares(
      p,
      p.choices.length,
      (i) => p.choices[i],
      (v) => p.choices.indexOf(v as Scalar),
    )
  const { low, high, log, type } = p
  const step = p.step ?? (type === 'int' ? 1 : undefined)
  if (low === high)
    return shares(
      p,
      1,
      () => low,
      () => 0,
    )
  if (step !== undefined && !log) {
    // The tolerance of core/space `contains`: (1 - 0) / 0.1 is ten steps whatever the rounding.
    const steps = (high - low) / step
    const rounding = (4 * Number.EPSILON * Math.max(Math.abs(low), Math.abs(high))) / step
    const size = Math.floor(steps + 1e-9 * Math.max(1, steps) + rounding) + 1
    const value = (i: number) => clamp(type === 'int' ? low + i * step : tidy(low + i * step), low, high)
    return shares(p, size, value, (v) => clamp(Math.round(((v as number) - low) / step), 0, size - 1))
  }
  if (type === 'int') {
    const from = Math.log(low - 0.5)
    const width = Math.log(high + 0.5) - from
    const nearest = (u: number) => clamp(Math.round(Math.exp(from + clamp(u, 0, 1) * width)), low, high)
    return {
      parameter: p,
      size: high - low + 1,
      ordered: true,
      decode: nearest,
      encode: (v) => (Math.log(v as number) - from) / width,
      values: {
        at: (i) => low + i,
        index: (u) => nearest(u) - low,
        edge: (i) => (Math.log(low + i - 0.5) - from) / width,
      },
    }
  }
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high]
  // Halved where the width of the range is beyond the largest number.
  const scale = Number.isFinite(to - from) ? 1 : 0.5
  const width = to * scale - from * scale
  return {
    parameter: p,
    size: Number.POSITIVE_INFINITY,
    ordered: true,
    decode: (u) => {
      if (u <= 0) return low
      if (u >= 1) return high
      const x = scale === 1 ? from + u * width : from * (1 - u) + to * u
      return clamp(log ? Math.exp(x) : x, low, high)
    },
    encode: (v) => {
      const x = log ? Math.log(v as number) : (v as number)
      return clamp((x * scale - from * scale) / width, 0, 1)
    },
  }
}

/** A parameter with its coordinates. */
type Part = {
  parameter: Parameter
  axes: readonly Axis[]
  /** Distinct values. */
  size: number
  at(i: number): ParamValue
  decode(u: ArrayLike<number>, offset: number): ParamValue
  encode(value: ParamValue, u: Float64Array, offset: number): void
}

/** Permutations of more items have more orders than numbers can count. */
const COUNTED_ITEMS = 18
const factorial = (n: number): number =>
  n > COUNTED_ITEMS ? Number.POSITIVE_INFINITY : n < 2 ? 1 : n * factorial(n - 1)

/** The order of this number in the factorial number system. */
function orderOf(items: readonly Scalar[], number: number): Scalar[] {
  const left = [...items]
  return items.map(() => {
    const below = factorial(left.length - 1)
    const k = Math.floor(number / below)
    number -= k * below
    return left.splice(k, 1)[0]
  })
}

function partOf(p: Parameter): Part {
  if (p.type !== 'permutation') {
    const axis = axisOf(p)
    return {
      parameter: p,
      axes: [axis],
      size: axis.size,
      at: (i) => axis.values!.at(i),
      decode: (u, offset) => axis.decode(u[offset]),
      encode: (value, u, offset) => {
        u[offset] = axis.encode(value)
      },
    }
  }
  const { items } = p
  const n = items.length
  const key = shares(
    p,
    n,
    (place) => place,
    (place) => place as number,
  )
  return {
    parameter: p,
    axes: items.map(() => key),
    size: factorial(n),
    at: (i) => orderOf(items, i),
    decode: (u, offset) =>
      Array.from(items.keys())
        .sort((a, b) => u[offset + a] - u[offset + b] || a - b)
        .map((i) => items[i]),
    encode: (value, u, offset) => {
      const places = new Map((value as readonly Scalar[]).map((item, place) => [item, place]))
      items.forEach((item, i) => {
        u[offset + i] = key.encode(places.get(item)!)
      })
    },
  }
}

/** Parts below the root (parent undefined) or below one value of a parent. */
const childrenOf = (parts: readonly Part[], parent?: string, value?: ParamValue) =>
  parts.filter(({ parameter: { condition } }) =>
    condition ? condition.parent === parent && condition.values.includes(value as Scalar) : parent === undefined,
  )

/** Distinct points of these parts and all that their values wake. */
const product = (all: readonly Part[], parts: readonly Part[]): number =>
  parts.reduce((n, part) => n * count(all, part), 1)

function count(all: readonly Part[], { parameter: { name }, size }: Part): number {
  const named = new Set(
    all.flatMap(({ parameter: { condition } }) => (condition?.parent === name ? condition.values : [])),
  )
  return [...named].reduce<number>((n, v) => n + product(all, childrenOf(all, name, v)), size - named.size)
}

/** Writes the point number `k` of these parts (mixed radix, a value's weight being the points below it). */
function write(all: readonly Part[], parts: readonly Part[], k: number, params: Record<string, ParamValue>): void {
  for (const part of parts) {
    const { name } = part.parameter
    const total = count(all, part)
    let rest = k % total
    k = Math.floor(k / total)
    if (!all.some(({ parameter: { condition } }) => condition?.parent === name)) {
      params[name] = part.at(rest)
      continue
    }
    for (let i = 0; i < part.size; i++) {
      const value = part.at(i)
      const below = childrenOf(all, name, value)
      const n = product(all, below)
      if (rest < n) {
        params[name] = value
        write(all, below, rest, params)
        break
      }
      rest -= n
    }
  }
}

/** The encoding of a search space that core/space `checkSpace` accepts. */
export function encodingOf(space: SearchSpace): Encoding {
  const parts = space.parameters.map(partOf)
  const axes = parts.flatMap((part) => part.axes)
  const constrained = (space.constraints?.length ?? 0) > 0
  const encoding: Encoding = {
    axes,
    dimension: axes.length,
    cardinality: product(parts, childrenOf(parts)),
    constrained,
    decodeAnywhere(u, offset = 0) {
      const params: Record<string, ParamValue> = {}
      let at = offset
      for (const part of parts) {
        if (isActive(part.parameter, params)) params[part.parameter.name] = part.decode(u, at)
        at += part.axes.length
      }
      return params
    },
    decode: (u, offset = 0) => encoding.decodeAnywhere(u, offset),
    feasible: (params) => violated(space, params).length === 0,
    anchors: () => [],
    encode(params) {
      const u = new Float64Array(axes.length).fill(0.5)
      const active = new Uint8Array(axes.length)
      let at = 0
      for (const part of parts) {
        if (Object.hasOwn(params, part.parameter.name)) {
          part.encode(params[part.parameter.name], u, at)
          active.fill(1, at, at + part.axes.length)
        }
        at += part.axes.length
      }
      return { u, active }
    },
    point(number) {
      const params: Record<string, ParamValue> = {}
      write(parts, childrenOf(parts), number, params)
      return params
    },
  }
  return constrained ? { ...encoding, ...repairOf(space, encoding) } : encoding
}
