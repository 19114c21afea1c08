/**
 * A quadratic model of a function from any number of values, and its minimum in a box.
 * M. J. D. Powell, "Least Frobenius norm updating of quadratic models that satisfy interpolation conditions", Math. Program.
 * 100, 2004: of all quadratics near the values the one with the smallest Hessian. Fewer points than coefficients give a
 * linear model where they are few, and the full quadratic where they suffice.
 *
 * The Hessian is sum_j multiplier_j s_j s_j^T, and the multipliers solve
 *
 *     [ A + ridge   1  S ] [ multipliers ]   [ f ]
 *     [ 1^T         0  0 ] [ constant    ] = [ 0 ],   A_ij = (s_i . s_j)^2 / 2.
 *     [ S^T         0  0 ] [ gradient    ]   [ 0 ]
 */
import { lbfgs, type Sample } from '../bayes/lbfgs.js'
import { dot } from '../linalg/dense.js'

/** value(s) = constant + gradient . s + s^T hessian s / 2; the Hessian row-major. */
export type Quadratic = { constant: number; gradient: Float64Array; hessian: Float64Array }

/** Solves the square system in place by elimination with partial pivoting; false where it is singular. */
function eliminate(a: Float64Array[], b: Float64Array): boolean {
  const n = b.length
  for (let k = 0; k < n; k++) {
    let pivot = k
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i][k]) > Math.abs(a[pivot][k])) pivot = i
    if (!(Math.abs(a[pivot][k]) > 1e-14)) return false
    ;[a[k], a[pivot]] = [a[pivot], a[k]]
    ;[b[k], b[pivot]] = [b[pivot], b[k]]
    const row = a[k]
    for (let i = k + 1; i < n; i++) {
      const factor = a[i][k] / row[k]
      if (factor === 0) continue
      for (let j = k; j < n; j++) a[i][j] -= factor * row[j]
      b[i] -= factor * b[k]
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) b[i] -= a[i][j] * b[j]
    b[i] /= a[i][i]
  }
  return b.every(Number.isFinite)
}

/** The model of `values` at `steps`, each value off by a deviation whose square is its ridge. Undefined where degenerate. */
export function fitQuadratic(
  steps: readonly Float64Array[],
  values: readonly number[],
  ridges: readonly number[],
): Quadratic | undefined {
  const [m, d] = [steps.length, steps[0].length]
  const size = m + 1 + d
  const a = Array.from({ length: size }, () => new Float64Array(size))
  const b = new Float64Array(size)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j <= i; j++) a[i][j] = a[j][i] = 0.5 * dot(steps[i], steps[j]) ** 2
    a[i][i] += ridges[i]
    a[i][m] = a[m][i] = 1
    for (let k = 0; k < d; k++) a[i][m + 1 + k] = a[m + 1 + k][i] = steps[i][k]
    b[i] = values[i]
  }
  if (!eliminate(a, b)) return undefined
  const hessian = new Float64Array(d * d)
  steps.forEach((s, j) => {
    for (let i = 0; i < d; i++) for (let k = 0; k < d; k++) hessian[i * d + k] += b[j] * s[i] * s[k]
  })
  return { constant: b[m], gradient: b.slice(m + 1), hessian }
}

/** Value and gradient of the model. */
export function evaluate({ constant, gradient, hessian }: Quadratic, s: Float64Array): Sample {
  const d = s.length
  const slope = gradient.slice()
  let value = constant
  for (let i = 0; i < d; i++) {
    const curved = dot(hessian.subarray(i * d, (i + 1) * d), s)
    value += s[i] * (gradient[i] + 0.5 * curved)
    slope[i] += curved
  }
  return { value, gradient: slope }
}

/** The lowest point of the model in a box that searches from these starts reach. */
export function minimizeQuadratic(
  model: Quadratic,
  low: Float64Array,
  high: Float64Array,
  starts: readonly Float64Array[],
): Float64Array {
  const scale = Math.max(1e-300, ...model.gradient.map(Math.abs), ...model.hessian.map(Math.abs))
  const scaled = (s: Float64Array) => {
    const { value, gradient } = evaluate(model, s)
    return { value: (value - model.constant) / scale, gradient: gradient.map((g) => g / scale) }
  }
  let best = starts[0]
  let lowest = Number.POSITIVE_INFINITY
  for (const start of starts) {
    const run = lbfgs(start, low, high, { maxEvaluations: 200, tolerance: 1e-13, progress: 1e-18, firstStep: 1 })
    let turn = run.next()
    while (!turn.done) turn = run.next(scaled(turn.value))
    if (turn.value.value < lowest) [lowest, best] = [turn.value.value, turn.value.x]
  }
  return best
}
