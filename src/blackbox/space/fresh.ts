/** Random points of a search space, and points that were not asked before. */
import type { Rng } from '../../core/rng.js'
import type { Params } from '../../core/space.js'
import type { Encoding } from './encoding.js'

/** Draws before the search turns to counting. */
const DRAWS = 20

/** A uniform point of the space; a draw for every parameter, active or not. */
export const uniformPoint = (encoding: Encoding, rng: Rng): Params =>
  encoding.decode(encoding.axes.map(() => rng.uniform()))

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
    if (!known(params)) return params
  }
  return undefined
}

export const EXHAUSTED = 'every point of the finite space was asked, and avoidRepeats is set'
