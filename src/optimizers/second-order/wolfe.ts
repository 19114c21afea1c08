/**
 * A line search for the strong Wolfe conditions, a trial at a time: J. Nocedal, S. Wright, "Numerical Optimization", 2nd ed.,
 * algorithms 3.5 (bracketing) and 3.6 (zoom), with the cubic of equation 3.59.
 */

/** What is known at a length along a direction; the gradient is kept where the length was tried. */
export type Point = { length: number; value: number; slope: number; gradient?: Float64Array }

/** A search under way, plain data: `bracket` is absent until an interval holds a good length; the first end is the lower. */
export type Search = { start: Point; last: Point; bracket?: readonly [Point, Point]; trials: number }

/** Bounds of what a trial may be, as shares of an interval from its ends, and times the last length ahead of a bracket. */
const [NEAR_END, GROW_LEAST, GROW_MOST] = [0.1, 2, 10]

export const searchFrom = (start: Point): Search => ({ start, last: start, trials: 0 })

/** The minimizer of the cubic through two points with these slopes; NaN where there is none. */
function cubic(a: Point, b: Point): number {
  const d1 = a.slope + b.slope - (3 * (a.value - b.value)) / (a.length - b.length)
  const root = Math.sqrt(d1 * d1 - a.slope * b.slope)
  const d2 = b.length > a.length ? root : -root
  return b.length - ((b.length - a.length) * (b.slope + d2 - d1)) / (b.slope - a.slope + 2 * d2)
}

const within = (value: number, low: number, high: number, otherwise: number): number =>
  value >= low && value <= high ? value : Number.isNaN(value) ? otherwise : Math.min(Math.max(value, low), high)

type Next = { search: Search; length: number; accepted?: undefined } | { accepted: Point }

function inside(search: Search, bracket: readonly [Point, Point]): Next {
  const [low, high] = [Math.min(bracket[0].length, bracket[1].length), Math.max(bracket[0].length, bracket[1].length)]
  const margin = NEAR_END * (high - low)
  const length = within(cubic(...bracket), low + margin, high - margin, (low + high) / 2)
  return { search: { ...search, bracket }, length }
}

/** Takes a trial; gives the length to be tried next, or the point to be moved to: the start where none is better. */
export function searchOn(
  { start, last, bracket, trials }: Search,
  tried: Point,
  { decrease, flatness, trials: most }: { decrease: number; flatness: number; trials: number },
): Next {
  const search: Search = { start, last: tried, trials: trials + 1 }
  const falls = tried.value <= start.value + decrease * tried.length * start.slope
  const flat = Math.abs(tried.slope) <= flatness * Math.abs(start.slope)
  const low = bracket?.[0] ?? last
  const better = falls && (trials === 0 || tried.value < low.value)
  if (better && flat) return { accepted: tried }
  if (search.trials >= most) return { accepted: better ? tried : low }
  if (!better) return inside(search, [low, tried])
  if (bracket) {
    const [, high] = bracket
    return inside(search, [tried, tried.slope * (high.length - low.length) >= 0 ? low : high])
  }
  if (tried.slope >= 0) return inside(search, [tried, last])
  const length = within(
    cubic(last, tried),
    GROW_LEAST * tried.length,
    GROW_MOST * tried.length,
    GROW_LEAST * tried.length,
  )
  return { search, length }
}
