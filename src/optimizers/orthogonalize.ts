/** Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: matrices without their singular values. */
import { norm } from './flat.js'
import { multiply, multiplyByTransposed, transpose } from './matrices.js'

/** The quintic a*s + b*s^3 + c*s^5, which takes singular values from (0, 1] to about 1 in five steps. */
const [A, B, C] = [3.4445, -4.775, 2.0315]

/** A matrix of the same singular vectors whose singular values are about 1, by Newton-Schulz steps. */
export function orthogonalize(x: ArrayLike<number>, columns: number, steps = 5): Float64Array {
  const size = norm(x)
  if (size === 0) return Float64Array.from(x)
  const rows = x.length / columns
  const tall = rows > columns
  const [short, long] = tall ? [columns, rows] : [rows, columns]
  let y = (tall ? transpose(x, columns) : Float64Array.from(x)).map((value) => value / size)
  for (let step = 0; step < steps; step++) {
    const gram = multiplyByTransposed(y, y, long)
    const square = multiply(gram, gram, short)
    const rest = multiply(
      gram.map((value, i) => B * value + C * square[i]),
      y,
      short,
    )
    y = y.map((value, i) => A * value + rest[i])
  }
  return tall ? transpose(y, long) : y
}
