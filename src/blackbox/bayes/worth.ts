/**
 * Acquisition functions of gp-bo over a Gaussian process, for minimization: what it is worth to evaluate a point, in
 * logarithms, so that they stay sloped where they underflow. Equations as in P. I. Frazier, arXiv 1807.02811, section 4.
 *
 * A `world` is the process as it stands or, with points pending, one of several in which their values have been drawn:
 * the mean over worlds of the worth of a further point is what it adds to the joint worth of the batch, by fixed samples.
 */

import type { Rng } from '../../core/rng.js'
import { cholesky, dot } from '../linalg/dense.js'
import { logExpectedImprovement, logNormalCdf } from './acquisition.js'
import { entropyReduction, expectedGain } from './information.js'
import { logInformationAbout } from './mes.js'
import type { Process } from './process.js'
import type { Acquisition } from './search.js'

export type World = {
  process: Process
  /** The least of what is known: posterior means at told points, and drawn values. */
  incumbent: number
}
/** A log worth at each point. */
export type Worth = (u: Float64Array) => number

/** A design and the points that it is judged by: its worth is the weighted mean of the function there. */
export type Design = readonly { u: Float64Array; weight: number }[]

/** Where a worth is nothing, for a logarithm. */
const NOTHING = 1e-300
/** Step of the differences that slopes are taken by. */
const STEP = 1e-5

const logMeanExp = (values: readonly number[]): number => {
  const top = values.reduce((most, v) => Math.max(most, v), Number.NEGATIVE_INFINITY)
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0) / values.length)
}

/** A worth that depends on mean and deviation alone, in the mean over the worlds. */
const pointwise =
  (
    worlds: readonly World[],
    of: (mean: number, deviation: number, incumbent: number, world: number) => number,
  ): Worth =>
  (u) => {
    const [{ process: first }] = worlds
    const white = first.whiten(u)
    const deviation = Math.sqrt(first.varianceOf(white))
    return logMeanExp(worlds.map(({ process, incumbent }, w) => of(process.meanOf(white), deviation, incumbent, w)))
  }

export const improvement = (worlds: readonly World[]): Worth =>
  pointwise(worlds, (mean, deviation, incumbent) => logExpectedImprovement(mean, deviation, incumbent).value)

export const improvementProbability = (worlds: readonly World[]): Worth =>
  pointwise(worlds, (mean, deviation, incumbent) => logNormalCdf((incumbent - mean) / deviation))

/** Information about the least value, of which each world has draws (mes.ts). */
export const maxValueEntropy = (worlds: readonly World[], minima: readonly (readonly number[])[]): Worth =>
  pointwise(worlds, (mean, deviation, _, w) => logInformationAbout(minima[w], mean, deviation).value)

/** beta deviations below the mean: no logarithm, but to be maximized all the same. */
export const confidenceBound = (worlds: readonly World[], beta: number): Worth =>
  pointwise(worlds, (mean, deviation) => beta * deviation - mean)

type Judged = { design: Design; white: Float64Array }

function judge(process: Process, design: Design): Judged {
  const whites = design.map(({ u }) => process.whiten(u))
  const white = new Float64Array(process.size + 1)
  design.forEach(({ weight }, k) => {
    for (let i = 0; i < white.length; i++) white[i] += weight * whites[k][i]
  })
  return { design, white }
}

/** Posterior mean of a design. Weights sum to 1. */
export const designMean = (process: Process, design: Design): number =>
  design.reduce((sum, { u, weight }) => sum + weight * process.at(u).mean, 0)

/**
 * The knowledge gradient: by how much the least posterior mean of all designs, those given and the one that the point
 * belongs to, is expected to fall by the value at the point. The noisy expected improvement counts from the least of
 * the designs given, those that were evaluated: without noise it is expected improvement.
 */
export function knowledgeGradient(
  worlds: readonly World[],
  designs: readonly Design[],
  designOf: (u: Float64Array) => Design,
  from: 'all' | 'given',
): Worth {
  const [{ process: first }] = worlds
  const known = designs.map((design) => judge(first, design))
  const heights = worlds.map(({ process }) => known.map(({ white }) => -process.meanOf(white)))
  const tops = heights.map((all) => all.reduce((most, h) => Math.max(most, h), Number.NEGATIVE_INFINITY))
  return (u) => {
    const white = first.whiten(u)
    const deviation = Math.sqrt(first.varianceOf(white) + first.covariance.noise)
    const slope = ({ design, white: other }: Judged) => {
      const prior = design.reduce((sum, { u: at, weight }) => sum + weight * first.covariance.value(at, u), 0)
      return (prior - first.explained(other, white)) / deviation
    }
    const own = judge(first, designOf(u))
    const slopes = [...known.map(slope), slope(own)]
    const gains = worlds.map(({ process }, w) => {
      const height = -process.meanOf(own.white)
      const lead = from === 'all' ? 0 : Math.max(0, height - tops[w])
      return lead + expectedGain([...heights[w], height], slopes)
    })
    return Math.log(Math.max(gains.reduce((sum, g) => sum + g, 0) / gains.length, NOTHING))
  }
}

/** Entropy search over the points of a grid: the expected fall of the entropy of where the minimum is, point by point. */
export function entropySearch(
  worlds: readonly World[],
  grid: readonly Float64Array[],
  samples: number,
  rng: Rng,
): number[] {
  const [{ process: first }] = worlds
  const n = grid.length
  const { noise, variance } = first.covariance
  const whites = grid.map((u) => first.whiten(u))
  const covariance = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++)
      covariance[i * n + j] = covariance[j * n + i] = first.covary(grid[i], whites[i], grid[j], whites[j])
  const factor = covariance.slice()
  for (let i = 0; i < n; i++) factor[i * (n + 1)] += 1e-8 * variance
  if (!cholesky(factor, n)) return grid.map((_, i) => covariance[i * (n + 1)])
  const normals = () => Array.from({ length: samples }, () => Float64Array.from({ length: n }, () => rng.normal()))
  const [draws, noises] = [normals(), normals()]
  const spread = Math.max(noise, 1e-8 * variance)
  const gains = new Float64Array(n)
  for (const { process } of worlds) {
    const means = Float64Array.from(whites, (white) => -process.meanOf(white))
    const paths = draws.map((z) => means.map((mean, i) => mean + dot(factor.subarray(i * n, i * n + i + 1), z)))
    entropyReduction(paths, means, covariance, spread, noises).forEach((gain, i) => {
      gains[i] += gain / worlds.length
    })
  }
  return [...gains]
}

/** An acquisition of worths that are summed (logarithms of factors), its slopes by differences in the free axes. */
export function acquisitionOf(worths: readonly Worth[], axes: readonly number[]): Acquisition {
  const value = (u: Float64Array) => worths.reduce((sum, worth) => sum + worth(u), 0)
  return {
    values: (points) => points.map(value),
    gradients: (points) =>
      points.map((u) => {
        const gradient = new Float64Array(u.length)
        for (const axis of axes) {
          const [low, high] = [Math.max(0, u[axis] - STEP), Math.min(1, u[axis] + STEP)]
          gradient[axis] = (value(u.with(axis, high)) - value(u.with(axis, low))) / (high - low)
        }
        return { value: value(u), gradient }
      }),
  }
}
