/**
 * Points where the constraints of a search space hold.
 *
 * - Anchors: feasible vectors, from draws of a fixed stream; where these miss, from projections of draws onto the linear
 *   constraints one after the other (S. Agmon, "The Relaxation Method for Linear Inequalities", 1954); where these miss,
 *   from the numbered points of a small finite space.
 * - Repair: a vector whose point is not feasible is moved along the line to its nearest anchor, to the first feasible
 *   point that a search of the line finds: an optimum on the border of what is allowed stays in reach.
 * - Walk: hit-and-run (R. L. Smith, "Efficient Monte Carlo Procedures for Generating Points Uniformly Distributed over
 *   Bounded Regions", 1984), chords found by shrinking.
 */
import type { Issue } from '../../core/errors.js'
import { Rng, rngStream } from '../../core/rng.js'
import type { Params, ParamValue, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from './encoding.js'

const DRAWS = 4096
const ANCHORS = 32
const PROJECTED = 64
const SWEEPS = 500
/** Finite spaces of up to so many points are searched as a whole. */
const LISTED = 100_000
const STEPS = 16
const BISECTIONS = 30

type Base = Pick<Encoding, 'axes' | 'dimension' | 'cardinality' | 'decodeAnywhere' | 'feasible' | 'encode' | 'point'>

/** What an encoding of a space with constraints does otherwise. */
export function repairOf(space: SearchSpace, base: Base): Pick<Encoding, 'decode' | 'anchors'> {
  let found: readonly Float64Array[] | undefined
  const anchors = () => (found ??= findAnchors(space, base))
  return {
    anchors,
    decode(u, offset = 0) {
      const params = base.decodeAnywhere(u, offset)
      if (base.feasible(params)) return params
      const from = Float64Array.from({ length: base.dimension }, (_, i) => Math.min(1, Math.max(0, u[offset + i])))
      const distance = (anchor: Float64Array) => anchor.reduce((sum, a, i) => sum + (a - from[i]) ** 2, 0)
      const [first, ...others] = anchors()
      if (!first) return params
      const to = others.reduce((near, anchor) => (distance(anchor) < distance(near) ? anchor : near), first)
      return toward(base, from, to)
    },
  }
}

/** The first feasible point found between two vectors, of which the second is feasible. */
function toward(base: Base, from: Float64Array, to: Float64Array): Params {
  const at = (t: number) => base.decodeAnywhere(t === 1 ? to : from.map((v, i) => v + t * (to[i] - v)))
  let low = 0
  let high = 1
  let best = at(1)
  for (let k = 1; k < STEPS; k++) {
    const params = at(k / STEPS)
    if (!base.feasible(params)) continue
    ;[low, high, best] = [(k - 1) / STEPS, k / STEPS, params]
    break
  }
  if (high === 1) low = 1 - 1 / STEPS
  for (let k = 0; k < BISECTIONS; k++) {
    const middle = (low + high) / 2
    const params = at(middle)
    if (base.feasible(params)) [high, best] = [middle, params]
    else low = middle
  }
  return best
}

function findAnchors(space: SearchSpace, base: Base): Float64Array[] {
  const rng = new Rng(rngStream(0, 'anchors'))
  const draw = () => Float64Array.from({ length: base.dimension }, () => rng.uniform())
  const found: Float64Array[] = []
  const keep = (u: Float64Array) => {
    if (base.feasible(base.decodeAnywhere(u))) found.push(u)
  }
  for (let i = 0; i < DRAWS && found.length < ANCHORS; i++) keep(draw())
  if (found.length === 0) for (let i = 0; i < PROJECTED; i++) keep(projected(space, base, draw()))
  if (found.length === 0 && base.cardinality <= LISTED)
    for (let i = 0; i < base.cardinality && found.length < ANCHORS; i++) keep(base.encode(base.point(i)).u)
  return found
}

/** A vector moved onto one violated linear constraint after the other, lengths measured in the ranges of parameters. */
function projected(space: SearchSpace, base: Base, u: Float64Array): Float64Array {
  const params: Record<string, ParamValue> = { ...base.decodeAnywhere(u) }
  const ranges = new Map(space.parameters.flatMap((p) => ('low' in p ? [[p.name, p] as const] : [])))
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let moved = false
    for (const constraint of space.constraints ?? []) {
      if (constraint.type !== 'linear') continue
      const terms = Object.entries(constraint.coefficients)
      if (!terms.every(([name]) => Object.hasOwn(params, name))) continue
      const excess = terms.reduce((sum, [name, a]) => sum + a * (params[name] as number), -constraint.bound)
      const norm = terms.reduce((sum, [name, a]) => sum + (a * widthOf(ranges.get(name)!)) ** 2, 0)
      if (excess <= 0 || norm === 0) continue
      moved = true
      for (const [name, a] of terms) {
        const range = ranges.get(name)!
        const x = (params[name] as number) - (1.01 * excess * a * widthOf(range) ** 2) / norm
        params[name] = Math.min(range.high, Math.max(range.low, x))
      }
    }
    if (!moved) break
  }
  return base.encode(params).u
}
const widthOf = ({ low, high }: { low: number; high: number }) => high - low

/** A vector in what the constraints allow: a random walk from one of the anchors. */
export function walk(encoding: Encoding, rng: Rng): Float64Array {
  const anchors = encoding.anchors()
  let at = anchors[rng.integer(anchors.length)]
  if (!at) return Float64Array.from(encoding.axes, () => rng.uniform())
  const ordered = encoding.axes.map((axis) => axis.ordered)
  for (let step = 0; step < 10 * encoding.dimension; step++) {
    // Where neighbours mean nothing, a coordinate is drawn anew now and then.
    const direction = ordered.map((is) => (is ? rng.normal() : rng.uniform() < 1 / encoding.dimension ? Number.NaN : 0))
    const fresh = ordered.map(() => rng.uniform())
    let [low, high] = [-1, 1]
    for (let tries = 0; tries < 20; tries++) {
      const t = low + (high - low) * rng.uniform()
      const to: Float64Array = at.map((v, i) => (Number.isNaN(direction[i]) ? fresh[i] : v + t * direction[i]))
      if (to.every((v) => v >= 0 && v <= 1) && encoding.feasible(encoding.decodeAnywhere(to))) {
        at = to
        break
      }
      if (t < 0) low = t
      else high = t
    }
  }
  return at
}

/** Refuses a space of whose points none was found to satisfy the constraints. */
export function checkFeasible(space: SearchSpace): Issue[] {
  if (!space.constraints?.length || encodingOf(space).anchors().length > 0) return []
  const { cardinality } = encodingOf(space)
  const message =
    cardinality <= LISTED
      ? `none of the ${cardinality} points of the space satisfies all of them`
      : `no point that satisfies all of them was found among ${DRAWS} draws and ${PROJECTED} projections; ` +
        'of an equality, leave one parameter out and compute it'
  return [{ path: 'space.constraints', message }]
}
