/** Inverse of a regularized second moment matrix, kept by rank-one updates. */

/** I / lambda of dimension p, row-major. */
export function startInverse(p: number, lambda: number): Float64Array {
  const inverse = new Float64Array(p * p)
  for (let i = 0; i < p; i++) inverse[i * (p + 1)] = 1 / lambda
  return inverse
}

/** Zinv g. */
export const times = (inverse: Float64Array, g: Float64Array): Float64Array => {
  const p = g.length
  return g.map((_, i) => {
    let sum = 0
    for (let j = 0, at = i * p; j < p; j++) sum += inverse[at + j] * g[j]
    return sum
  })
}

/** sqrt(g' Zinv g). */
export function width(inverse: Float64Array, g: Float64Array): number {
  const v = times(inverse, g)
  let sum = 0
  for (let i = 0; i < g.length; i++) sum += g[i] * v[i]
  return Math.sqrt(Math.max(sum, 0))
}

/** Z + g g' by J. Sherman and W. J. Morrison, 1950, in place. Returns by how much the determinant of Z grew. */
export function observe(inverse: Float64Array, g: Float64Array): number {
  const p = g.length
  const v = times(inverse, g)
  let growth = 1
  for (let i = 0; i < p; i++) growth += g[i] * v[i]
  for (let i = 0; i < p; i++) for (let j = 0; j < p; j++) inverse[i * p + j] -= (v[i] * v[j]) / growth
  return growth
}
