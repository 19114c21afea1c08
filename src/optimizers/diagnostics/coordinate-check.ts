/**
 * Whether a parametrization makes features change alike at all widths: Yang et al., "Tensor Programs V: Tuning Large Neural
 * Networks via Zero-Shot Hyperparameter Transfer", 2022, appendix D.1.
 */

/** Root mean square of the change of pre-activations. */
export function change(before: ArrayLike<number>, after: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < before.length; i++) sum += (after[i] - before[i]) ** 2
  return Math.sqrt(sum / before.length)
}

/**
 * The power of the width that the change of a layer grows with, by least squares on logarithms: 0 where features change
 * alike, negative where wide networks stop to learn features, positive where they blow up.
 *
 * @param widths at least two different ones
 * @param changes of the layer at each width, above zero; means over seeds are steadier
 */
export function widthExponent(widths: readonly number[], changes: readonly number[]): number {
  const [x, y] = [widths, changes].map((values) => {
    const logs = values.map(Math.log)
    const mean = logs.reduce((a, b) => a + b, 0) / logs.length
    return logs.map((log) => log - mean)
  })
  return x.reduce((sum, xi, i) => sum + xi * y[i], 0) / x.reduce((sum, xi) => sum + xi * xi, 0)
}
