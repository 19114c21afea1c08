/**
 * Descent by quadratic models in a trust region, from whatever values are known.
 * A. R. Conn, K. Scheinberg, L. N. Vicente, "Introduction to Derivative-Free Optimization", SIAM 2009, chapter 10; M. J. D.
 * Powell, "The BOBYQA algorithm for bound constrained optimization without derivatives", DAMTP 2009/NA06.
 *
 * The region is a box about the best point, the model that of quadratic.ts through the nearest points. A step that keeps
 * what the model promised widens the region; one that does not narrows it, but where the model had too few near points one
 * that fills the largest gap is asked first.
 */
import type { Rng } from '../../core/rng.js'
import { evaluate, fitQuadratic, minimizeQuadratic } from './quadratic.js'

/** A told point of the unit cube; the value to be minimized. */
export type Told = { u: Float64Array; value: number }

export type TrustRegion = {
  center: Float64Array
  value: number
  radius: number
  /** What was asked and not yet told: the value that the model expects there, NaN where it only fills a gap. */
  open: { [id: string]: { expected: number; reach: number } }
  /** Steps since the best was improved. */
  idle: number
}

const FIRST_RADIUS = 0.2
const MAX_RADIUS = 0.5
/** The search has converged when the region is smaller than this part of the range. */
export const MIN_RADIUS = 1e-10
/** Points that count as near, in radii. */
const NEAR = 2.5
/** Points of a model, at most. */
const MAX_POINTS = 250
/** Ridge of a point at the center, in squares of the spread of the values; grows with the distance. */
const RIDGE = 1e-12
const STARTS = 4

export const startRegion = ({ u, value }: Told): TrustRegion => ({
  center: u,
  value,
  radius: FIRST_RADIUS,
  open: {},
  idle: 0,
})

const distance = (a: Float64Array, b: Float64Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0)

/** The next point, and what the model expects there. */
export function propose(
  region: TrustRegion,
  rows: readonly Told[],
  rng: Rng,
): { u: Float64Array; expected: number; reach: number } {
  const { center, radius } = region
  const d = center.length
  const full = ((d + 1) * (d + 2)) / 2
  const nearest = rows
    .map((row) => ({ ...row, far: distance(row.u, center) / radius }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => a.far - b.far)
    .slice(0, Math.min(full + d, MAX_POINTS))
  const near = nearest.filter(({ far }) => far <= NEAR)
  const used = near.length >= d + 2 ? near : nearest.slice(0, d + 2)
  const low = center.map((c) => Math.max(-1, -c / radius))
  const high = center.map((c) => Math.min(1, (1 - c) / radius))
  const at = (s: Float64Array) => s.map((x, i) => Math.min(Math.max(center[i] + radius * x, 0), 1))
  const draw = () => low.map((l, i) => l + (high[i] - l) * rng.uniform())
  const gap = () => {
    let best = draw()
    let widest = -1
    for (let k = 0; k < 20 * d; k++) {
      const s = draw()
      const u = at(s)
      const room = used.reduce((least, row) => Math.min(least, distance(row.u, u)), Number.POSITIVE_INFINITY)
      if (room > widest) [widest, best] = [room, s]
    }
    return { u: at(best), expected: Number.NaN, reach: 1 }
  }
  const worst = used.reduce((most, { value }) => Math.max(most, value), region.value)
  const spread = worst - region.value
  if (used.length < d + 2 || !(spread > 0)) return gap()
  const model = fitQuadratic(
    used.map(({ u }) => u.map((x, i) => (x - center[i]) / radius)),
    used.map(({ value }) => (value - region.value) / spread),
    used.map(({ far }) => RIDGE * (1 + far) ** 4),
  )
  if (!model) return gap()
  const origin = new Float64Array(d)
  const s = minimizeQuadratic(model, low, high, [origin, ...Array.from({ length: STARTS }, draw)])
  const promise = model.constant - evaluate(model, s).value
  const u = at(s)
  const twin = used.some((row) => distance(row.u, u) <= 1e-3 * radius)
  // Nothing to win where the region is known well: a smaller one; where it is not: a point that tells more.
  if (!(promise > 1e-14) || twin) {
    if (near.length >= 2 * d + 1) region.radius = Math.max(region.radius / 2, MIN_RADIUS / 2)
    return gap()
  }
  const reach = s.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  return { u, expected: region.value - promise * spread, reach }
}

/** Takes the value of a point that was asked here, or anywhere else. */
export function learn(region: TrustRegion, id: string, { u, value }: Told, rows: readonly Told[]): void {
  const asked = region.open[id]
  delete region.open[id]
  const gain = region.value - value
  if (asked && !Number.isNaN(asked.expected)) {
    const ratio = gain / (region.value - asked.expected)
    const near = rows.filter((row) => distance(row.u, region.center) <= NEAR * region.radius).length
    if (ratio >= 0.7 && asked.reach > 0.99) region.radius = Math.min(MAX_RADIUS, 2 * region.radius)
    else if (!(ratio >= 0.1) && near >= region.center.length + 2) region.radius /= 2
    // A Newton step well inside: what is left is on its scale.
    else if (ratio >= 0.7 && asked.reach < 0.2)
      region.radius = Math.max(region.radius / 4, 2 * asked.reach * region.radius)
  }
  region.idle++
  if (gain > 0) {
    region.center = u
    region.value = value
    region.idle = 0
  }
}
