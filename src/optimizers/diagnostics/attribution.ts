/**
 * What attributions of features should be like: Erion, Janizek, Sturmfels, Lundberg, Lee, "Improving performance of deep
 * learning models with axiomatic attribution priors and expected gradients", Nature Machine Intelligence 2021, section 2.2.
 *
 * Attributions phi are those of a batch, example by example, in rows of `features` numbers.
 */
export type Grid = { rows: number; columns: number }
export type Edge = { from: number; to: number; weight: number }

/** Mean over the batch of the sum of differences between neighbours in an image. */
export function pixelPrior(phi: ArrayLike<number>, { rows, columns }: Grid): number {
  const pixels = rows * columns
  let sum = 0
  for (let i = 0; i < phi.length; i++) {
    const [row, column] = [Math.floor((i % pixels) / columns), i % columns]
    if (row + 1 < rows) sum += Math.abs(phi[i + columns] - phi[i])
    if (column + 1 < columns) sum += Math.abs(phi[i + 1] - phi[i])
  }
  return sum / (phi.length / pixels)
}

/** Mean over the batch of the size of each feature's attribution. */
function sizes(phi: ArrayLike<number>, features: number): Float64Array {
  const a = new Float64Array(features)
  for (let i = 0; i < phi.length; i++) a[i % features] += Math.abs(phi[i]) / (phi.length / features)
  return a
}

/** a'La of the sizes a of attributions, L the Laplacian of a graph: weighted squares of the differences along its edges. */
export function graphPrior(phi: ArrayLike<number>, features: number, edges: readonly Edge[]): number {
  const a = sizes(phi, features)
  return edges.reduce((sum, { from, to, weight }) => sum + weight * (a[from] - a[to]) ** 2, 0)
}

/** How unequal numbers from 0 are: 0 when all are the same, 1 - 1/n when one of n has all; 0 of zeros. */
export function gini(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort()
  const total = sorted.reduce((sum, value) => sum + value, 0)
  if (total === 0) return 0
  const n = sorted.length
  // Of all pairs, the value of rank i (from 0) is the larger in i and the smaller in n - 1 - i.
  return sorted.reduce((sum, value, i) => sum + (2 * i - n + 1) * value, 0) / (n * total)
}

/** The negative of the Gini coefficient of the sizes of attributions: least where few features have all. */
export const sparsePrior = (phi: ArrayLike<number>, features: number): number => -gini(sizes(phi, features))
