/** Logistic regression on examples a (label times features), with the loss log(1 + exp(-<a, x>)) of each. */
type Rows = readonly (readonly number[])[]

export function logistic(rows: Rows, x: ArrayLike<number>) {
  const margins = rows.map((a) => a.reduce((sum, ai, i) => sum + ai * x[i], 0))
  const losses = margins.map((z) => Math.log1p(Math.exp(-Math.abs(z))) + Math.max(-z, 0))
  const weights = margins.map((z) => 1 / (1 + Math.exp(z)))
  const gradient = rows[0].map((_, i) => -rows.reduce((sum, a, k) => sum + weights[k] * a[i], 0) / rows.length)
  return { margins, losses, gradient }
}

/** n - 1 examples (1, 0) and one (-1, 0.3): separable, and hard for gradient descent where n is large. */
export const hardSet = (n: number): Rows => Array.from({ length: n }, (_, i) => (i === 0 ? [-1, 0.3] : [1, 0]))
