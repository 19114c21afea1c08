/**
 * The point of a search space that maximizes an acquisition function: a screening of random points and of
 * perturbations of the best ones, then from several of them in turn gradient ascent in the continuous coordinates and
 * coordinate search in the discrete ones. Every point is evaluated as the trial it would become: discrete coordinates
 * rounded, inactive ones at 1/2.
 */
import type { Rng } from '../../core/rng.js'
import type { Encoding } from '../space/encoding.js'
import { lbfgs, minimizeTogether, type Sample } from './lbfgs.js'

/** To be maximized; batches, because a batch costs little more than a point. */
export type Acquisition = {
  values(points: readonly Float64Array[]): number[]
  gradients(points: readonly Float64Array[]): Sample[]
}

export type SearchOptions = { candidates: number; starts: number; maxEvaluations: number }

/** Part of the screening around the best points. */
const LOCAL_SHARE = 0.25
const ROUNDS = 4
/** Unordered axes with more values are searched by a random sample of this size. */
const MAX_ALTERNATIVES = 64

export const keyOf = (u: Float64Array): string => u.join(' ')

/** The coordinates of the trial that a vector stands for. */
export function roundedBy(encoding: Encoding): (u: Float64Array) => Float64Array {
  const { axes } = encoding
  if (encoding.constrained) return (u) => encoding.encode(encoding.decode(u)).u
  if (axes.every(({ size, parameter }) => size === Number.POSITIVE_INFINITY && !parameter.condition)) return (u) => u
  return (u) => {
    const { u: rounded, active } = encoding.encode(encoding.decode(u))
    // A continuous coordinate need not pass through its value's rounding.
    return rounded.map((v, i) => (active[i] && axes[i].size === Number.POSITIVE_INFINITY ? u[i] : v))
  }
}

/** The best allowed point found, or undefined when there was none among those looked at. */
export function search(
  encoding: Encoding,
  acquisition: Acquisition,
  elites: readonly Float64Array[],
  allowed: (u: Float64Array) => boolean,
  rng: Rng,
  options: SearchOptions,
): Float64Array | undefined {
  if (encoding.cardinality <= options.candidates) {
    const points = Array.from({ length: encoding.cardinality }, (_, i) => encoding.point(i)).filter(encoding.feasible)
    const all = points.map((params) => encoding.encode(params).u)
    return bestOf(all.filter(allowed), acquisition)
  }
  const rounded = roundedBy(encoding)
  const local = elites.length ? Math.round(options.candidates * LOCAL_SHARE) : 0
  const candidates = Array.from({ length: options.candidates }, (_, i) =>
    rounded(i < local ? perturbed(elites[i % elites.length], rng) : uniform(encoding.dimension, rng)),
  )
  const values = acquisition.values(candidates)
  const starts = firstAllowed(candidates, startKeys(values, rng), allowed, options.starts)
  const ends = climb(encoding, rounded, acquisition, starts, allowed, rng, options.maxEvaluations).filter(allowed)
  return ends.length ? bestOf(ends, acquisition) : firstAllowed(candidates, values, allowed, 1)[0]
}

function bestOf(points: readonly Float64Array[], acquisition: Acquisition): Float64Array | undefined {
  return firstAllowed(points, acquisition.values(points), () => true, 1)[0]
}

/** The `count` allowed points of the largest keys. */
function firstAllowed(
  points: readonly Float64Array[],
  keys: readonly number[],
  allowed: (u: Float64Array) => boolean,
  count: number,
): Float64Array[] {
  const first: Float64Array[] = []
  const order = keys.map((_, i) => i).sort((a, b) => keys[b] - keys[a] || a - b)
  for (let k = 0; k < order.length && first.length < count; k++) {
    const point = points[order[k]]
    if (allowed(point)) first.push(point)
  }
  return first
}

export function uniform(d: number, rng: Rng): Float64Array {
  const u = new Float64Array(d)
  for (let i = 0; i < d; i++) u[i] = rng.uniform()
  return u
}

/** Some coordinates of u moved by normal steps whose size is drawn from 0.001 to 0.3. */
function perturbed(u: Float64Array, rng: Rng): Float64Array {
  const scale = 0.3 * 10 ** (-2.5 * rng.uniform())
  const share = Math.max(1 / u.length, rng.uniform())
  const moved = u.slice()
  for (let i = 0; i < u.length; i++)
    if (rng.uniform() < share) moved[i] = Math.min(1, Math.max(0, u[i] + scale * rng.normal()))
  return moved
}

/** Sorted by these keys, the best comes first and the others are drawn in proportion to exp(value) (Gumbel-max). */
function startKeys(values: readonly number[], rng: Rng): number[] {
  const best = values.reduce((top, v, i) => (v > values[top] ? i : top), 0)
  return values.map((v, i) => (i === best ? Number.POSITIVE_INFINITY : v - Math.log(-Math.log(1 - rng.uniform()))))
}

/** Ascent from all starts at once. */
function climb(
  encoding: Encoding,
  rounded: (u: Float64Array) => Float64Array,
  acquisition: Acquisition,
  starts: readonly Float64Array[],
  allowed: (u: Float64Array) => boolean,
  rng: Rng,
  maxEvaluations: number,
): Float64Array[] {
  const { axes } = encoding
  const continuous = axes.map(({ size }) => size === Number.POSITIVE_INFINITY)
  const discrete = axes.flatMap(({ size }, i) => (!continuous[i] && size > 1 ? [i] : []))
  const options = { maxEvaluations, tolerance: 1e-3, progress: 1e-6, firstStep: 0.1 }
  const activeAt = (u: Float64Array) => encoding.encode(encoding.decode(u)).active
  let points = [...starts]
  for (let round = 0; round < ROUNDS; round++) {
    if (continuous.includes(true))
      points = minimizeTogether(
        points.map((u) => {
          const active = activeAt(u)
          const free = (i: number) => continuous[i] && active[i]
          const low = u.map((v, i) => (free(i) ? 0 : v))
          const high = u.map((v, i) => (free(i) ? 1 : v))
          return lbfgs(u, low, high, options)
        }),
        (batch) =>
          acquisition
            .gradients(batch)
            .map(({ value, gradient }) => ({ value: -value, gradient: gradient.map((g) => -g) })),
      ).map(({ x }) => x)
    let moved = false
    const active = points.map(activeAt)
    for (const axis of discrete) {
      // Of a coordinate that does not exist at a point every alternative is the point itself.
      const groups = points.map((u, k) =>
        active[k][axis] ? [u, ...alternatives(encoding, u, axis, rng).map(rounded).filter(allowed)] : [u],
      )
      if (groups.every(({ length }) => length === 1)) continue
      const values = acquisition.values(groups.flat())
      let at = 0
      points = groups.map((group, k) => {
        let best = 0
        for (let i = 1; i < group.length; i++) if (values[at + i] > values[at + best]) best = i
        at += group.length
        if (best > 0) {
          moved = true
          active[k] = activeAt(group[best])
        }
        return group[best]
      })
    }
    if (!moved) break
  }
  return points
}

/** u with one coordinate changed: all values of a short axis, steps of all sizes (powers of two) on a long ordered one. */
function alternatives(encoding: Encoding, u: Float64Array, axis: number, rng: Rng): Float64Array[] {
  const { size, ordered } = encoding.axes[axis]
  const steps = Math.ceil(Math.log2(size)) + 1
  const coordinates =
    size <= MAX_ALTERNATIVES
      ? Array.from({ length: size }, (_, i) => (i + 0.5) / size)
      : ordered
        ? Array.from({ length: 2 * steps }, (_, i) => u[axis] + (i < steps ? 2 ** -(i + 1) : -(2 ** -(i - steps + 1))))
        : Array.from({ length: MAX_ALTERNATIVES }, () => rng.uniform())
  return coordinates.filter((v) => v >= 0 && v <= 1).map((v) => u.with(axis, v))
}
