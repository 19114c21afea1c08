/** The arms of a bandit: points of a space, with their names and features. */
import type { Point } from '../../core/query.js'
import type { Rng } from '../../core/rng.js'
import type { Problem } from '../../core/space.js'
import { sobolSequence } from '../sampling/sobol.js'
import { encodingOf } from '../space/encoding.js'

/** Points beyond these are too many to be an arm each: then so many of a Sobol' sequence are. */
const MAX_ARMS = 4096
const SAMPLED_ARMS = 64
export type Arms = {
  points: readonly Point[]
  names: readonly string[]
  x: readonly Float64Array[]
  index: (point: Point) => number
}

export function armsOf({ space }: Problem): Arms {
  if (space.kind === 'items') {
    const index = new Map(space.items.map(({ id }, i) => [id, i]))
    return {
      points: space.items.map(({ id }) => ({ kind: 'item', item: id })),
      names: space.items.map(({ id }) => id),
      x: space.items.map(({ features = [] }) => Float64Array.from(features)),
      index: (point) => (point.kind === 'item' ? (index.get(point.item) ?? -1) : -1),
    }
  }
  if (space.kind !== 'search') throw new TypeError(`a bandit has no arms in ${space.kind} spaces`)
  const encoding = encodingOf(space)
  const sobol = sobolSequence(encoding.dimension)
  const params =
    encoding.cardinality <= MAX_ARMS
      ? Array.from({ length: encoding.cardinality }, (_, i) => encoding.point(i)).filter(encoding.feasible)
      : Array.from({ length: SAMPLED_ARMS }, (_, i) => encoding.decode(sobol(i)))
  const keys = new Map(params.map((p, i) => [encoding.encode(p).u.join(' '), i]))
  return {
    points: params.map((p) => ({ kind: 'params', params: p })),
    names: params.map((_, i) => `${i}`),
    x: params.map((p) => encoding.encode(p).u),
    index: (point) => (point.kind === 'params' ? (keys.get(encoding.encode(point.params).u.join(' ')) ?? -1) : -1),
  }
}

/** The arm of the largest score, one of equals at random. */
export function largest(arms: readonly number[], score: (arm: number) => number, rng: Rng): number {
  const scores = arms.map(score)
  const top = scores.reduce((most, s) => Math.max(most, s), Number.NEGATIVE_INFINITY)
  const best = arms.filter((_, i) => scores[i] === top)
  return best.length > 1 ? best[rng.integer(best.length)] : (best[0] ?? arms[0])
}
