/**
 * Eigenvalues and eigenvectors of a symmetric matrix: Householder tridiagonalization, then QL steps with implicit
 * shifts. G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., 8.3.
 */

/** QL sweeps per eigenvalue before giving up; two is usual. */
const MAX_SWEEPS = 64

/**
 * Replaces the symmetric n x n matrix `a` (row-major; all of it is read) by its orthonormal eigenvectors, one a column,
 * and returns the eigenvalues in the order of the columns. NaN or infinite elements give NaN eigenvalues.
 */
export function symmetricEigen(a: Float64Array, n: number): Float64Array {
  const diagonal = new Float64Array(n)
  const below = new Float64Array(n)
  tridiagonalize(a, n, diagonal, below)
  diagonalize(a, n, diagonal, below)
  return diagonal
}

/** a = Q T Q': Q overwrites a; T has this diagonal and below[i] = T[i + 1, i]. */
function tridiagonalize(a: Float64Array, n: number, diagonal: Float64Array, below: Float64Array): void {
  const tau = new Float64Array(n)
  const p = new Float64Array(n)
  // Step k reflects column k below its subdiagonal to zero; its Householder vector stays in the column.
  for (let k = 0; k < n - 2; k++) {
    let tail = 0
    for (let i = k + 2; i < n; i++) tail += a[i * n + k] ** 2
    const alpha = a[(k + 1) * n + k]
    if (tail === 0) {
      below[k] = alpha
      continue
    }
    const norm = Math.sqrt(alpha * alpha + tail)
    const beta = alpha > 0 ? -norm : norm
    below[k] = beta
    tau[k] = (beta - alpha) / beta
    a[(k + 1) * n + k] = 1
    for (let i = k + 2; i < n; i++) a[i * n + k] /= alpha - beta
    // The trailing block B becomes H B H = B - v w' - w v', w = tau B v - tau^2 (v' B v) v / 2.
    let vp = 0
    for (let i = k + 1; i < n; i++) {
      let sum = 0
      for (let j = k + 1; j < n; j++) sum += a[i * n + j] * a[j * n + k]
      p[i] = tau[k] * sum
      vp += p[i] * a[i * n + k]
    }
    for (let i = k + 1; i < n; i++) p[i] -= 0.5 * tau[k] * vp * a[i * n + k]
    for (let i = k + 1; i < n; i++) {
      const vi = a[i * n + k]
      for (let j = k + 1; j < n; j++) a[i * n + j] -= vi * p[j] + p[i] * a[j * n + k]
    }
  }
  if (n > 1) below[n - 2] = a[(n - 1) * n + n - 2]
  for (let i = 0; i < n; i++) diagonal[i] = a[i * n + i]

  // Q = H_0 H_1 ... applied from the last to the first, so that each touches its trailing block only.
  const v = new Float64Array(n)
  for (let k = n - 1; k >= 0; k--) {
    for (let i = k + 1; i < n; i++) v[i] = k < n - 2 ? a[i * n + k] : 0
    for (let i = k; i < n; i++) a[i * n + k] = a[k * n + i] = i === k ? 1 : 0
    if (k >= n - 2 || tau[k] === 0) continue
    for (let j = k + 1; j < n; j++) {
      let sum = 0
      for (let i = k + 1; i < n; i++) sum += v[i] * a[i * n + j]
      for (let i = k + 1; i < n; i++) a[i * n + j] -= tau[k] * sum * v[i]
    }
  }
}

/** Rotates the tridiagonal matrix to a diagonal one, and the columns of q along. */
function diagonalize(q: Float64Array, n: number, diagonal: Float64Array, below: Float64Array): void {
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l
      while (m < n - 1) {
        const scale = Math.abs(diagonal[m]) + Math.abs(diagonal[m + 1])
        // Negated, so that NaN ends the search.
        if (!(Math.abs(below[m]) > Number.EPSILON * scale)) break
        m++
      }
      if (m === l) break
      if (sweep === MAX_SWEEPS) {
        diagonal.fill(Number.NaN)
        return
      }
      // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block that is nearer to its first element.
      const g = (diagonal[l + 1] - diagonal[l]) / (2 * below[l])
      const r = Math.hypot(g, 1)
      let x = diagonal[m] - diagonal[l] + below[l] / (g + (g >= 0 ? r : -r))
      let s = 1
      let c = 1
      let carried = 0
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * below[i]
        const b = c * below[i]
        const h = Math.hypot(f, x)
        below[i + 1] = h
        if (h === 0) {
          diagonal[i + 1] -= carried
          below[m] = 0
          break
        }
        s = f / h
        c = x / h
        x = diagonal[i + 1] - carried
        const t = (diagonal[i] - x) * s + 2 * c * b
        carried = s * t
        diagonal[i + 1] = x + carried
        x = c * t - b
        for (let k = 0; k < n; k++) {
          const row = k * n + i
          const next = q[row + 1]
          q[row + 1] = s * q[row] + c * next
          q[row] = c * q[row] - s * next
        }
      }
      if (i >= l) continue
      diagonal[l] -= carried
      below[l] = x
      below[m] = 0
    }
  }
}
