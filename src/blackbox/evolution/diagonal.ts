/**
 * Evolution strategies that search with a normal distribution of diagonal covariance. Each learns from ranks alone.
 *
 * - snes: T. Schaul, T. Glasmachers, J. Schmidhuber, "High Dimensions and Heavy Tails for Natural Evolution Strategies", 2011.
 * - sep-cma-es: R. Ros, N. Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity", 2008.
 * - pgpe: F. Sehnke et al., "Parameter-exploring policy gradients", 2010 (symmetric sampling).
 * - open-es: T. Salimans et al., "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", 2017.
 */
import type { Rng } from '../../core/rng.js'
import { adamStep } from '../../optimizers/adam-step.js'
import { constants, defaultPopulation, update } from './cma.js'

export const STRATEGIES = ['snes', 'sep-cma-es', 'pgpe', 'open-es'] as const
export type StrategyId = (typeof STRATEGIES)[number]

/** N(mean, diag(deviation^2)) and what a strategy remembers; plain data. */
export type Diagonal = {
  mean: Float64Array
  deviation: Float64Array
  generation: number
  /** Of sep-cma-es: the step size and its paths. Of open-es: the moments of Adam. */
  scale: number
  first: Float64Array
  second: Float64Array
}

export type Rates = {
  /** Step of the mean; of open-es that of Adam. */
  learningRate?: number
  /** Step of the deviations, where the strategy has one. */
  sigmaRate?: number
}

export type Strategy = {
  /** Members come in pairs, mirrored at the mean. */
  mirrored: boolean
  /** Moves the distribution; `z` are the members' steps in units of the deviation, one a row, and `values` to minimize. */
  update(distribution: Diagonal, z: Float64Array, values: Float64Array, rates: Rates): void
}

export const startDiagonal = (mean: Float64Array, sigma: number): Diagonal => ({
  mean,
  deviation: new Float64Array(mean.length).fill(sigma),
  generation: 0,
  scale: sigma,
  first: new Float64Array(mean.length),
  second: new Float64Array(mean.length),
})

/** The population size for n coordinates, even where members are mirrored. */
export function populationFor(id: StrategyId, n: number): number {
  const size = defaultPopulation(n)
  return strategies[id].mirrored ? size + (size % 2) : size
}

/** Members of a generation, one a row. */
export function draw(id: StrategyId, { mean, deviation }: Diagonal, count: number, rng: Rng): Float64Array {
  const n = mean.length
  const { mirrored } = strategies[id]
  const points = new Float64Array(count * n)
  for (let k = 0; k < count; k++)
    for (let i = 0; i < n; i++) {
      const mirror = mirrored && k % 2 === 1
      const step = mirror ? mean[i] - points[(k - 1) * n + i] : deviation[i] * rng.normal()
      points[k * n + i] = mean[i] + step
    }
  return points
}

/** Members in order of their values, best first; of equals the first. */
export const ranking = (values: Float64Array): number[] =>
  Array.from(values, (_, k) => k).sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b))

/** max(0, log(n/2 + 1) - log(rank)), normalized to sum 1, minus 1/n; by member. */
export function utilities(values: Float64Array): Float64Array {
  const n = values.length
  const raw = Array.from({ length: n }, (_, rank) => Math.max(0, Math.log(n / 2 + 1) - Math.log(rank + 1)))
  const total = raw.reduce((a, b) => a + b, 0)
  const out = new Float64Array(n)
  ranking(values).forEach((member, rank) => {
    out[member] = raw[rank] / total - 1 / n
  })
  return out
}

/** Ranks as numbers from 1/2 (best) to -1/2; equal values share theirs. */
function centeredRanks(values: Float64Array): Float64Array {
  const order = ranking(values)
  const out = new Float64Array(values.length)
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to++
    for (let k = from; k <= to; k++) out[order[k]] = 0.5 - (from + to) / 2 / (order.length - 1)
    from = to + 1
  }
  return out
}

/** A step of SNES with these utilities. */
export function naturalStep({ mean, deviation }: Diagonal, z: Float64Array, u: Float64Array, rates: Rates): void {
  const n = mean.length
  const sigmaRate = rates.sigmaRate ?? (3 + Math.log(n)) / (5 * Math.sqrt(n))
  for (let i = 0; i < n; i++) {
    let [step, spread] = [0, 0]
    for (let k = 0; k < u.length; k++) {
      step += u[k] * z[k * n + i]
      spread += u[k] * (z[k * n + i] ** 2 - 1)
    }
    mean[i] += (rates.learningRate ?? 1) * deviation[i] * step
    deviation[i] *= Math.exp((sigmaRate / 2) * spread)
  }
}

/** A step of CMA-ES with a separable covariance. */
function separableStep(own: Diagonal, z: Float64Array, values: Float64Array): void {
  const { mean, scale: sigma, generation, first: pathC, second: pathSigma } = own
  const n = mean.length
  const D = own.deviation.map((s) => s / sigma)
  const C = D.map((d) => d * d)
  const B = new Float64Array(0)
  const distribution = { mean, sigma, C, D, B, generation, decomposed: generation, pathC, pathSigma }
  const steps = ranking(values).map((k) => D.map((d, i) => d * z[k * n + i]))
  update(distribution, steps, constants(n, values.length, false, true))
  own.scale = distribution.sigma
  own.generation = distribution.generation
  own.deviation = distribution.D.map((d) => d * distribution.sigma)
}

/** Of ranks with standard deviation 1: the likelihood gradients of mean and deviation, in units of the deviation. */
function exploringStep({ mean, deviation }: Diagonal, z: Float64Array, values: Float64Array, rates: Rates): void {
  const n = mean.length
  const pairs = values.length / 2
  const rank = centeredRanks(values).map((r) => r * Math.sqrt(12))
  const { learningRate = 0.5, sigmaRate = 0.1 } = rates
  for (let i = 0; i < n; i++) {
    let [step, spread] = [0, 0]
    for (let k = 0; k < pairs; k++) {
      const [better, worse] = [rank[2 * k], rank[2 * k + 1]]
      step += ((better - worse) / 2) * z[2 * k * n + i]
      spread += ((better + worse) / 2) * (z[2 * k * n + i] ** 2 - 1)
    }
    mean[i] += (learningRate * deviation[i] * step) / pairs
    // Never to a half at once: the estimate may be far off.
    deviation[i] *= Math.max(0.5, 1 + (sigmaRate * spread) / pairs)
  }
}

/** Adam along the smoothed gradient; the deviations stay. */
function smoothedStep(own: Diagonal, z: Float64Array, values: Float64Array, rates: Rates): void {
  const { mean, deviation } = own
  const n = mean.length
  const rank = centeredRanks(values)
  const g = deviation.map((s, i) => -rank.reduce((sum, r, k) => sum + r * z[k * n + i], 0) / (rank.length * s))
  const moments = { m: own.first, v: own.second }
  const settings = { learningRate: rates.learningRate ?? 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
  const step = adamStep(moments, g, ++own.generation, settings)
  own.mean = mean.map((x, i) => x - step[i])
  own.first = moments.m
  own.second = moments.v
}

export const strategies: { readonly [id in StrategyId]: Strategy } = {
  snes: { mirrored: false, update: (d, z, values, rates) => naturalStep(d, z, utilities(values), rates) },
  'sep-cma-es': { mirrored: false, update: separableStep },
  pgpe: { mirrored: true, update: exploringStep },
  'open-es': { mirrored: true, update: smoothedStep },
}

/** Moves a distribution by the values of its members, unless none of them has one. */
export function learnFrom(id: StrategyId, d: Diagonal, points: Float64Array, values: Float64Array, rates: Rates): void {
  if (!values.some(Number.isFinite)) return
  const n = d.mean.length
  const z = points.map((x, i) => (x - d.mean[i % n]) / d.deviation[i % n])
  strategies[id].update(d, z, values, rates)
}
