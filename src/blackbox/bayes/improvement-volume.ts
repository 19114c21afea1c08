/**
 * The logarithm of expected hypervolume improvement, exact for independent normal objectives, with its slopes.
 * M. Emmerich, K. Yang, A. Deutz, H. Wang, C. M. Fonseca, "A Multicriteria Generalization of Bayesian Global Optimization",
 * 2016 (a sum over boxes); S. Daulton, M. Balandat, E. Bakshy, arXiv 2006.05078; in logarithms as S. Ament et al., arXiv
 * 2310.20708, section 4.
 *
 * In a box from l to u a value y improves by prod_k (u_k - max(l_k, y_k))+, whose mean is prod_k (psi_k(u_k) - psi_k(l_k)) with
 * psi(t) = E (t - y)+ = s h((t - mean) / s), h as in acquisition.ts.
 */
import type { ValueBox } from '../space/hypervolume.js'
import { logH } from './acquisition.js'

/** Means and standard deviations by objective. */
export type Normals = { means: ArrayLike<number>; deviations: ArrayLike<number> }
export type VolumeSlopes = { value: number; dMeans: Float64Array; dDeviations: Float64Array }

/** log psi(t), and Phi / h and phi / h there. */
type Level = { log: number; cdf: number; density: number }
const NONE: Level = { log: Number.NEGATIVE_INFINITY, cdf: 0, density: 0 }

/** log(1 - e^x) for x <= 0. */
const log1mExp = (x: number) => (x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x)))

/** What each side of a box contributes: log(psi(u) - psi(l)) and its slopes. */
function side(low: Level, high: Level, deviation: number) {
  const log = high.log + log1mExp(Math.min(low.log - high.log, 0))
  const [top, bottom] = [Math.exp(high.log - log), Math.exp(low.log - log)]
  return {
    log,
    dMean: -(high.cdf * top - low.cdf * bottom) / deviation,
    dDeviation: (high.density * top - low.density * bottom) / deviation,
  }
}

export function logVolumeImprovement(boxes: readonly ValueBox[], { means, deviations }: Normals): VolumeSlopes {
  const m = means.length
  // Sides are few: those of a box are values of the front.
  const levels = Array.from({ length: m }, () => new Map<number, Level>())
  const sides = Array.from({ length: m }, () => new Map<Level, Map<Level, ReturnType<typeof side>>>())
  const levelAt = (k: number, t: number): Level => {
    if (t === Number.NEGATIVE_INFINITY) return NONE
    let level = levels[k].get(t)
    if (!level) {
      const { value, cdf, density } = logH((t - means[k]) / deviations[k])
      level = { log: value + Math.log(deviations[k]), cdf, density }
      levels[k].set(t, level)
    }
    return level
  }
  const sideAt = (k: number, l: number, u: number) => {
    const [low, high] = [levelAt(k, l), levelAt(k, u)]
    let row = sides[k].get(low)
    if (!row) sides[k].set(low, (row = new Map()))
    let known = row.get(high)
    if (!known) row.set(high, (known = side(low, high, deviations[k])))
    return known
  }
  const parts = boxes.map(({ low, high }) => low.map((l, k) => sideAt(k, l, high[k])))
  const logs = parts.map((part) => part.reduce((sum, { log }) => sum + log, 0))
  const top = logs.reduce((most, log) => Math.max(most, log), Number.NEGATIVE_INFINITY)
  const [dMeans, dDeviations] = [new Float64Array(m), new Float64Array(m)]
  if (top === Number.NEGATIVE_INFINITY) return { value: top, dMeans, dDeviations }
  let sum = 0
  parts.forEach((part, b) => {
    const weight = Math.exp(logs[b] - top)
    if (weight === 0) return
    sum += weight
    part.forEach(({ dMean, dDeviation }, k) => {
      dMeans[k] += weight * dMean
      dDeviations[k] += weight * dDeviation
    })
  })
  for (let k = 0; k < m; k++) {
    dMeans[k] /= sum
    dDeviations[k] /= sum
  }
  return { value: top + Math.log(sum), dMeans, dDeviations }
}
