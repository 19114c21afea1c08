/**
 * Which features of the data a model responds to: Pezeshki, Kaba, Bengio, Courville, Precup, Lajoie, "Gradient Starvation: A
 * Learning Proclivity in Neural Networks", NeurIPS 2021, section 3. Features are those of the tangent kernel at the start:
 * Y*Phi = U*S*V' with Phi the gradients of the outputs by the parameters and Y the labels; a model responds to them by
 * z = U'*Y*f. Strong features are learned first, and leave little gradient for the others.
 */
import { symmetricEigen } from '../../core/eigen.js'

/** Features of n examples, strongest first: strengths S (n numbers), and U, n by n, row-major, a feature in each column. */
export type Features = { strengths: Float64Array; directions: Float64Array }

/**
 * @param jacobian gradients of the outputs of n examples by all parameters, an example in each row
 * @param labels -1 or 1 of each example
 */
export function tangentFeatures(jacobian: ArrayLike<number>, labels: ArrayLike<number>): Features {
  const n = labels.length
  const width = jacobian.length / n
  const u = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let k = 0; k < width; k++) sum += jacobian[i * width + k] * jacobian[j * width + k]
      u[i * n + j] = u[j * n + i] = labels[i] * labels[j] * sum
    }
  const squares = symmetricEigen(u, n)
  const order = Array.from(squares.keys()).sort((a, b) => squares[b] - squares[a])
  const directions = new Float64Array(n * n)
  for (const [to, from] of order.entries()) {
    let total = 0
    for (let i = 0; i < n; i++) total += u[i * n + from]
    // A direction is one of two: that along which right outputs are, on the whole, positive.
    for (let i = 0; i < n; i++) directions[i * n + to] = total < 0 ? -u[i * n + from] : u[i * n + from]
  }
  return { strengths: Float64Array.from(order, (k) => Math.sqrt(Math.max(squares[k], 0))), directions }
}

/** z = U'*Y*f, the response to each feature. */
export function responses(
  directions: ArrayLike<number>,
  labels: ArrayLike<number>,
  outputs: ArrayLike<number>,
): Float64Array {
  const n = labels.length
  const z = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) z[j] += directions[i * n + j] * labels[i] * outputs[i]
  return z
}

/** The end of a training: how strong one feature was, and the responses to all. */
export type End = { strength: number; responses: ArrayLike<number> }

/** How much each response falls per unit by which the strength of one feature grows: above 0, that feature starves it. */
export const starvedBy = (weak: End, strong: End): number[] =>
  Array.from(weak.responses, (z, j) => (z - strong.responses[j]) / (strong.strength - weak.strength))

/**
 * The share of what features had at their peaks that is lost: 0 while all responses grow, near 1 when all but few are gone.
 *
 * @param peaks the largest absolute response so far to each feature
 */
export function starvationIndex(peaks: ArrayLike<number>, z: ArrayLike<number>): number {
  let [had, lost] = [0, 0]
  for (let j = 0; j < z.length; j++) {
    had += peaks[j]
    lost += Math.max(0, peaks[j] - Math.abs(z[j]))
  }
  return had > 0 ? lost / had : 0
}
