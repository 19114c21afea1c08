/** Medians of the gradients of workers or examples: Schaipp et al., "SGD with Clipping is Secretly Estimating the Median Gradient", 2024. */
import { accumulate } from '../flat.js'

type Vector = ArrayLike<number>

/** Weights of the Weiszfeld iteration are bounded at this distance, where a gradient is the estimate itself. */
const NEAR = 1e-12
const ITERATIONS = 200
const CHANGE = 1e-10

function mean(gradients: readonly Vector[], weights: readonly number[]): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const result = new Float64Array(gradients[0].length)
  for (const [i, g] of gradients.entries()) accumulate(result, weights[i] / total, g)
  return result
}

const distance = (a: Vector, b: Vector): number => Math.hypot(...Array.from(a, (ai, i) => ai - b[i]))

/** The median of each component; the mean of the middle two where the count is even. At least one gradient. */
export function coordinateMedian(gradients: readonly Vector[]): Float64Array {
  const half = (gradients.length - 1) / 2
  return Float64Array.from(gradients[0], (_, i) => {
    const sorted = Float64Array.from(gradients, (g) => g[i]).sort()
    return (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2
  })
}

/** The vector with the least sum of distances to the gradients, by Weiszfeld's iteration from their mean. */
export function geometricMedian(gradients: readonly Vector[]): Float64Array {
  let z = mean(
    gradients,
    gradients.map(() => 1),
  )
  for (let k = 0; k < ITERATIONS; k++) {
    const next = mean(
      gradients,
      gradients.map((g) => 1 / Math.max(distance(g, z), NEAR)),
    )
    const change = distance(next, z)
    z = next
    if (change < CHANGE) break
  }
  return z
}
