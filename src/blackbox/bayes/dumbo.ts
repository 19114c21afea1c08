/**
 * DuMBO: Bayesian optimization of many variables with an additive Gaussian process whose factors may overlap and be large.
 * A. Bardou, P. Thiran, T. Begin, "Relaxing the Additivity Constraints in Decentralized No-Regret High-Dimensional
 * Bayesian Optimization", ICLR 2024, arXiv 2305.19838. The agreement of the factors is in consensus.ts.
 *
 * Decompositions that are not given are sampled before each point by Metropolis steps that merge or split factors; where
 * several take part, their factors propose together, and the acquisition is the mean over decompositions.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Estimate } from '../../core/method.js'
import { type Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, Problem, SearchSpace } from '../../core/space.js'
import {
  type AdditiveProcess,
  type Agreement,
  additiveProcess,
  consensus,
  FactorAgent,
  type FactorSpec,
} from './consensus.js'
import { AdditiveCovariance, KERNELS } from './covariance.js'
import { standardization, standardized, subset } from './data.js'
import { defaultTheta } from './fit.js'
import { type Datum, fitProcess, Process } from './process.js'
import { type Scene, sequentialMethod } from './sequential.js'
import type { Theta } from './surrogate.js'
import { bestTrial, trialEstimate } from './trials.js'

const config = z.strictObject({
  factors: field(
    z.array(z.array(z.string()).min(1)).min(1).optional(),
    'Groups of parameters, by name, that the objective is a sum over; they may overlap. Inferred when absent.',
    { source: 'paper' },
  ),
  maxFactorSize: field(z.int().min(1).optional(), 'Parameters of an inferred factor at most; no limit when absent.', {
    source: 'paper',
  }),
  samples: field(z.int().min(1).max(32).default(5), 'Decompositions that take part where they are inferred.', {
    source: 'paper',
  }),
  metropolisSteps: field(z.int().min(1).max(100).default(5), 'Steps from one sampled decomposition to the next.', {
    source: 'ours',
    advanced: true,
  }),
  messages: field(
    z.boolean().default(true),
    'Factors tell each other their variances; without, each explores as if it were alone.',
    { source: 'paper' },
  ),
  kernel: field(z.enum(KERNELS).default('matern52'), 'Matérn 5/2 or squared exponential.', {
    source: 'paper',
  }),
  lengthScale: field(
    z.number().positive().optional(),
    'Length in every parameter, of the unit cube; learned when absent.',
    {
      source: 'ours',
    },
  ),
  nInitial: field(z.int().min(1).default(2), 'Space-filling trials before.', { source: 'paper' }),
  beta: field(
    z.number().min(0).default(0.2),
    'beta_t = sqrt(beta d log(2t)): deviations of the confidence bound after t trials in d parameters.',
    { source: "authors' code; K. Kandasamy et al., ICML 2015" },
  ),
  maxRows: field(z.int().min(20).max(1000).default(400), 'Trials in the model; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>
type Factors = number[][]
type State = {
  rows: number
  theta: Float64Array | null
  /** The last decompositions. */
  decompositions: Factors[]
  rounds: number
  queries: number
  residual: number
  eta: number
}
type DumboScene = Scene<Config, State>

const GROWTH = 1.1
const FIT_EVALUATIONS = 30
/** Noise variance where the length is given, in units of the standardized values. */
const NOISE = 1e-4
/** Of the variables of a factor that is split, this part goes to both. */
const SHARED = 0.2

const singletons = (d: number): Factors => Array.from({ length: d }, (_, i) => [i])

/** A factor merged with another, or split in two that may overlap; undefined where that cannot be. */
export function mutate(factors: Factors, largest: number, rng: Rng): Factors | undefined {
  const i = rng.integer(factors.length)
  if (factors.length > 1 && rng.uniform() < 0.5) {
    const j = (i + 1 + rng.integer(factors.length - 1)) % factors.length
    const union = [...new Set([...factors[i], ...factors[j]])].sort((a, b) => a - b)
    return union.length > largest ? undefined : [...factors.filter((_, k) => k !== i && k !== j), union]
  }
  const [left, right]: [number[], number[]] = [[], []]
  for (const axis of factors[i]) {
    const u = rng.uniform()
    if (u < 0.5 + SHARED / 2) left.push(axis)
    if (u >= 0.5 - SHARED / 2) right.push(axis)
  }
  if (left.length === 0 || right.length === 0) return undefined
  if (left.length === factors[i].length || right.length === factors[i].length) return undefined
  return [...factors.filter((_, k) => k !== i), left, right]
}

/** Decompositions by Metropolis steps from the last one, accepted by their evidence. */
function sample({ run, own, rng, encoding }: DumboScene, data: readonly Datum[], theta: Theta): Factors[] {
  const { samples, metropolisSteps, maxFactorSize = encoding.dimension, kernel } = run.config
  const evidence = (factors: Factors) =>
    new Process(new AdditiveCovariance(kernel, factors, theta), data, 'zero').likelihood().value
  let at = own.decompositions.at(-1) ?? singletons(encoding.dimension)
  let height = evidence(at)
  return Array.from({ length: samples }, () => {
    for (let k = 0; k < metropolisSteps; k++) {
      const next = mutate(at, maxFactorSize, rng)
      const level = next && evidence(next)
      if (next && Math.log(1 - rng.uniform()) < level! - height) [at, height] = [next, level!]
    }
    return at
  })
}

function hyperparameters({ run, own, trials, encoding }: DumboScene, data: readonly Datum[], factors: Factors): Theta {
  const { kernel, lengthScale } = run.config
  const d = encoding.dimension
  if (lengthScale !== undefined)
    return Float64Array.of(...singletons(d).map(() => -2 * Math.log(lengthScale)), 0, Math.log(NOISE))
  if (own.theta && trials.length < Math.max(own.rows + 1, own.rows * GROWTH)) return own.theta
  own.rows = trials.length
  own.theta = fitProcess(data, own.theta ? [own.theta, defaultTheta(d)] : [defaultTheta(d)], {
    kernel: (theta) => new AdditiveCovariance(kernel, factors, theta),
    prior: 'zero',
    maxEvaluations: FIT_EVALUATIONS,
  })
  return own.theta
}

/** beta_t of the confidence bound after t trials. */
export const betaAt = (beta: number, d: number, t: number): number => Math.sqrt(beta * d * Math.log(2 * Math.max(t, 1)))

/** Runs the agreement of factors that live here. */
export function agree(
  d: number,
  decompositions: readonly Factors[],
  specs: readonly FactorSpec[],
  messages: boolean,
): Agreement {
  const processes = new Map<FactorSpec['factors'], AdditiveProcess>()
  const agents = specs.map((spec) => {
    const process = processes.get(spec.factors) ?? additiveProcess(spec)
    processes.set(spec.factors, process)
    return new FactorAgent(spec, process)
  })
  const rounds = consensus(d, decompositions)
  let turn = rounds.next()
  while (!turn.done) {
    const sent = turn.value
    turn = rounds.next(
      agents.map((agent, i) => {
        const message = sent[i]
        return agent.propose(message && !messages ? { ...message, shared: 0 } : message)
      }),
    )
  }
  return turn.value
}

function suggest(scene: DumboScene, count: number): Params[] {
  const { run, own, trials, rng, encoding, allowed } = scene
  const { config, problem } = run
  const d = encoding.dimension
  const rows = subset(trials, config.maxRows)
  const { points, values, noises } = standardized(rows, standardization(rows))
  // The bound is to be maximized, values to be minimized.
  const told: Datum[] = points.map((u, i) => ({ u, value: -values[i], noise: noises[i] }))
  const given = config.factors?.map((names) =>
    names.map((name) => (problem.space as SearchSpace).parameters.findIndex((p) => p.name === name)),
  )
  const last = own.decompositions.at(-1) ?? singletons(d)
  const theta = hyperparameters(scene, told, given ?? last)
  own.decompositions = given ? [given] : sample(scene, told, theta)
  const pending = [...scene.pending]
  const found: Params[] = []
  while (found.length < count) {
    // Pending points take part as if the posterior mean had been told there.
    const model = new Process(new AdditiveCovariance(config.kernel, own.decompositions[0], theta), told, 'zero')
    const data = [...told, ...pending.map((u) => ({ u, value: model.at(u).mean, noise: 0 }))]
    const beta = betaAt(config.beta, d, trials.length)
    const seed = rng.integer(2 ** 31)
    const specs = own.decompositions.flatMap((factors, s) =>
      factors.map(
        (_, index): FactorSpec => ({
          kind: config.kernel,
          theta,
          data,
          factors,
          index,
          beta,
          rng: rngStream(seed, `factor ${s} ${index}`),
        }),
      ),
    )
    const { x, rounds, residual, eta } = agree(d, own.decompositions, specs, config.messages)
    own.rounds += rounds
    own.queries++
    own.residual = residual
    own.eta = eta
    const params = encoding.decode(x)
    const { u } = encoding.encode(params)
    if (!allowed(u) || found.some((other) => encoding.encode(other).u.every((v, i) => v === u[i]))) break
    pending.push(u)
    found.push(params)
  }
  return found
}

/** The best trial; of the last query the residual of the agreement, and how many rounds one took on average. */
function recommend({ run, own, trials }: DumboScene): Estimate {
  const best = trialEstimate(run.problem, trials, bestTrial(trials))
  if (own.queries === 0) return best
  const factors = own.decompositions.reduce((sum, { length }) => sum + length, 0) / own.decompositions.length
  const largest = own.decompositions.flat().reduce((most, { length }) => Math.max(most, length), 0)
  const { residual, eta, rounds, queries } = own
  return { ...best, metrics: { residual, rounds: rounds / queries, penalty: eta, factors, largestFactor: largest } }
}

function check({ factors }: Config, { space }: Problem): Issue[] {
  if (space.kind !== 'search') return []
  const names = space.parameters.map(({ name }) => name)
  const issues = (factors ?? []).flatMap((group, i) =>
    group.flatMap((name, j) => {
      const path = `config.factors[${i}][${j}]`
      if (!names.includes(name)) return [{ path, message: `"${name}" is not a parameter of the space` }]
      return group.indexOf(name) < j ? [{ path, message: `"${name}" is twice in the factor` }] : []
    }),
  )
  const missing = factors ? names.filter((name) => !factors.flat().includes(name)) : []
  return missing.length ? [...issues, { path: 'config.factors', message: `no factor has "${missing[0]}"` }] : issues
}

export const method = sequentialMethod<Config, State>({
  id: 'dumbo',
  title: 'DuMBO',
  summary:
    'Many parameters: an additive Gaussian process whose factors overlap, are given or inferred, and agree on the next point by messages.',
  references: [
    {
      authors: 'A. Bardou, P. Thiran, T. Begin',
      title: 'Relaxing the Additivity Constraints in Decentralized No-Regret High-Dimensional Bayesian Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.19838',
    },
  ],
  config,
  facts: { parameters: ['float', 'int', 'ordinal', 'constrained'] },
  recipes: [
    { problem: 'branin', config: { nInitial: 6 }, maxEvaluations: 80, target: 0.5 },
    {
      problem: 'sphere-5d',
      config: { factors: [['x0', 'x1'], ['x1', 'x2'], ['x3'], ['x4']], nInitial: 6 },
      maxEvaluations: 60,
      target: 0.5,
    },
  ],
  equations: () => [
    String.raw`f = \sum_i f_i(x_{V_i}), \quad \mu_i(x) = k_i(x)^\top K^{-1} y, \quad s_i^2(x) = k_i(x, x) - k_i(x)^\top K^{-1} k_i(x)`,
    String.raw`x^i = \arg\max_x\; \mu_i(x) + \beta_t \sqrt{s_i^2(x) / |N_i|^2 + \textstyle\sum_{j \in N_i \setminus i} s_j^2(x^j) / |N_j|^2} - \lambda_i^\top (x - \bar{x}_{V_i}) - \tfrac{\eta}{2} \lVert x - \bar{x}_{V_i} \rVert^2`,
    String.raw`\lambda_i \leftarrow \lambda_i + \eta (x^i - \bar{x}_{V_i}), \qquad x_{t+1} = \bar{x}`,
  ],
  nInitial: ({ nInitial }) => nInitial,
  check,
  init: () => ({ rows: 0, theta: null, decompositions: [], rounds: 0, queries: 0, residual: 0, eta: 1 }),
  suggest,
  recommend,
})
