/** Directions spread evenly over several objectives: I. Das, J. Dennis, "Normal-Boundary Intersection", 1998. */
import type { Issue } from '../../core/errors.js'
import type { Problem } from '../../core/space.js'

const MAX_DIRECTIONS = 10_000
const USUAL_DIRECTIONS = 100

/** All ways to share out p parts among m objectives, each as a point of the unit simplex. */
export function directions(m: number, p: number): number[][] {
  const share = (left: number, rest: number): number[][] =>
    rest === 1
      ? [[left / p]]
      : Array.from({ length: left + 1 }, (_, k) => k).flatMap((k) =>
          share(left - k, rest - 1).map((tail) => [k / p, ...tail]),
        )
  return share(p, m)
}

/** Number of directions, (p + m - 1 over p). */
export function countDirections(m: number, p: number): number {
  let count = 1
  for (let i = 1; i < m; i++) count = (count * (p + i)) / i
  return Math.round(count)
}

/** As many parts as make a hundred directions at most, 99 for two objectives and 12 for three, but never fewer than 3. */
function partitionsFor(m: number): number {
  let p = 3
  while (p < USUAL_DIRECTIONS - 1 && countDirections(m, p + 1) <= USUAL_DIRECTIONS) p++
  return p
}

/** The parts of a session: those of its config, or by the number of its objectives. */
export const partitionsOf = ({ partitions }: { partitions?: number }, { objectives }: Problem): number =>
  partitions ?? partitionsFor(objectives.length)

/** Refuses more directions than can be followed. */
export function checkDirections(m: number, p: number): Issue[] {
  const count = countDirections(m, p)
  if (count <= MAX_DIRECTIONS) return []
  const message = `expected at most ${MAX_DIRECTIONS} directions, got ${count} for ${m} objectives`
  return [{ path: 'config.partitions', message }]
}
