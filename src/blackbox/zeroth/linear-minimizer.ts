/** Sets that linear functions are minimized over in closed form: what Frank-Wolfe methods work with. */
import type { Issue } from '../../core/errors.js'
import type { TensorsSpace } from '../../core/space.js'
import { totalElements } from '../../core/tensor.js'
import { norm } from '../../optimizers/flat.js'

export const SETS = ['l1', 'l2', 'simplex', 'box', 'nuclear'] as const
export type SetName = (typeof SETS)[number]

/** Relative precision at which the power iteration stops, and its most iterations. */
const TOLERANCE = 1e-12
const ITERATIONS = 1000

/** The point of the set of least <d, v>. */
export function vertex(set: SetName, radius: number, space: TensorsSpace, d: Float64Array): Float64Array {
  const v = new Float64Array(d.length)
  switch (set) {
    case 'l1': {
      const top = d.reduce((best, value, i) => (Math.abs(value) > Math.abs(d[best]) ? i : best), 0)
      v[top] = -radius * Math.sign(d[top])
      return v
    }
    case 'l2': {
      const length = norm(d)
      return length > 0 ? d.map((value) => (-radius * value) / length) : v
    }
    case 'simplex':
      v[d.reduce((best, value, i) => (value < d[best] ? i : best), 0)] = radius
      return v
    case 'box':
      return d.map((value) => (value > 0 ? space.low! : space.high!))
    case 'nuclear': {
      const [rows, columns] = space.tensors[0].shape
      const { u, w } = topSingular(d, rows, columns)
      return v.map((_, i) => -radius * u[Math.floor(i / columns)] * w[i % columns])
    }
  }
}

/** The first pair of singular vectors of a matrix, row-major, by power iteration from its longest row. */
export function topSingular(a: Float64Array, rows: number, columns: number): { u: Float64Array; w: Float64Array } {
  const row = (i: number) => a.subarray(i * columns, (i + 1) * columns)
  let longest = 0
  for (let i = 1; i < rows; i++) if (norm(row(i)) > norm(row(longest))) longest = i
  const unit = (x: Float64Array) => {
    const length = norm(x)
    return length > 0 ? x.map((value) => value / length) : x
  }
  let w: Float64Array = unit(row(longest).slice())
  let u: Float64Array = new Float64Array(rows)
  for (let k = 0; k < ITERATIONS; k++) {
    const left = new Float64Array(rows)
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) left[i] += a[i * columns + j] * w[j]
    u = unit(left)
    const right = new Float64Array(columns)
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) right[j] += a[i * columns + j] * u[i]
    const next = unit(right)
    const moved = norm(next.map((value, j) => value - w[j]))
    w = next
    if (moved < TOLERANCE) break
  }
  return { u, w }
}

/** Where a session begins that was given no start. */
export function interior(set: SetName, radius: number, space: TensorsSpace): Float64Array {
  const x = new Float64Array(totalElements(space.tensors))
  if (set === 'simplex') return x.fill(radius / x.length)
  if (set === 'box') return x.fill((space.low! + space.high!) / 2)
  return x
}

/** What speaks against a set on a space: a missing bound, a tensor that is no matrix, a start outside. */
export function checkSet(set: SetName, radius: number, space: TensorsSpace): Issue[] {
  const bounded = space.low !== undefined && space.high !== undefined
  if (set === 'box') return bounded ? [] : [{ path: 'config.set', message: 'a box needs low and high of the space' }]
  if (space.low !== undefined || space.high !== undefined)
    return [{ path: 'config.set', message: 'a space with low or high keeps x in its box; choose "box"' }]
  if (set === 'nuclear' && (space.tensors.length !== 1 || space.tensors[0].shape.length !== 2))
    return [{ path: 'config.set', message: 'the nuclear norm is that of one matrix; the space has other tensors' }]
  if (!space.initial) return []
  const x = space.tensors.flatMap(({ name }) => Array.from(space.initial?.[name] ?? []))
  const size =
    set === 'l2'
      ? norm(x)
      : set === 'nuclear'
        ? nuclearNorm(Float64Array.from(x), space.tensors[0].shape)
        : x.reduce((sum, value) => sum + Math.abs(value), 0)
  const inside =
    set === 'simplex'
      ? Math.abs(size - radius) <= SLACK * radius && x.every((value) => value >= 0)
      : size <= radius * (1 + SLACK)
  return inside ? [] : [{ path: 'space.initial', message: `lies outside of the set; its size is ${size}` }]
}

/** What rounding may put a start outside by. */
const SLACK = 1e-6

/** Sum of singular values, deflating one by one. */
function nuclearNorm(a: Float64Array, [rows, columns]: readonly number[]): number {
  let sum = 0
  const rest = a.slice()
  for (let k = 0; k < Math.min(rows, columns); k++) {
    const { u, w } = topSingular(rest, rows, columns)
    let value = 0
    for (let i = 0; i < rest.length; i++) value += rest[i] * u[Math.floor(i / columns)] * w[i % columns]
    for (let i = 0; i < rest.length; i++) rest[i] -= value * u[Math.floor(i / columns)] * w[i % columns]
    sum += value
  }
  return sum
}
