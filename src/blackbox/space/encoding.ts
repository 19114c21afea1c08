/**
 * Points of a search space as vectors of the unit cube: one coordinate per parameter, in the order of the space.
 *
 * - float: linear, or linear in the logarithm.
 * - int, float with a step, categorical, ordinal: n values share [0, 1] equally; a value is encoded as the middle of
 *   its share, so a uniform coordinate gives a uniform value.
 * - int on a log scale: k owns the share of [k - 1/2, k + 1/2] on the logarithm of [low - 1/2, high + 1/2].
 *
 * decode(encode(p)) = p exactly for all but continuous floats (up to 2^50 values, on a log scale up to 10^12). Those
 * have more values than [0, 1] and come back within rounding of the coordinate; their ends come back exactly.
 */
import { isActive, type Parameter, type Params, type ParamValue, type SearchSpace } from '../../core/space.js'

/** One parameter as a coordinate in [0, 1]. */
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
  /** Coordinates per point: the number of parameters. */
  dimension: number
  /** Distinct points of the space, conditions counted; Infinity where a float is continuous. */
  cardinality: number
  /** The point of the vector that starts at `offset`, active parameters only. */
  decode(u: ArrayLike<number>, offset?: number): Params
  /** Coordinates (1/2 where inactive) and a mask of active parameters (1 or 0). The point must lie in the space. */
  encode(params: Params): { u: Float64Array; active: Uint8Array }
  /** The distinct point of this number, from 0 to cardinality - 1; of finite spaces only. */
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

function axisOf(p: Parameter): Axis {
  if (p.type === 'categorical' || p.type === 'ordinal')
    return shares(
      p,
      p.choices.length,
      (i) => p.choices[i],
      (v) => p.choices.indexOf(v),
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

/** Axes below the root (parent undefined) or below one value of a parent. */
const childrenOf = (axes: readonly Axis[], parent?: string, value?: ParamValue) =>
  axes.filter(({ parameter: { condition } }) =>
    condition ? condition.parent === parent && condition.values.includes(value as ParamValue) : parent === undefined,
  )

/** Distinct points of these axes and all that their values wake. */
const product = (all: readonly Axis[], axes: readonly Axis[]): number =>
  axes.reduce((n, axis) => n * count(all, axis), 1)

function count(all: readonly Axis[], { parameter: { name }, size }: Axis): number {
  const named = new Set(
    all.flatMap(({ parameter: { condition } }) => (condition?.parent === name ? condition.values : [])),
  )
  return [...named].reduce<number>((n, v) => n + product(all, childrenOf(all, name, v)), size - named.size)
}

/** Writes the point number `k` of these axes (mixed radix, a value's weight being the points below it). */
function write(all: readonly Axis[], axes: readonly Axis[], k: number, params: Record<string, ParamValue>): void {
  for (const axis of axes) {
    const total = count(all, axis)
    let rest = k % total
    k = Math.floor(k / total)
    for (let i = 0; i < axis.size; i++) {
      const value = axis.values!.at(i)
      const below = childrenOf(all, axis.parameter.name, value)
      const n = product(all, below)
      if (rest < n) {
        params[axis.parameter.name] = value
        write(all, below, rest, params)
        break
      }
      rest -= n
    }
  }
}

/** The encoding of a search space that core/space `checkSpace` accepts. */
export function encodingOf(space: SearchSpace): Encoding {
  const axes = space.parameters.map(axisOf)
  return {
    axes,
    dimension: axes.length,
    cardinality: product(axes, childrenOf(axes)),
    decode(u, offset = 0) {
      const params: Record<string, ParamValue> = {}
      axes.forEach(({ parameter, decode }, i) => {
        if (isActive(parameter, params)) params[parameter.name] = decode(u[offset + i])
      })
      return params
    },
    encode(params) {
      const u = new Float64Array(axes.length).fill(0.5)
      const active = new Uint8Array(axes.length)
      axes.forEach(({ parameter, encode }, i) => {
        if (!Object.hasOwn(params, parameter.name)) return
        u[i] = encode(params[parameter.name])
        active[i] = 1
      })
      return { u, active }
    },
    point(number) {
      const params: Record<string, ParamValue> = {}
      write(axes, childrenOf(axes), number, params)
      return params
    },
  }
}
