/**
 * One update for several objectives, from their gradients' inner products alone: the weights w of the rows of J, by
 * G = JJ'. UPGrad: P. Quinton, V. Rey, "Jacobian Descent for Multi-Objective Optimization", 2024 (arXiv:2406.16232);
 * MGDA: J.-A. Desideri 2012; DualProj: D. Lopez-Paz, M. Ranzato 2017 (GEM); PCGrad: T. Yu et al. 2020; IMTL-G: L. Liu et
 * al. 2021; CAGrad: B. Liu et al. 2021.
 */
import type { Rng } from '../../core/rng.js'
import { dot, norm } from '../flat.js'
import { toSimplex } from '../model-based/outer.js'
import { spectrumOf, weighted } from '../second-order/spectrum.js'
import { nonnegative } from './quadratic.js'

export const AGGREGATORS = ['upgrad', 'mean', 'mgda', 'dualproj', 'pcgrad', 'imtl-g', 'cagrad'] as const

export type Weighing = {
  aggregator: (typeof AGGREGATORS)[number]
  /** upgrad, dualproj: weights of the objectives, 1/m each where not given. */
  preference?: readonly number[]
  /** A trace of G below this counts as 0. */
  normEps: number
  /** Added to the diagonal of G/trace(G). */
  regEps: number
  /** cagrad: radius of the ball around the mean gradient, relative to its length. */
  c: number
  /** pcgrad: the order of the objectives. */
  order: 'fixed' | 'random'
}

const ROUNDING = 1e-12
const ITERATIONS = 5000

const rowOf = (G: Float64Array, m: number, i: number) => G.subarray(i * m, (i + 1) * m)
const times = (G: Float64Array, x: ArrayLike<number>): Float64Array =>
  Float64Array.from(x, (_, i) => dot(rowOf(G, x.length, i), x))

/** JJ' of the rows of J, m x d. */
export function gramianOf(rows: readonly ArrayLike<number>[]): Float64Array {
  const m = rows.length
  const G = new Float64Array(m * m)
  for (let i = 0; i < m; i++) for (let j = 0; j <= i; j++) G[i * m + j] = G[j * m + i] = dot(rows[i], rows[j])
  return G
}

/**
 * Weights w of the objectives: the update is J'w.
 *
 * @param gramian JJ', m x m row-major
 * @param rng orders the objectives of pcgrad
 */
export function weightsOf(gramian: Float64Array, weighing: Weighing, rng: Rng): Float64Array {
  const m = Math.sqrt(gramian.length)
  const { preference, normEps, regEps } = weighing
  const even = new Float64Array(m).fill(1 / m)
  const p = preference ? Float64Array.from(preference) : even
  let trace = 0
  for (let i = 0; i < m; i++) trace += gramian[i * m + i]
  if (trace === 0 || trace < normEps) return p
  // All weights are the same for any multiple of G.
  const G = gramian.map((value, at) => value / trace + (at % (m + 1) === 0 ? regEps : 0))
  switch (weighing.aggregator) {
    case 'mean':
      return even
    case 'upgrad':
      return upgrad(G, p)
    case 'dualproj':
      return projected(G, p)
    case 'mgda':
      return leastNorm(G, m)
    case 'pcgrad':
      return surgery(G, m, weighing.order === 'random' ? rng : undefined)
    case 'imtl-g':
      return impartial(G, m)
    case 'cagrad':
      return conflictAverse(G, even, weighing.c)
  }
}

/** argmin v'Gv over v >= u: J'v is the nearest point to J'u in the cone {x : Jx >= 0}. */
const projected = (G: Float64Array, u: Float64Array): Float64Array => {
  const added = nonnegative(G, times(G, u))
  return u.map((value, i) => value + added[i])
}

/** The sum of the projections of the single gradients. */
function upgrad(G: Float64Array, p: Float64Array): Float64Array {
  const w = new Float64Array(p.length)
  p.forEach((weight, i) => {
    const u = new Float64Array(p.length)
    u[i] = weight
    projected(G, u).forEach((value, j) => {
      w[j] += value
    })
  })
  return w
}

/** The shortest convex combination: of least s'Gs + (1's - 1)^2 over s >= 0 up to its length. */
function leastNorm(G: Float64Array, m: number): Float64Array {
  const s = nonnegative(
    G.map((value) => value + 1),
    new Float64Array(m).fill(-1),
  )
  const sum = s.reduce((total, value) => total + value, 0)
  return s.map((value) => value / sum)
}

/** The mean of the gradients, each with what points against another taken away, one after another. (Yu et al. take the sum.) */
function surgery(G: Float64Array, m: number, rng?: Rng): Float64Array {
  const all = Array.from({ length: m }, (_, i) => i)
  const total = new Float64Array(m)
  for (const i of all) {
    const w = new Float64Array(m)
    w[i] = 1
    for (const j of rng ? rng.shuffle(all) : all) {
      const along = j === i ? 0 : dot(rowOf(G, m, j), w)
      if (along < 0) w[j] -= along / G[j * m + j]
    }
    for (const j of all) total[j] += w[j] / m
  }
  return total
}

/** The combination, of weights that sum to 1, with the same part along each normalized gradient; 0 where there is none. */
function impartial(G: Float64Array, m: number): Float64Array {
  const lengths = Float64Array.from({ length: m }, (_, i) => Math.sqrt(G[i * m + i]))
  const inverse = (value: number) => (value > ROUNDING ? 1 / value : 0)
  const w = weighted(spectrumOf(G, m), inverse, lengths)
  const sum = w.reduce((total, value) => total + value, 0)
  return Math.abs(sum) > ROUNDING ? w.map((value) => value / sum) : new Float64Array(m)
}

/**
 * The update within c*|g0| of the mean gradient g0 that is best for the worst objective: g0 + c*|g0|*g_w/|g_w|, where w of
 * the simplex makes g_w'g0 + c*|g0|*|g_w| least. At a point where |g_w| can be 0 nothing is better for all: 0.
 */
function conflictAverse(G: Float64Array, even: Float64Array, c: number): Float64Array {
  const b = times(G, even)
  const k = c * Math.sqrt(Math.max(dot(even, b), 0))
  const length = (w: Float64Array) => Math.sqrt(Math.max(dot(w, times(G, w)), 0))
  const cost = (w: Float64Array) => dot(b, w) + k * length(w)
  let w = even
  let step = 1
  for (let t = 0; t < ITERATIONS; t++) {
    const size = length(w)
    if (size < ROUNDING) break
    const slope = times(G, w).map((value, i) => b[i] + (k * value) / size)
    const [now, trial] = [
      cost(w),
      (a: number) =>
        toSimplex(
          w.map((value, i) => value - a * slope[i]),
          1,
        ),
    ]
    let next = trial(step)
    let move = next.map((value, i) => value - w[i])
    while (cost(next) > now + dot(slope, move) + dot(move, move) / (2 * step) + 1e-16 && step > ROUNDING) {
      step /= 2
      next = trial(step)
      move = next.map((value, i) => value - w[i])
    }
    w = next
    if (norm(move) <= ROUNDING * step) break
    step *= 1.5
  }
  const size = length(w)
  return size < ROUNDING ? new Float64Array(even.length) : w.map((value, i) => even[i] + (k * value) / size)
}
