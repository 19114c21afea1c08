/**
 * The lowest point of a quadratic in a ball and a box, nearly: the procedure TRSBOX of M. J. D. Powell, "The BOBYQA algorithm
 * for bound constrained optimization without derivatives", DAMTP 2009/NA06.
 *
 * Conjugate gradients from the center; a coordinate that comes to its bound stays there, and they begin anew in the others.
 * Once the step is as long as the ball allows it turns, in the planes of itself and the gradient, as far as that pays. At the
 * end coordinates that would leave their bounds are freed, which Powell's procedure does not do, and it goes on.
 */
import { dot } from '../linalg/dense.js'
import type { Model } from './interpolation.js'

export type Step = {
  d: Float64Array
  /** The least curvature along the conjugate directions; 0 where the step ends at the ball. */
  curvature: number
}

/** Angles tried in a turn, up to a quarter. */
const ANGLES = 32
/** A turn that gives less than this part of all so far is the last. */
const WORTHWHILE = 1e-3
/** The slope is zero when its square has fallen by this factor. */
const FLAT = 1e-26
/** An angle that is none. */
const ROUNDING = 1e-7

/** A step d with low <= d <= high, |d| <= radius; each interval contains 0. */
export function boxedStep(model: Model, low: Float64Array, high: Float64Array, radius: number): Step {
  const { gradient, hessian } = model
  const n = gradient.length
  const d = new Float64Array(n)
  const slope = gradient.slice()
  const free = Uint8Array.from(gradient, (g, j) => ((g > 0 ? low[j] < 0 : high[j] > 0) ? 1 : 0))
  const masked = (x: Float64Array) => x.map((v, j) => (free[j] ? v : 0))
  const times = (x: Float64Array) => Float64Array.from(x, (_, i) => dot(x, hessian.subarray(i * n, (i + 1) * n)))
  const fix = (j: number, bound: number) => {
    const rest = bound - d[j]
    for (let i = 0; i < n; i++) slope[i] += rest * hessian[i * n + j]
    d[j] = bound
    free[j] = 0
  }
  const start = masked(slope)
  const flat = FLAT * dot(start, start)
  let [curvature, gained] = [Number.POSITIVE_INFINITY, 0]

  /** Frees the coordinates that the slope draws from their bounds; whether there are any. */
  function release(): boolean {
    let any = false
    for (let j = 0; j < n; j++) {
      if (free[j] || !(slope[j] > 0 ? d[j] > low[j] : d[j] < high[j]) || slope[j] * slope[j] <= flat) continue
      free[j] = 1
      any = true
    }
    return any
  }

  /** Whether the step has come to the ball. */
  function conjugate(): boolean {
    let residual = masked(slope)
    let rr = dot(residual, residual)
    let p = residual.map((v) => -v)
    for (let k = 0; k < 2 * n && rr > flat; k++) {
      const hp = times(p)
      const [pp, dp, php] = [dot(p, p), dot(d, p), dot(p, hp)]
      const left = Math.max(radius * radius - dot(d, d), 0)
      const root = Math.sqrt(dp * dp + pp * left)
      const ball = dp > 0 ? left / (root + dp) : (root - dp) / pp
      let length = php > 0 ? Math.min(rr / php, ball) : ball
      let [hit, bound] = [-1, 0]
      for (let j = 0; j < n; j++) {
        if (!free[j] || p[j] === 0) continue
        const end = p[j] > 0 ? high[j] : low[j]
        const until = Math.max((end - d[j]) / p[j], 0)
        if (until <= length) [length, hit, bound] = [until, j, end]
      }
      gained += length * (rr - 0.5 * length * php)
      for (let j = 0; j < n; j++) {
        d[j] += length * p[j]
        slope[j] += length * hp[j]
      }
      if (hit >= 0) {
        fix(hit, bound)
        residual = masked(slope)
        rr = dot(residual, residual)
        p = residual.map((v) => -v)
        k = -1
        continue
      }
      if (length === ball) return true
      curvature = Math.min(curvature, php / pp)
      residual = masked(slope)
      const next = dot(residual, residual)
      p = p.map((v, j) => (next / rr) * v - residual[j])
      rr = next
    }
    return false
  }

  /** Turns the free part of the step by the best angle; false when that gave little. */
  function turn(): boolean {
    const [x, g] = [masked(d), masked(slope)]
    const [xx, gg, gx] = [dot(x, x), dot(g, g), dot(x, g)]
    const square = gg * xx - gx * gx
    if (!(square > 1e-8 * gained * gained) || !(square > 0)) return false
    const across = x.map((v, j) => (free[j] ? (gx * v - xx * g[j]) / Math.sqrt(square) : 0))
    let [limit, hit, bound] = [Math.PI / 2, -1, 0]
    for (let j = 0; j < n; j++) {
      const reach = Math.hypot(x[j], across[j])
      for (const side of [1, -1]) {
        const end = side > 0 ? high[j] : low[j]
        const phase = Math.atan2(side * across[j], side * x[j])
        if (!free[j] || !(reach > side * end) || phase <= 0) continue
        const until = Math.max(phase - Math.acos((side * end) / reach), 0)
        if (until < limit) [limit, hit, bound] = [until, j, end]
      }
    }
    const [hx, ha] = [times(x), times(across)]
    const [ga, xhx, xha, aha] = [dot(across, g), dot(x, hx), dot(x, ha), dot(across, ha)]
    const at = (angle: number) => {
      const [b, a] = [Math.sin(angle), -2 * Math.sin(angle / 2) ** 2]
      return a * gx + b * ga + 0.5 * (a * a * xhx + 2 * a * b * xha + b * b * aha)
    }
    const grid = Float64Array.from({ length: ANGLES + 1 }, (_, i) => at((limit * i) / ANGLES))
    const least = grid.indexOf(Math.min(...grid))
    if (!(least > 0)) {
      if (hit < 0 || limit > ROUNDING) return false
      fix(hit, bound)
      return true
    }
    const bend = least < ANGLES ? grid[least - 1] - 2 * grid[least] + grid[least + 1] : 0
    const shift = bend > 0 ? (0.5 * (grid[least - 1] - grid[least + 1])) / bend : 0
    const angle = (limit * (least + shift)) / ANGLES
    const [b, a] = [Math.sin(angle), -2 * Math.sin(angle / 2) ** 2]
    for (let j = 0; j < n; j++) {
      d[j] += a * x[j] + b * across[j]
      slope[j] += a * hx[j] + b * ha[j]
    }
    const reduction = -at(angle)
    gained += reduction
    if (least === ANGLES && hit >= 0) fix(hit, bound)
    else if (reduction <= WORTHWHILE * gained) return false
    return true
  }

  for (let round = 0; round <= n; round++) {
    const far = conjugate()
    for (let k = 0; far && k < 4 * n + 8 && turn(); k++);
    if (far) curvature = 0
    if (!release()) break
  }
  return { d: d.map((v, j) => Math.min(Math.max(v, low[j]), high[j])), curvature }
}
