/**
 * Clusters of points by k-means: S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28, 1982, from the
 * centres of D. Arthur, S. Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
 */
import type { Rng } from '../core/rng.js'

const ROUNDS = 50

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let j = 0; j < a.length; j++) sum += (a[j] - b[j]) ** 2
  return sum
}

/** The first is drawn uniformly, each further one with probability proportional to its squared distance to the nearest. */
function seeds(points: readonly Float64Array[], k: number, rng: Rng): Float64Array[] {
  const centres = [points[rng.integer(points.length)]]
  const nearest = points.map((point) => distance(point, centres[0]))
  while (centres.length < k) {
    let left = rng.uniform() * nearest.reduce((sum, d) => sum + d, 0)
    // All points may be centres already: then any will do.
    let pick = points.length - 1
    for (let i = 0; i < points.length; i++) {
      left -= nearest[i]
      if (left < 0) {
        pick = i
        break
      }
    }
    centres.push(points[pick])
    points.forEach((point, i) => {
      nearest[i] = Math.min(nearest[i], distance(point, points[pick]))
    })
  }
  return centres
}

/** The cluster of each point, from 0 to k - 1. Some clusters stay empty where fewer points differ. */
export function kMeans(points: readonly Float64Array[], k: number, rng: Rng): number[] {
  const centres = seeds(points, k, rng)
  let assignment: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const next = points.map((point) => {
      const distances = centres.map((centre) => distance(point, centre))
      return distances.indexOf(Math.min(...distances))
    })
    if (next.every((c, i) => c === assignment[i])) break
    assignment = next
    for (let c = 0; c < k; c++) {
      const members = points.filter((_, i) => assignment[i] === c)
      if (members.length > 0)
        centres[c] = centres[c].map((_, j) => members.reduce((sum, point) => sum + point[j], 0) / members.length)
    }
  }
  return assignment
}
