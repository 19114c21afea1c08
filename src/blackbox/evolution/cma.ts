/**
 * The search distribution of CMA-ES and how the ranks of a generation move it.
 * N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772 (figure 6, table 1; equations by number below).
 */

import { symmetricEigen } from '../../core/eigen.js'
import type { Rng } from '../../core/rng.js'

/**
 * N(mean, sigma^2 C) with its evolution paths; plain data. Matrices are n x n, row-major; of a separable distribution C is
 * the diagonal, and B, the identity, is left out.
 */
export type Distribution = {
  generation: number
  mean: Float64Array
  sigma: number
  C: Float64Array
  /** Eigenvectors of C by column and the roots of its eigenvalues, as of generation `decomposed`. */
  B: Float64Array
  D: Float64Array
  decomposed: number
  pathC: Float64Array
  pathSigma: Float64Array
}

/** Recombination weights, best rank first, and rates. */
export type Constants = {
  weights: Float64Array
  muEff: number
  cc: number
  c1: number
  cMu: number
  cSigma: number
  dSigma: number
  /** E||N(0, I)||. */
  chi: number
}

/** The population size for n coordinates (eq. 48). */
export const defaultPopulation = (n: number): number => 4 + Math.floor(3 * Math.log(n))

/**
 * Table 1 for n coordinates and lambda members; without `active` the worse half has no weight. A separable C learns
 * (n + 2)/3 times faster: R. Ros, N. Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity",
 * PPSN 2008.
 */
export function constants(n: number, lambda: number, active: boolean, separable = false): Constants {
  const raw = Float64Array.from({ length: lambda }, (_, i) => Math.log((lambda + 1) / 2) - Math.log(i + 1))
  const mu = Math.floor(lambda / 2)
  const sum = (w: Float64Array) => w.reduce((a, x) => a + x, 0)
  const effective = (w: Float64Array) => sum(w) ** 2 / sum(w.map((x) => x * x))
  const [better, worse] = [raw.subarray(0, mu), raw.subarray(mu)]
  const muEff = effective(better)
  const cc = (4 + muEff / n) / (n + 4 + (2 * muEff) / n)
  const faster = separable ? (n + 2) / 3 : 1
  const c1 = Math.min(0.5, (2 * faster) / ((n + 1.3) ** 2 + muEff))
  const cMu = Math.min(1 - c1, (2 * faster * (0.25 + muEff + 1 / muEff - 2)) / ((n + 2) ** 2 + muEff))
  const negative = Math.min(
    1 + c1 / cMu, // eq. 50
    1 + (2 * effective(worse)) / (muEff + 2), // eq. 51
    (1 - c1 - cMu) / (n * cMu), // eq. 52
  )
  const cSigma = (muEff + 2) / (n + muEff + 5)
  return {
    weights: raw.map((w, i) => (i < mu ? w / sum(better) : active ? (negative * w) / -sum(worse) : 0)), // eq. 53
    muEff,
    cc,
    c1,
    cMu,
    cSigma,
    dSigma: 1 + 2 * Math.max(0, Math.sqrt((muEff - 1) / (n + 1)) - 1) + cSigma,
    chi: Math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)),
  }
}

/** N(mean, sigma^2 I); keeps `mean`. */
export function isotropic(mean: Float64Array, sigma: number, separable = false): Distribution {
  const n = mean.length
  const identity = () => Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0))
  return {
    generation: 0,
    mean,
    sigma,
    C: separable ? new Float64Array(n).fill(1) : identity(),
    B: separable ? new Float64Array(0) : identity(),
    D: new Float64Array(n).fill(1),
    decomposed: 0,
    pathC: new Float64Array(n),
    pathSigma: new Float64Array(n),
  }
}

const isSeparable = ({ B }: Distribution): boolean => B.length === 0

/** Draws y ~ N(0, C) into `y` (eq. 38, 39). */
export function drawStep(distribution: Distribution, rng: Rng, y: Float64Array): void {
  const { B, D } = distribution
  const n = D.length
  const z = D.map((d) => d * rng.normal())
  if (isSeparable(distribution)) return y.set(z)
  for (let i = 0; i < n; i++) {
    y[i] = 0
    for (let j = 0; j < n; j++) y[i] += B[i * n + j] * z[j]
  }
}

/** C^-1/2 y. */
function whiten(distribution: Distribution, y: Float64Array): Float64Array {
  const { B, D } = distribution
  const n = D.length
  if (isSeparable(distribution)) return y.map((yi, i) => yi / D[i])
  const z = new Float64Array(n)
  const out = new Float64Array(n)
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) z[j] += B[i * n + j] * y[i]
  for (let j = 0; j < n; j++) z[j] /= D[j]
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[i] += B[i * n + j] * z[j]
  return out
}

const norm = (x: Float64Array) => Math.sqrt(x.reduce((sum, xi) => sum + xi * xi, 0))

/** Moves the distribution in place. `steps` are the members' y in rank order, best first. */
export function update(distribution: Distribution, steps: readonly Float64Array[], rates: Constants): void {
  const { mean, C, pathC, pathSigma } = distribution
  const { weights, muEff, cc, c1, cMu, cSigma, dSigma, chi } = rates
  const n = mean.length

  // Mean (eq. 41, 42).
  const shift = new Float64Array(n)
  steps.forEach((y, k) => {
    if (weights[k] > 0) for (let i = 0; i < n; i++) shift[i] += weights[k] * y[i]
  })
  for (let i = 0; i < n; i++) mean[i] += distribution.sigma * shift[i]

  // Step size (eq. 43, 44).
  const white = whiten(distribution, shift)
  for (let i = 0; i < n; i++)
    pathSigma[i] = (1 - cSigma) * pathSigma[i] + Math.sqrt(cSigma * (2 - cSigma) * muEff) * white[i]
  const length = norm(pathSigma)
  distribution.sigma *= Math.exp((cSigma / dSigma) * (length / chi - 1))
  distribution.generation++
  const unbiased = length / Math.sqrt(1 - (1 - cSigma) ** (2 * distribution.generation))
  const h = unbiased < (1.4 + 2 / (n + 1)) * chi ? 1 : 0

  // Covariance (eq. 45 to 47): decay, rank one, rank mu with signed weights.
  for (let i = 0; i < n; i++) pathC[i] = (1 - cc) * pathC[i] + h * Math.sqrt(cc * (2 - cc) * muEff) * shift[i]
  const decay = 1 + c1 * (1 - h) * cc * (2 - cc) - c1 - cMu * weights.reduce((a, w) => a + w, 0)
  const members = steps.map((y, k) => {
    const w = weights[k]
    return { y, w: cMu * w * (w < 0 ? n / norm(whiten(distribution, y)) ** 2 : 1) }
  })
  if (isSeparable(distribution)) {
    for (let i = 0; i < n; i++) C[i] = decay * C[i] + c1 * pathC[i] ** 2
    for (const { y, w } of members) for (let i = 0; i < n; i++) C[i] += w * y[i] ** 2
    return decompose(distribution)
  }
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) C[i * n + j] = decay * C[i * n + j] + c1 * pathC[i] * pathC[j]
  for (const { y, w } of members)
    if (w !== 0) for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) C[i * n + j] += w * y[i] * y[j]
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) C[j * n + i] = C[i * n + j]
  if (distribution.generation - distribution.decomposed >= 1 / ((c1 + cMu) * n * 10)) decompose(distribution)
}

/** Brings B and D up to date with C. */
export function decompose(distribution: Distribution): void {
  if (isSeparable(distribution)) {
    distribution.D = distribution.C.map(Math.sqrt)
    return
  }
  distribution.B = distribution.C.slice()
  distribution.D = symmetricEigen(distribution.B, distribution.mean.length).map(Math.sqrt)
  distribution.decomposed = distribution.generation
}

/** Standard deviation of a coordinate. */
export const deviation = (distribution: Distribution, i: number): number => {
  const { sigma, C, mean } = distribution
  return sigma * Math.sqrt(C[isSeparable(distribution) ? i : i * mean.length + i])
}

/** Multiplies the standard deviation of coordinate i. B and D wait for `decompose`. */
export function rescale(distribution: Distribution, i: number, factor: number): void {
  const { C, mean } = distribution
  const n = mean.length
  if (isSeparable(distribution)) {
    C[i] *= factor ** 2
    return
  }
  for (let j = 0; j < n; j++) {
    C[i * n + j] *= factor
    C[j * n + i] *= factor
  }
}

/** Smallest and largest of the deviations along the principal axes, sigma aside. */
export const axes = ({ D }: Distribution): [number, number] => [
  D.reduce((a, b) => Math.min(a, b)),
  D.reduce((a, b) => Math.max(a, b)),
]
