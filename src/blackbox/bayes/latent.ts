/**
 * The model of bayes-attack over latent numbers in [-1, 1]^k, and the point where its acquisition is largest. While all
 * values are equal there is nothing to fit: the kernel is squared exponential of length sqrt(k)/2, and the point of
 * largest posterior variance is wanted.
 */
import type { Rng } from '../../core/rng.js'
import { cholesky } from '../linalg/dense.js'
import { workspace } from '../linalg/linalg.js'
import { logExpectedImprovement } from './acquisition.js'
import { standardization, standardized } from './data.js'
import { defaultTheta, fitHyperparameters } from './fit.js'
import { Surrogate } from './surrogate.js'

export type LatentAcquisition = 'ei' | 'mean' | 'ucb'
type Latent = {
  zs: readonly Float64Array[]
  values: readonly number[]
  fit: { rows: number; theta: Float64Array } | null
}
/** Good within the scope of the workspace that it was made in. */
type Scores = (zs: readonly Float64Array[]) => number[]

/** Hyperparameters are fitted again when the values have grown by this factor. */
const GROWTH = 1.1
const FIT_EVALUATIONS = 25
/** Added to the diagonal, relative to the prior variance. */
const NUGGET = 1e-6
/** Rounds of local search, points of each, and the size of their steps. */
const ROUNDS = 3
const NEIGHBOURS = 32
const STEP = 0.5
const UCB = 2

/** Points of [-1, 1]^k, of the unit cube for the surrogate. */
const unit = (z: Float64Array) => z.map((v) => (v + 1) / 2)

/** Posterior variances of a process of unit prior variance, whatever the values are. */
function variances(points: readonly Float64Array[]): Scores {
  const n = points.length
  const k = points[0].length
  const weight = -2 / k
  const kernel = (a: Float64Array, b: Float64Array) => {
    let s = 0
    for (let i = 0; i < k; i++) s += (a[i] - b[i]) ** 2
    return Math.exp(weight * s)
  }
  const factor = new Float64Array(n * n)
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) factor[i * n + j] = kernel(points[i], points[j])
    factor[i * (n + 1)] = 1 + NUGGET
  }
  if (!cholesky(factor, n))
    return (zs) => zs.map((z) => points.reduce((least, p) => Math.min(least, 1 - kernel(p, z)), 1))
  const { kernels } = workspace()
  const l = workspace().alloc(n * n)
  l.view.set(factor)
  return (zs) =>
    workspace().scope(() => {
      const m = (zs.length + 3) & ~3
      const [x, out] = [workspace().alloc(n * m), workspace().alloc(m)]
      const { view } = x
      view.fill(0)
      points.forEach((p, i) => {
        for (let j = 0; j < zs.length; j++) view[i * m + j] = kernel(p, zs[j])
      })
      kernels.solve(n, m, l.pointer, n * 8, 8, x.pointer, m * 8, 8)
      kernels.squaredColumns(n, m, x.pointer, out.pointer)
      return Array.from(out.view.subarray(0, zs.length), (explained) => 1 - explained)
    })
}

/** Scores by the fitted model: Matérn 5/2 with a length for each latent number, and its noise. */
function fitted(state: Latent, pending: readonly Float64Array[], kind: LatentAcquisition): Scores {
  const { zs, values } = state
  const k = zs[0].length
  const dimensions = { ordered: Array.from({ length: k }, (_, i) => i), unordered: [] }
  // The surrogate minimizes.
  const rows = zs.map((z, i) => ({ u: unit(z), value: -values[i], noise: 0 }))
  const data = standardized(rows, standardization(rows))
  if (!state.fit || rows.length >= Math.ceil(state.fit.rows * GROWTH)) {
    const starts = [defaultTheta(k), ...(state.fit ? [state.fit.theta] : [])]
    state.fit = { rows: rows.length, theta: fitHyperparameters(workspace(), dimensions, data, starts, FIT_EVALUATIONS) }
  }
  const { theta } = state.fit
  const incumbent = data.values.reduce((least, v) => Math.min(least, v), Number.POSITIVE_INFINITY)
  const model = new Surrogate(workspace(), dimensions, theta, rows.length + pending.length)
  model.factorize(data.points, data.noises)
  model.condition(data.values, data.noises)
  for (const z of pending) model.believe(unit(z))
  return (points) =>
    model.predict(points.map(unit), false).map(({ mean, variance }) => {
      const deviation = Math.sqrt(variance)
      if (kind === 'ei') return logExpectedImprovement(mean, deviation, incumbent).value
      return kind === 'mean' ? -mean : UCB * deviation - mean
    })
}

/** Pending points count as known, at the mean that is expected of them. */
export function latentModel(state: Latent, pending: readonly Float64Array[], kind: LatentAcquisition) {
  const open = [...pending]
  const constant = state.values.every((v) => v === state.values[0])
  const size = state.zs[0].length
  return {
    believe: (z: Float64Array) => open.push(z),
    /** Screening by random points and signs, then steps around the best. */
    maximize: (candidates: number, rng: Rng): Float64Array =>
      workspace().scope(() => {
        const scores = constant ? variances([...state.zs, ...open]) : fitted(state, open, kind)
        // One word of the generator a number, and one for all signs of a point: drawing costs as much as the model does.
        const number = () => rng.word() / 2 ** 31 - 1
        const numbers = () => Float64Array.from({ length: size }, number)
        const signs = () => {
          let bits = 0
          return Float64Array.from({ length: size }, (_, i) => {
            if (i % 32 === 0) bits = rng.word()
            return (bits >>> (i % 32)) & 1 ? 1 : -1
          })
        }
        let points = Array.from({ length: candidates }, (_, i) => (i % 2 === 1 ? signs() : numbers()))
        let best = { z: points[0], score: Number.NEGATIVE_INFINITY }
        for (let round = 0; round <= ROUNDS; round++) {
          scores(points).forEach((score, i) => {
            if (score > best.score) best = { z: points[i], score }
          })
          const step = STEP / 2 ** round
          points = Array.from({ length: NEIGHBOURS }, () =>
            best.z.map((v) => Math.min(1, Math.max(-1, v + step * number()))),
          )
        }
        return best.z
      }),
  }
}
