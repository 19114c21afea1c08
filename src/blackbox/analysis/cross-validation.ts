/**
 * Of each trial what the surrogate of all others predicts, from the one factor of all of them.
 * O. Dubrule, "Cross Validation of Kriging in a Unique Neighborhood", Math. Geology 15, 1983: with the constant mean estimated
 * anew each time; C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 5.12.
 *
 * With Q = K^-1 - K^-1 1 1^T K^-1 / (1^T K^-1 1) the residual y_i - mean_i is [Q y]_i / Q_ii; the variance given the mean is
 * 1 / [K^-1]_ii, noise included. Hyperparameters stay those of all trials.
 */
import { inverse } from '../linalg/dense.js'
import type { Model } from './model.js'

export type Fold = { trial: number; value: number; mean: number; deviation: number }
export type CrossValidation = { folds: Fold[]; rmse: number; explained: number; coverage: number }

/** Residuals and variances of the left-out values; `factor` is the lower factor, packed row by row. */
export function leaveOneOut(packed: ArrayLike<number>, values: readonly number[]) {
  const n = values.length
  const l = new Float64Array(n * n)
  for (let i = 0, at = 0; i < n; i++) for (let j = 0; j <= i; j++) l[i * n + j] = packed[at++]
  const k = inverse(l, n)
  const sums = new Float64Array(n)
  const weighted = new Float64Array(n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      sums[i] += k[i * n + j]
      weighted[i] += k[i * n + j] * values[j]
    }
  const total = sums.reduce((sum, s) => sum + s, 0)
  const mean = weighted.reduce((sum, w) => sum + w, 0) / total
  return {
    residuals: sums.map((s, i) => (weighted[i] - s * mean) / (k[i * (n + 1)] - s ** 2 / total)),
    variances: sums.map((_, i) => 1 / k[i * (n + 1)]),
  }
}

/** `explained` is 1 - (sum of squared errors) / (sum of squares about the mean), 0 where all values are equal. */
export function crossValidation(model: Model, objective: number): CrossValidation {
  const { residuals, variances } = leaveOneOut(model.factor.packed, model.values)
  const folds = model.trials.map(({ number, values }, i) => ({
    trial: number,
    value: values[objective],
    ...model.inUnits(model.values[i] - residuals[i], variances[i]),
  }))
  const center = folds.reduce((sum, { value }) => sum + value / folds.length, 0)
  const squares = folds.reduce((sum, { value, mean }) => sum + (value - mean) ** 2, 0)
  const spread = folds.reduce((sum, { value }) => sum + (value - center) ** 2, 0)
  const inside = folds.filter(({ value, mean, deviation }) => Math.abs(value - mean) <= 2 * deviation)
  return {
    folds,
    rmse: Math.sqrt(squares / folds.length),
    explained: spread > 0 ? 1 - squares / spread : 0,
    coverage: inside.length / folds.length,
  }
}
