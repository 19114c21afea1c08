/** Products of small dense matrices, row-major, in double precision. */
type Numbers = ArrayLike<number>

/** A*B for A of `inner` columns. */
export function multiply(a: Numbers, b: Numbers, inner: number): Float64Array {
  const [rows, columns] = [a.length / inner, b.length / inner]
  const out = new Float64Array(rows * columns)
  const fours = inner - (inner % 4)
  for (let i = 0; i < rows; i++) {
    const to = i * columns
    // Four rows of B at a time: the passes over a row of the product cost more than its arithmetic.
    for (let k = 0; k < fours; k += 4) {
      const at = i * inner + k
      const [a0, a1, a2, a3] = [a[at], a[at + 1], a[at + 2], a[at + 3]]
      const [b0, b1, b2, b3] = [k * columns, (k + 1) * columns, (k + 2) * columns, (k + 3) * columns]
      for (let j = 0; j < columns; j++)
        out[to + j] = out[to + j] + a0 * b[b0 + j] + a1 * b[b1 + j] + a2 * b[b2 + j] + a3 * b[b3 + j]
    }
    for (let k = fours; k < inner; k++) {
      const value = a[i * inner + k]
      for (let j = 0; j < columns; j++) out[to + j] += value * b[k * columns + j]
    }
  }
  return out
}

/** A'*B for A and B of `rows` rows. */
export function multiplyTransposed(a: Numbers, b: Numbers, rows: number): Float64Array {
  const [n, columns] = [a.length / rows, b.length / rows]
  const out = new Float64Array(n * columns)
  for (let k = 0; k < rows; k++)
    for (let i = 0; i < n; i++) {
      const value = a[k * n + i]
      if (value !== 0) for (let j = 0; j < columns; j++) out[i * columns + j] += value * b[k * columns + j]
    }
  return out
}

/** A*B' for A and B of `columns` columns. */
export function multiplyByTransposed(a: Numbers, b: Numbers, columns: number): Float64Array {
  const [rows, n] = [a.length / columns, b.length / columns]
  const out = new Float64Array(rows * n)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let k = 0; k < columns; k++) sum += a[i * columns + k] * b[j * columns + k]
      out[i * n + j] = sum
    }
  return out
}

export const transpose = (x: Numbers, columns: number): Float64Array => {
  const rows = x.length / columns
  const out = new Float64Array(x.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = x[i * columns + j]
  return out
}
