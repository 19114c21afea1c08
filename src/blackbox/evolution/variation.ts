/**
 * Crossover and mutation of coordinates within a box: simulated binary crossover and polynomial mutation (K. Deb, R. B. Agrawal,
 * 1995; K. Deb, M. Goyal, 1996), and for coordinates without an order exchange and a fresh draw.
 */
import type { Rng } from '../../core/rng.js'
import type { Box } from './box.js'

type Bounds = Pick<Box, 'dimension' | 'low' | 'high' | 'ordered'>

export type Variation = {
  crossover: number
  crossoverIndex: number
  mutation?: number
  mutationIndex: number
}

/** Simulated binary crossover of two coordinates within bounds; the children as likely one way as the other. */
function cross(a: number, b: number, { low, high }: Bounds, index: number, rng: Rng): [number, number] {
  const [x, y] = a < b ? [a, b] : [b, a]
  if (y - x < 1e-14) return [a, b]
  const u = rng.uniform()
  const spread = (room: number) => {
    // Without a bound the room is infinite and beta^-(index + 1) is 0.
    const alpha = 2 - (1 + (2 * room) / (y - x)) ** -(index + 1)
    return u <= 1 / alpha ? (u * alpha) ** (1 / (index + 1)) : (1 / (2 - u * alpha)) ** (1 / (index + 1))
  }
  const [left, right] = [x - low, high - y].map(spread)
  const [c, d] = [(x + y - left * (y - x)) / 2, (x + y + right * (y - x)) / 2]
  const clamp = (v: number) => Math.min(Math.max(v, low), high)
  return rng.uniform() < 0.5 ? [clamp(c), clamp(d)] : [clamp(d), clamp(c)]
}

/** Polynomial mutation; without bounds of the width 1. */
function mutate(x: number, { low, high }: Bounds, index: number, rng: Rng): number {
  const bounded = Number.isFinite(high - low)
  const width = bounded ? high - low : 1
  const u = rng.uniform()
  const power = 1 / (index + 1)
  const room = (side: number) => (bounded ? (1 - side / width) ** (index + 1) : 0)
  const delta =
    u < 0.5
      ? (2 * u + (1 - 2 * u) * room(x - low)) ** power - 1
      : 1 - (2 * (1 - u) + (2 * u - 1) * room(high - x)) ** power
  return Math.min(Math.max(x + delta * width, low), high)
}

/** Two children of two parents. */
export function offspring(
  parents: readonly Float64Array[],
  settings: Variation,
  box: Bounds,
  rng: Rng,
): Float64Array[] {
  const { crossover, crossoverIndex, mutationIndex, mutation = 1 / box.dimension } = settings
  const [a, b] = parents.map((parent) => parent.slice())
  const crossed = rng.uniform() < crossover
  for (let j = 0; j < box.dimension; j++) {
    if (crossed && rng.uniform() < 0.5)
      [a[j], b[j]] = box.ordered(j) ? cross(a[j], b[j], box, crossoverIndex, rng) : [b[j], a[j]]
    for (const child of [a, b]) {
      if (rng.uniform() >= mutation) continue
      child[j] = box.ordered(j) ? mutate(child[j], box, mutationIndex, rng) : rng.uniform()
    }
  }
  return [a, b]
}
