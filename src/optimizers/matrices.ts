/** Products of small dense matrices, row-major, in double precision. */
type Numbers = ArrayLike<number>

/** A*B for A of `inner` columns. */
export function multiply(a: Numbers, b: Numbers, inner: number): Float64Array {
  const [rows, columns] = [a.length / inner, b.length / inner]
  const out = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < inner; k++) {
      const value = a[i * inner + k]
      if (value !== 0) for (let j = 0; j < columns; j++) out[i * columns + j] += value * b[k * columns + j]
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
