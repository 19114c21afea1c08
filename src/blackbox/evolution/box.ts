/** Where evolution strategies search: real vectors, bounded or not, that stand for points of a space. */
import type { Issue } from '../../core/errors.js'
import type { Point } from '../../core/query.js'
import type { Space } from '../../core/space.js'
import { elements, type FloatArray, totalElements } from '../../core/tensor.js'
import { encodingOf } from '../space/encoding.js'

export type Box = {
  /** Coordinates: the tensors' elements, or the parameters with more than one value. */
  dimension: number
  low: number
  high: number
  /** Where the search starts. */
  start: Float64Array
  /** The point of the vector at `offset`, reflected into the bounds. */
  point(x: ArrayLike<number>, offset?: number): Point
  /** The vector that stands for a point of the space, as `point` would have it. */
  vector(point: Point): Float64Array
  /** Whether neighbouring coordinates mean neighbouring values: not so of categoricals. */
  ordered(axis: number): boolean
  /** The interval around x in which a coordinate stands for one value, mirrored with the bounds; none where continuous. */
  share(axis: number, x: number): readonly [number, number] | undefined
}

/** x mirrored at the bounds until it lies between them: evaluating there makes f periodic, and the search unbounded. */
export function reflect(x: number, low: number, high: number): number {
  if (x >= low && x <= high) return x
  const width = high - low
  if (!Number.isFinite(width)) return x < low ? 2 * low - x : 2 * high - x
  if (width === 0) return low
  const folded = Math.abs(x - low) % (2 * width)
  return low + Math.min(folded, 2 * width - folded)
}

/**
 * The box of a space of kind `search` (the unit cube of its encoding) or `tensors` (the unit cube when bounded on both
 * sides, else the elements themselves).
 */
export function boxOf(space: Space): Box {
  if (space.kind === 'search') {
    const { axes, decode, encode } = encodingOf(space)
    const free = axes.flatMap(({ size }, i) => (size > 1 ? [i] : []))
    return {
      dimension: free.length,
      low: 0,
      high: 1,
      start: new Float64Array(free.length).fill(0.5),
      point(x, offset = 0) {
        const u = new Float64Array(axes.length)
        free.forEach((axis, i) => {
          u[axis] = reflect(x[offset + i], 0, 1)
        })
        return { kind: 'params', params: decode(u) }
      },
      vector(point) {
        const { u } = encode((point as Extract<Point, { kind: 'params' }>).params)
        return Float64Array.from(free, (axis) => u[axis])
      },
      ordered: (i) => axes[free[i]].ordered,
      share(i, x) {
        const { values } = axes[free[i]]
        if (!values) return undefined
        const cell = Math.floor(x)
        const mirrored = cell % 2 !== 0
        const k = values.index(mirrored ? cell + 1 - x : x - cell)
        // The first and the last share go on in the mirror.
        const from = k === 0 ? -values.edge(1) : values.edge(k)
        const to = k + 1 === axes[free[i]].size ? 2 - values.edge(k) : values.edge(k + 1)
        return mirrored ? [cell + 1 - to, cell + 1 - from] : [cell + from, cell + to]
      },
    }
  }
  if (space.kind !== 'tensors') throw new TypeError(`no box for a space of kind ${space.kind}`)
  const { tensors, initial, low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY } = space
  const dimension = totalElements(tensors)
  const unit = Number.isFinite(high - low) && high > low
  const [origin, scale] = unit ? [low, high - low] : [0, 1]
  const start = new Float64Array(dimension)
  let at = 0
  for (const { name, shape } of tensors) {
    const count = elements(shape)
    for (let i = 0; i < count; i++) start[at + i] = ((initial?.[name]?.[i] ?? 0) - origin) / scale
    at += count
  }
  const [from, to] = unit ? [0, 1] : [low, high]
  return {
    dimension,
    low: from,
    high: to,
    start: start.map((x) => Math.min(Math.max(x, from), to)),
    point(x, offset = 0) {
      const values: Record<string, FloatArray> = {}
      let at = offset
      for (const { name, shape, dtype } of tensors) {
        const count = elements(shape)
        const tensor = dtype === 'f64' ? new Float64Array(count) : new Float32Array(count)
        for (let i = 0; i < count; i++) tensor[i] = origin + scale * reflect(x[at + i], from, to)
        values[name] = tensor
        at += count
      }
      return { kind: 'tensors', tensors: values }
    },
    vector(point) {
      const values = (point as Extract<Point, { kind: 'tensors' }>).tensors
      return Float64Array.from(tensors.flatMap(({ name }) => Array.from(values[name], (x) => (x - origin) / scale)))
    },
    ordered: () => true,
    share: () => undefined,
  }
}

/** Refuses spaces that leave nothing to search for, and those beyond `limit` coordinates. */
export function checkBox(method: string, space: Space, limit: number): Issue[] {
  if (space.kind === 'tensors') {
    const n = totalElements(space.tensors)
    return n > limit ? [{ path: 'space.tensors', message: `${method} takes up to ${limit} elements, got ${n}` }] : []
  }
  if (space.kind !== 'search') return []
  const n = encodingOf(space).axes.filter(({ size }) => size > 1).length
  if (n === 0) return [{ path: 'space.parameters', message: 'expected a parameter with more than one value' }]
  return n > limit ? [{ path: 'space.parameters', message: `${method} takes up to ${limit} parameters, got ${n}` }] : []
}
