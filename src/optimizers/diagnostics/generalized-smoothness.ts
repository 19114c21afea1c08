/**
 * The constants of generalized smoothness and affine noise: Zhang, Zhou, Zou, "Convergence Guarantees for RMSProp and Adam
 * in Generalized-smooth Non-convex Optimization with Affine Noise Variance", 2024.
 */
type Vector = ArrayLike<number>

/** Which part of the changes an upper envelope lies above. */
const ENVELOPE = 0.9
const ITERATIONS = 200

/** Intercept and slope of the weighted least squares line. With no spread in `a` the line is flat. */
function line(a: readonly number[], b: readonly number[], weights: readonly number[]): [number, number] {
  const total = weights.reduce((sum, w) => sum + w, 0)
  const meanA = a.reduce((sum, ai, i) => sum + weights[i] * ai, 0) / total
  const meanB = b.reduce((sum, bi, i) => sum + weights[i] * bi, 0) / total
  const spread = a.reduce((sum, ai, i) => sum + weights[i] * (ai - meanA) ** 2, 0)
  const common = a.reduce((sum, ai, i) => sum + weights[i] * (ai - meanA) * (b[i] - meanB), 0)
  const slope = spread > 0 ? common / spread : 0
  return [meanB - slope * meanA, slope]
}

/** The line of the quantile regression of b on a, by iteratively reweighted least squares. */
function quantileLine(a: readonly number[], b: readonly number[], quantile: number): [number, number] {
  const tiny = 1e-9 * Math.max(...b.map(Math.abs), Number.MIN_VALUE)
  let weights = a.map(() => 1)
  for (let k = 0; k < ITERATIONS; k++) {
    const [intercept, slope] = line(a, b, weights)
    weights = a.map((ai, i) => {
      const residual = b[i] - intercept - slope * ai
      return (residual > 0 ? quantile : 1 - quantile) / Math.max(Math.abs(residual), tiny)
    })
  }
  return line(a, b, weights)
}

/** A gradient of a batch at a point, that of the same batch nearby, and how far apart the points are. */
export type Neighbours = { gradient: Vector; moved: Vector; distance: number }

/** L0 and L1 of |d_i f(x) - d_i f(y)| <= (L0 + L1*|d_i f(x)|)*|x - y|: an upper envelope over pairs and coordinates. */
export function generalizedSmoothness(pairs: readonly Neighbours[]): { L0: number; L1: number } {
  const sizes = pairs.flatMap(({ gradient }) => Array.from(gradient, Math.abs))
  const changes = pairs.flatMap(({ gradient, moved, distance }) =>
    Array.from(gradient, (g, i) => Math.abs(moved[i] - g) / distance),
  )
  const [L0, L1] = quantileLine(sizes, changes, ENVELOPE)
  return { L0, L1 }
}

/**
 * D0 and D1 of E|g_i - d_i f|^2 <= D0 + D1*|d_i f|^2, fitted over points and coordinates.
 *
 * @param samples of each point, the gradients of at least two batches
 */
export function affineNoise(samples: readonly (readonly Vector[])[]): { D0: number; D1: number } {
  const squares: number[] = []
  const variances: number[] = []
  for (const gradients of samples)
    for (let i = 0; i < gradients[0].length; i++) {
      const mean = gradients.reduce((sum, g) => sum + g[i], 0) / gradients.length
      squares.push(mean ** 2)
      variances.push(gradients.reduce((sum, g) => sum + (g[i] - mean) ** 2, 0) / (gradients.length - 1))
    }
  const [D0, D1] = line(
    squares,
    variances,
    squares.map(() => 1),
  )
  return { D0, D1 }
}
