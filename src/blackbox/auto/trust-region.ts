/**
 * Descent by quadratic models in a trust region, from whatever values are known.
 * A. R. Conn, K. Scheinberg, L. N. Vicente, "Introduction to Derivative-Free Optimization", SIAM 2009, chapter 10; M. J. D.
 * Powell, "The BOBYQA algorithm for bound constrained optimization without derivatives", DAMTP 2009/NA06.
 *
 * The region is a box about the best point. Two models of quadratic.ts compete: one through the points near to the region, and
 * one through as many as determine a quadratic, however far they are, which is exact where the function is a quadratic. The
 * one whose recent predictions were closer proposes. A step that keeps what the model promised widens the region; one that
 * does not narrows it, but where the model had too few near points one that fills the largest gap is asked first.
 */
import type { Rng } from '../../core/rng.js'
import { evaluate, fitQuadratic, minimizeQuadratic } from './quadratic.js'

/** A told point of the unit cube; the value to be minimized. */
export type Told = { u: Float64Array; value: number }

export type Asked = {
  /** The value that the model expects, NaN where the point only fills a gap. */
  expected: number
  /** That at the center when the point was asked, from which the step is judged: the center may move before it is told. */
  from: number
  /** How far the point is from the center, in radii. */
  reach: number
  /** What the near and the wide model expect, where they differ. */
  rivals?: readonly [number, number]
}

export type TrustRegion = {
  center: Float64Array
  value: number
  radius: number
  /** What was asked and not yet told. */
  open: { [id: string]: Asked }
  /** Shares of the near and the wide model in their recent errors, forgotten by degrees. */
  errors: [number, number]
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
/** What remains of earlier errors of the models at each prediction. */
const MEMORY = 0.7

export const startRegion = ({ u, value }: Told): TrustRegion => ({
  center: u,
  value,
  radius: FIRST_RADIUS,
  open: {},
  errors: [0, 0],
  idle: 0,
})

const distance = (a: Float64Array, b: Float64Array) => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0)

/** The next point, and what is expected there. */
export function propose(region: TrustRegion, rows: readonly Told[], rng: Rng): { u: Float64Array; asked: Asked } {
  const { center, radius } = region
  const d = center.length
  const full = ((d + 1) * (d + 2)) / 2
  const nearest = rows
    .map((row) => ({ ...row, far: distance(row.u, center) / radius }))
    .filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => a.far - b.far)
    .slice(0, Math.min(full + d, MAX_POINTS))
  const near = nearest.filter(({ far }) => far <= NEAR)
  const few = near.length >= d + 2 ? near : nearest.slice(0, d + 2)
  const rival = few.length < nearest.length
  const wide = rival && region.errors[1] <= region.errors[0]
  const used = wide ? nearest : few
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
    return { u: at(best), asked: { expected: Number.NaN, from: region.value, reach: 1 } }
  }
  const worst = used.reduce((most, { value }) => Math.max(most, value), region.value)
  const spread = worst - region.value
  if (used.length < d + 2 || !(spread > 0)) return gap()
  const modelOf = (rows: typeof used) =>
    fitQuadratic(
      rows.map(({ u }) => u.map((x, i) => (x - center[i]) / radius)),
      rows.map(({ value }) => (value - region.value) / spread),
      rows.map(({ far }) => RIDGE * (1 + far) ** 4),
    )
  const model = modelOf(used)
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
  const other = rival ? modelOf(wide ? few : nearest) : undefined
  const [mine, theirs] = [model, other].map((m) => region.value + (m ? evaluate(m, s).value : 0) * spread)
  const rivals = other && (wide ? ([theirs, mine] as const) : ([mine, theirs] as const))
  const asked = { expected: region.value - promise * spread, from: region.value, reach }
  return { u, asked: rivals ? { ...asked, rivals } : asked }
}

/** Takes the value of a point that was asked here, or anywhere else. */
export function learn(region: TrustRegion, id: string, { u, value }: Told, rows: readonly Told[]): void {
  const asked = region.open[id]
  delete region.open[id]
  const gain = region.value - value
  if (asked?.rivals) {
    const [near, wide] = asked.rivals.map((expected) => Math.abs(expected - value))
    const total = near + wide
    if (total > 0 && Number.isFinite(total)) {
      region.errors[0] = MEMORY * region.errors[0] + near / total
      region.errors[1] = MEMORY * region.errors[1] + wide / total
    }
  }
  if (asked && !Number.isNaN(asked.expected)) {
    const ratio = (asked.from - value) / (asked.from - asked.expected)
    const near = rows.filter((row) => distance(row.u, region.center) <= NEAR * region.radius).length
    if (ratio >= 0.7 && asked.reach > 0.99) region.radius = Math.min(MAX_RADIUS, 2 * region.radius)
    else if (!(ratio >= 0.1) && near > 2 * region.center.length) region.radius /= 2
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
