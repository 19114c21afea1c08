/** Random points of a search space, and points that were not asked before. */
import type { Rng } from '../../core/rng.js'
import type { Params } from '../../core/space.js'
import type { Encoding } from './encoding.js'
import { walk } from './feasible.js'

/** Draws before the search turns to counting. */
const DRAWS = 20

/** Draws until one satisfies the constraints. */
const REJECTIONS = 200

/**
 * A uniform point of the space; a draw for every coordinate, active or not. Where constraints leave so little of the space
 * that draws miss it, a point of a random walk in it (hit-and-run).
 */
export function uniformPoint(encoding: Encoding, rng: Rng): Params {
  const draw = () => encoding.axes.map(() => rng.uniform())
  if (!encoding.constrained) return encoding.decode(draw())
  for (let i = 0; i < REJECTIONS; i++) {
    const params = encoding.decodeAnywhere(draw())
    if (encoding.feasible(params)) return params
  }
  return encoding.decode(walk(encoding, rng))
}

/**
 * A point that is not known: one of a few draws or, where all of these are known, the next unknown one in the numbering
 * of the finite space from number `start()`. Undefined when every point of the space is known.
 */
export function freshPoint(
  encoding: Encoding,
  known: (params: Params) => boolean,
  draw: () => Params,
  start: (cardinality: number) => number,
): Params | undefined {
  for (let i = 0; i < DRAWS; i++) {
    const params = draw()
    if (!known(params)) return params
  }
  const { cardinality } = encoding
  if (!Number.isFinite(cardinality)) return draw()
  const first = start(cardinality)
  for (let i = 0; i < cardinality; i++) {
    const params = encoding.point((first + i) % cardinality)
    if (!known(params) && encoding.feasible(params)) return params
  }
  return undefined
}

export const EXHAUSTED = 'every point of the finite space was asked, and avoidRepeats is set'
