/** The bounded convex set that online methods play in: a ball about the origin, or the box of the space. */
import type { Issue } from '../../core/errors.js'
import type { Problem } from '../../core/space.js'
import { type Flat, norm, spaceOf } from '../flat.js'
import { multiply, multiplyTransposed } from '../matrices.js'

export type Domain = {
  center: Float64Array
  /** Largest distance of two of its points. */
  diameter: number
  /** Moves x to the nearest point, in place. */
  project(x: Float64Array): Float64Array
  /** The point z that minimizes (z - x)' H (z - x). */
  projectIn(metric: Metric, x: Float64Array): Float64Array
  /** The least <g, u> over its points u. */
  least(g: Float64Array): number
}

/** A positive definite H with its eigenvectors by column and its eigenvalues; matrices are row-major. */
export type Metric = { H: Float64Array; vectors: Float64Array; values: Float64Array }

/** Projections in a metric stop when nothing moves by more than this times the diameter. */
const TOLERANCE = 1e-13
const MAX_ITERATIONS = 1000

/** What is missing for a bounded set. */
export function checkDomain(id: string, ball: number | undefined, problem: Problem): Issue[] {
  const { low, high } = spaceOf(problem)
  const boxed = low !== undefined && high !== undefined
  if (ball !== undefined && (low !== undefined || high !== undefined))
    return [{ path: 'config.ball', message: 'the space has bounds already: a ball or a box, not both' }]
  if (ball !== undefined || boxed) return []
  return [{ path: 'config.ball', message: `${id} plays in a bounded set: give a radius, or bounds on both sides` }]
}

export function domainOf(ball: number | undefined, problem: Problem, flat: Flat): Domain {
  return ball === undefined ? boxDomain(problem, flat) : ballDomain(ball, flat.dimension)
}

function ballDomain(radius: number, n: number): Domain {
  return {
    center: new Float64Array(n),
    diameter: 2 * radius,
    project(x) {
      const length = norm(x)
      if (length > radius) for (let i = 0; i < n; i++) x[i] *= radius / length
      return x
    },
    projectIn({ vectors, values }, x) {
      if (norm(x) <= radius) return x
      const y = multiplyTransposed(vectors, x, n)
      // z_i = h_i y_i/(h_i + lambda), |z| = r: Newton's method on 1/r - 1/|z| comes from the left and never passes the root.
      let lambda = 0
      const z = new Float64Array(n)
      for (let k = 0; k < MAX_ITERATIONS; k++) {
        for (let i = 0; i < n; i++) z[i] = (values[i] * y[i]) / (values[i] + lambda)
        const length = norm(z)
        if (length <= radius * (1 + TOLERANCE)) break
        const slope = z.reduce((sum, zi, i) => sum + zi ** 2 / (values[i] + lambda), 0)
        lambda += ((length - radius) / radius) * (length ** 2 / slope)
      }
      return this.project(multiply(vectors, z, n))
    },
    least: (g) => -radius * norm(g),
  }
}

function boxDomain(problem: Problem, flat: Flat): Domain {
  const { low, high } = spaceOf(problem) as { low: number; high: number }
  const n = flat.dimension
  const clamp = (x: number) => Math.min(Math.max(x, low), high)
  return {
    center: new Float64Array(n).fill(low + (high - low) / 2),
    diameter: Math.sqrt(n) * (high - low),
    project: flat.clamp,
    projectIn({ H }, x) {
      if (x.every((xi) => xi >= low && xi <= high)) return x
      // Coordinate descent on the quadratic program.
      const z = x.map(clamp)
      for (let k = 0; k < MAX_ITERATIONS; k++) {
        let moved = 0
        for (let i = 0; i < n; i++) {
          let slope = 0
          for (let j = 0; j < n; j++) slope += H[i * n + j] * (z[j] - x[j])
          const next = clamp(z[i] - slope / H[i * n + i])
          moved = Math.max(moved, Math.abs(next - z[i]))
          z[i] = next
        }
        if (moved <= TOLERANCE * (high - low)) break
      }
      return z
    },
    least: (g) => g.reduce((sum, gi) => sum + Math.min(gi * low, gi * high), 0),
  }
}
