/** The tensors of a space as one vector, and random directions in it. */
import type { Rng } from '../core/rng.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import { elements, type FloatArray, type Tensors, totalElements } from '../core/tensor.js'

export type Flat = {
  dimension: number
  /** Start values of the space, zeros where it has none. */
  start(): Float64Array
  /** A vector as named arrays of their dtypes. */
  tensors(x: ArrayLike<number>): Tensors
  /** Named arrays as one vector. */
  vector(tensors: Tensors): Float64Array
  /** Moves a vector into the box of the space, in place. */
  clamp(x: Float64Array): Float64Array
  /** Where a tensor lies in the vector: its first element and one past its last; undefined for an unknown name. */
  range(name: string): readonly [number, number] | undefined
}

export const spaceOf = (problem: Problem): TensorsSpace => problem.space as TensorsSpace

export const flatOf = (problem: Problem): Flat => flatOfSpace(spaceOf(problem))

export function flatOfSpace({ tensors: specs, initial, low = -Infinity, high = Infinity }: TensorsSpace): Flat {
  const ranges = new Map<string, readonly [number, number]>()
  let end = 0
  for (const { name, shape } of specs) {
    ranges.set(name, [end, end + elements(shape)])
    end += elements(shape)
  }
  return {
    dimension: totalElements(specs),
    start() {
      const x = new Float64Array(end)
      for (const [name, [from]] of ranges) if (initial?.[name]) x.set(initial[name], from)
      return x
    },
    tensors: (x) =>
      Object.fromEntries(
        specs.map(({ name, dtype }) => {
          const [from, to] = ranges.get(name)!
          const array: FloatArray = dtype === 'f64' ? new Float64Array(to - from) : new Float32Array(to - from)
          for (let i = from; i < to; i++) array[i - from] = x[i]
          return [name, array]
        }),
      ),
    vector(tensors) {
      const x = new Float64Array(end)
      for (const [name, [from]] of ranges) x.set(tensors[name], from)
      return x
    },
    clamp(x) {
      if (low !== -Infinity || high !== Infinity)
        for (let i = 0; i < x.length; i++) x[i] = Math.min(Math.max(x[i], low), high)
      return x
    },
    range: (name) => ranges.get(name),
  }
}

/** Named arrays as one vector, in their order. */
export const joined = (tensors: Tensors): Float64Array =>
  Float64Array.from(Object.values(tensors).flatMap((values) => Array.from(values)))

/** A vector as named arrays of the names, sizes and types of others. */
export function divided(x: Float64Array, like: Tensors): Tensors {
  let at = 0
  return Object.fromEntries(
    Object.entries(like).map(([name, array]) => {
      const part = array.slice()
      part.set(x.subarray(at, at + array.length))
      at += array.length
      return [name, part]
    }),
  )
}

export const gaussian = (rng: Rng, dimension: number): Float64Array =>
  new Float64Array(dimension).map(() => rng.normal())

export const rademacher = (rng: Rng, dimension: number): Float64Array =>
  new Float64Array(dimension).map(() => (rng.word() & 1 ? 1 : -1))

/** Uniform on the unit sphere. */
export function sphere(rng: Rng, dimension: number): Float64Array {
  const w = gaussian(rng, dimension)
  const length = norm(w)
  return w.map((v) => v / length)
}

export function coordinate(axis: number, dimension: number): Float64Array {
  const e = new Float64Array(dimension)
  e[axis] = 1
  return e
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

/** The inner product of named arrays of the same names and sizes. */
export const inner = (a: Tensors, b: Tensors): number =>
  Object.entries(a).reduce((sum, [name, values]) => sum + dot(values, b[name]), 0)

export const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a))

/** x + scale*d, as a fresh vector. */
export const plus = (x: Float64Array, scale: number, d: ArrayLike<number>): Float64Array =>
  x.map((value, i) => value + scale * d[i])

/** y += scale*d, in place. */
export function accumulate(y: Float64Array, scale: number, d: ArrayLike<number>): void {
  for (let i = 0; i < y.length; i++) y[i] += scale * d[i]
}
