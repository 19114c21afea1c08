/**
 * The signal-to-noise ratio of gradients, and what it says of generalization: Liu, Bai, Jiang, Chen, Wang, "Understanding Why
 * Neural Networks Generalize Well Through GSNR of Parameters", ICLR 2020; Jiang et al., "Accelerating
 * Large Batch Training via Gradient Signal to Noise Ratio (GSNR)", 2023.
 */
import type { Tensors } from '../../core/tensor.js'

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value / values.length, 0)

/** Squared mean over variance of each element; infinite where there is no noise, 0 where there is nothing. */
function ratios(gradients: readonly ArrayLike<number>[]): { signal: number; ratio: number }[] {
  return Array.from(gradients[0], (_, j) => {
    const values = gradients.map((g) => g[j])
    const signal = mean(values) ** 2
    const noise = mean(values.map((value) => (value - mean(values)) ** 2))
    return { signal, ratio: signal > 0 ? signal / noise : 0 }
  })
}

/** Of each tensor, how many elements have a ratio below each edge but not below the one before; the last has the rest. */
export function gsnrHistogram(
  gradients: readonly Tensors[],
  edges: readonly number[] = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10],
): { [tensor: string]: number[] } {
  return Object.fromEntries(
    Object.keys(gradients[0]).map((name) => {
      const counts = Array(edges.length + 1).fill(0)
      for (const { ratio } of ratios(gradients.map((g) => g[name]))) {
        const bin = edges.findIndex((edge) => ratio < edge)
        counts[bin < 0 ? edges.length : bin]++
      }
      return [name, counts]
    }),
  )
}

/**
 * How much of what one step gains on the examples it also gains on new ones, to first order:
 * 1 - (1/n)*sum_j W_j/(r_j + 1/n), with W_j the share of element j in the gain of a gradient step.
 *
 * @param gradients of the n examples, each as one vector
 */
export function generalizationRatio(gradients: readonly ArrayLike<number>[]): number {
  const n = gradients.length
  const elements = ratios(gradients)
  const total = elements.reduce((sum, { signal }) => sum + signal, 0)
  return (
    1 - elements.reduce((sum, { signal, ratio }) => sum + (signal > 0 ? signal / total / (ratio + 1 / n) : 0), 0) / n
  )
}
