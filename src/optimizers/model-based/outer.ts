/** Convex outer functions h of h(c(x)), as their conjugates: h(c) = max over l of <l, c> - h*(l), h*(l) = bend*|l|^2/2. */

export const OUTER = ['abs', 'hinge', 'huber', 'square', 'max'] as const
export type Outer = { h: (typeof OUTER)[number]; huber: number }

const BOUNDS = {
  abs: [-1, 1],
  hinge: [0, 1],
  huber: [-1, 1],
  square: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
} as const

const one = ({ h, huber }: Outer, c: number): number => {
  if (h === 'abs') return Math.abs(c)
  if (h === 'hinge') return Math.max(0, c)
  if (h === 'square') return c ** 2 / 2
  return Math.abs(c) <= huber ? c ** 2 / (2 * huber) : Math.abs(c) - huber / 2
}

/** The mean over the elements of c, or with `max` the largest of them. */
export const outerValue = (outer: Outer, c: Float64Array): number =>
  outer.h === 'max' ? Math.max(...c) : c.reduce((sum, ci) => sum + one(outer, ci), 0) / c.length

/** The dual variables l of m elements: how h* bends, the bounds of a single one, and the projection to where h* is finite. */
export type Dual = { bend: number; bounds: readonly [number, number]; project(l: Float64Array): Float64Array }

export function dualOf({ h, huber }: Outer, m: number): Dual {
  if (h === 'max') return { bend: 0, bounds: [1, 1], project: (l) => toSimplex(l, 1) }
  const [low, high] = BOUNDS[h].map((bound) => bound / m)
  const bend = m * (h === 'square' ? 1 : h === 'huber' ? huber : 0)
  return { bend, bounds: [low, high], project: (l) => l.map((value) => Math.min(Math.max(value, low), high)) }
}

/** The nearest point of non-negative elements whose sum is `size`: Held, Wolfe, Crowder 1974. */
export function toSimplex(x: Float64Array, size: number): Float64Array {
  const sorted = x.slice().sort().reverse()
  let sum = 0
  let shift = 0
  for (let i = 0; i < sorted.length; i++) {
    sum += sorted[i]
    const next = (sum - size) / (i + 1)
    if (sorted[i] <= next) break
    shift = next
  }
  return x.map((value) => Math.max(value - shift, 0))
}
