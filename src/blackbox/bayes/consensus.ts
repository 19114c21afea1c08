/**
 * The acquisition of DuMBO: factors of an additive process agree on one point by the alternating direction method of
 * multipliers. A. Bardou, P. Thiran, T. Begin, "Relaxing the Additivity Constraints in Decentralized No-Regret
 * High-Dimensional Bayesian Optimization", ICLR 2024, arXiv 2305.19838.
 *
 * A factor proposes values for its own variables and tells, of all it knows, its share of the variance there. It gets
 * back the sum of its neighbours' shares and the mean proposals of its variables.
 */
import { Rng, type RngState } from '../../core/rng.js'
import { AdditiveCovariance, type KernelKind } from './covariance.js'
import { lbfgs, minimizeTogether } from './lbfgs.js'
import { type Datum, Process } from './process.js'
import type { Theta } from './surrogate.js'

/** All that a factor is made of: plain data, so that it can live anywhere. */
export type FactorSpec = {
  kind: KernelKind
  theta: Theta
  data: readonly Datum[]
  /** The factors of its decomposition, and which of them it is. */
  factors: readonly (readonly number[])[]
  index: number
  beta: number
  rng: RngState
}
/** What reaches a factor in a round: nothing in the first. Vectors have one number per variable of the factor. */
export type Message = { shared: number; mean: Float64Array; eta: number } | null
export type Reply = { x: Float64Array; share: number }

export type Agreement = { x: Float64Array; rounds: number; residual: number; eta: number }

/** Variances of a factor are at least this. */
const FLOOR = 1e-5
const MAX_ROUNDS = 10
/** Proposals that are this near to their mean agree. */
const AGREED = 0.05
/** Residuals apart by more than this double or halve the penalty. */
const BALANCE = 10
const CANDIDATES = 100
const STARTS = 3
const MAX_ASCENT = 15
const STEP = 1e-5

/** Factors of the decomposition that share a variable with factor i, itself included. */
export const neighbours = (factors: readonly (readonly number[])[], i: number): number[] =>
  [...factors.keys()].filter((j) => factors[j].some((axis) => factors[i].includes(axis)))

export type AdditiveProcess = { covariance: AdditiveCovariance; process: Process }
export function additiveProcess({ kind, factors, theta, data }: FactorSpec): AdditiveProcess {
  const covariance = new AdditiveCovariance(kind, factors, theta)
  return { covariance, process: new Process(covariance, data, 'zero') }
}

export class FactorAgent {
  private readonly axes: readonly number[]
  private readonly process: Process
  private readonly part
  private readonly degree: number
  private readonly rng: Rng
  private readonly lambda: Float64Array
  private readonly point: Float64Array
  private x: Float64Array | undefined

  /** Factors of one decomposition that live together may share its process. */
  constructor(
    private readonly spec: FactorSpec,
    { covariance, process } = additiveProcess(spec),
  ) {
    this.process = process
    this.part = covariance.parts[spec.index]
    this.axes = spec.factors[spec.index]
    this.degree = neighbours(spec.factors, spec.index).length
    this.rng = new Rng({ ...spec.rng, counter: [...spec.rng.counter] })
    this.lambda = new Float64Array(this.axes.length)
    this.point = new Float64Array(spec.theta.length - 2)
  }

  /** The posterior of this factor at values of its variables. */
  posterior(x: Float64Array): { mean: number; variance: number } {
    this.axes.forEach((axis, k) => {
      this.point[axis] = x[k]
    })
    const { mean, variance } = this.process.partAt(this.part, this.point)
    return { mean, variance: Math.max(variance, FLOOR) }
  }

  /** The acquisition of this factor, to be maximized. */
  acquisition(x: Float64Array, message: Message): number {
    const { mean, variance } = this.posterior(x)
    const bound = mean + this.spec.beta * Math.sqrt(variance / this.degree ** 2 + (message?.shared ?? 0))
    if (!message) return bound
    let penalty = 0
    for (let k = 0; k < x.length; k++) {
      const gap = x[k] - message.mean[k]
      penalty += this.lambda[k] * gap + 0.5 * message.eta * gap * gap
    }
    return bound - penalty
  }

  propose(message: Message): Reply {
    if (message)
      for (let k = 0; k < this.lambda.length; k++) this.lambda[k] += message.eta * (this.x![k] - message.mean[k])
    const d = this.axes.length
    const value = (x: Float64Array) => -this.acquisition(x, message)
    const candidates: Float64Array[] = Array.from({ length: CANDIDATES }, () =>
      Float64Array.from({ length: d }, () => this.rng.uniform()),
    )
    candidates.push(...[this.x, message?.mean].filter((x) => x !== undefined))
    const values = candidates.map(value)
    const order = [...candidates.keys()].sort((i, j) => values[i] - values[j] || i - j)
    const starts = order.slice(0, STARTS).map((i) => candidates[i])
    if (this.x && !starts.includes(this.x)) starts.push(this.x)
    const [low, high] = [new Float64Array(d), new Float64Array(d).fill(1)]
    const options = { maxEvaluations: MAX_ASCENT, tolerance: 1e-4, progress: 1e-8, firstStep: 0.1 }
    const ends = minimizeTogether(
      starts.map((start) => lbfgs(start, low, high, options)),
      (points) =>
        points.map((x) => ({
          value: value(x),
          gradient: x.map((v, k) => {
            const [a, b] = [Math.max(0, v - STEP), Math.min(1, v + STEP)]
            return (value(x.with(k, b)) - value(x.with(k, a))) / (b - a)
          }),
        })),
    )
    this.x = ends.reduce((best, end) => (end.value < best.value ? end : best)).x
    return { x: this.x, share: this.posterior(this.x).variance / this.degree ** 2 }
  }
}

/**
 * Rounds of messages until all factors agree, at most ten: yields a message for each factor and is sent their replies.
 * Factors of several decompositions share their variables, and variances within their own decomposition.
 */
export function* consensus(
  d: number,
  decompositions: readonly (readonly (readonly number[])[])[],
): Generator<readonly Message[], Agreement, readonly Reply[]> {
  const agents = decompositions.flatMap((factors, s) => factors.map((axes, index) => ({ axes, index, s })))
  const first = decompositions.map((_, s) => agents.findIndex((agent) => agent.s === s))
  let eta = 1
  let mean: Float64Array = new Float64Array(d)
  let messages: readonly Message[] = agents.map(() => null)
  for (let rounds = 1; ; rounds++) {
    const replies = yield messages
    const before = mean
    const counts = new Float64Array(d)
    const sums = new Float64Array(d)
    agents.forEach(({ axes }, i) => {
      axes.forEach((axis, k) => {
        counts[axis]++
        sums[axis] += replies[i].x[k]
      })
    })
    // A variable that no factor has lies in the middle.
    mean = sums.map((sum, axis) => (counts[axis] ? sum / counts[axis] : 0.5))
    const gaps = agents.flatMap(({ axes }, i) => axes.map((axis, k) => replies[i].x[k] - mean[axis]))
    const residual = gaps.reduce((most, gap) => Math.max(most, Math.abs(gap)), 0)
    if (residual < AGREED || rounds === MAX_ROUNDS) return { x: mean, rounds, residual, eta }
    const primal = Math.hypot(...gaps)
    const dual = rounds > 1 ? eta * Math.hypot(...mean.map((v, axis) => v - before[axis])) : primal
    messages = agents.map(({ axes, index, s }) => ({
      shared: neighbours(decompositions[s], index)
        .filter((j) => j !== index)
        .reduce((sum, j) => sum + replies[first[s] + j].share, 0),
      mean: Float64Array.from(axes, (axis) => mean[axis]),
      eta,
    }))
    if (primal > BALANCE * dual) eta *= 2
    else if (dual > BALANCE * primal) eta /= 2
  }
}
