/**
 * CONFIG: optimism in the objective and in the constraints.
 * W. Xu, Y. Jiang, B. Svetozarevic, C. N. Jones, "Constrained Efficient Global Optimization of Expensive Black-box
 * Functions", ICML 2023, arXiv 2211.00162, algorithm 1.
 *
 * Independent Gaussian processes of the objective f and of each constraint g_i <= 0, lower bounds l = m - beta s. The
 * next point has the least l_f among those where no l_i is positive; where there is none, the problem is infeasible (with
 * the probability that beta stands for). Points that break a constraint are asked, but sublinearly often.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Estimate } from '../../core/method.js'
import { field } from '../../core/schema.js'
import type { Params, Problem, SearchSpace } from '../../core/space.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import { type Beliefs, condition, type Fit, fitChannels } from './beliefs.js'
import { KERNELS } from './covariance.js'
import { keyOf, roundedBy } from './search.js'
import { type Scene, type Suggestion, sequentialMethod } from './sequential.js'
import { bestTrial, trialEstimate } from './trials.js'

const config = z.strictObject({
  kernel: field(z.enum(KERNELS).default('rbf'), 'Squared exponential or Matérn 5/2.', { source: 'paper' }),
  lengthScale: field(
    z.union([z.number().positive(), z.array(z.number().positive())]).optional(),
    'Length of the kernel as a part of the range of a parameter, one for all or one each; learned when absent.',
    { source: 'paper' },
  ),
  variance: field(
    z.number().positive().default(1),
    'Prior variance of the objective and of every constraint, where the length is given.',
    { source: 'paper' },
  ),
  noise: field(z.number().positive().default(1e-6), 'Variance of the noise, where the length is given.', {
    source: 'paper',
  }),
  beta: field(z.number().min(0).default(3), 'Deviations between mean and bound.', {
    source: 'paper',
    mutable: true,
  }),
  schedule: field(
    z.enum(['constant', 'grid']).default('constant'),
    'constant: beta. grid: sqrt(2 log(|X| t^2 pi^2 (1 + m) / (6 delta))) on a finite space X with m constraints.',
    { source: 'paper' },
  ),
  delta: field(z.number().positive().max(1).default(0.1), 'Probability that a bound of `grid` fails.', {
    source: 'ours',
    advanced: true,
  }),
  nInitial: field(
    z.int().min(1).optional(),
    'Space-filling trials before; 1 where the length is given, 2 (parameters + 1) where it is learned.',
    { source: 'ours' },
  ),
  nCandidates: field(
    z.int().min(16).max(65536).default(2048),
    'Points that the search begins with; all of a smaller space.',
    {
      source: 'ours',
      advanced: true,
    },
  ),
})
type Config = z.infer<typeof config>
type State = { rows: number; fits: Fit[] }
type ConfigScene = Scene<Config, State>

/** Learned hyperparameters are fitted again when the trials have grown by this factor. */
const GROWTH = 1.1
const MAX_ROWS = 400
/** Candidates that local searches begin from, and the steps of these: the first, and how often it is halved. */
const STARTS = 3
const FIRST_STEP = 0.05
const HALVINGS = 12

const channels = ({ constraints = [] }: Problem) => ['objective' as const, ...constraints.keys()]

/** Hyperparameters from the config; lengths are parts of the range, which the shares of discrete axes overlap. */
function given({ lengthScale = 1, variance, noise }: Config, { encoding, dimensions, run }: ConfigScene): Fit[] {
  const axes = [...dimensions.ordered, ...dimensions.unordered]
  const weights = axes.map((axis) => {
    const { size } = encoding.axes[axis]
    const length = typeof lengthScale === 'number' ? lengthScale : lengthScale[axis]
    const stretch = Number.isFinite(size) && size > 1 && encoding.axes[axis].ordered ? size / (size - 1) : 1
    return 2 * Math.log(stretch / length)
  })
  const theta = Float64Array.of(...weights, Math.log(variance), Math.log(noise))
  return channels(run.problem).map(() => ({ center: 0, scale: 1, theta }))
}

function beliefsOf(scene: ConfigScene): Beliefs {
  const { run, own, trials, dimensions } = scene
  const { config, problem } = run
  const options = { kind: config.kernel, prior: 'zero', maxRows: MAX_ROWS } as const
  if (config.lengthScale !== undefined) own.fits = given(config, scene)
  else if (own.rows === 0 || trials.length >= Math.max(own.rows + 1, own.rows * GROWTH)) {
    own.fits = fitChannels(trials, channels(problem), dimensions, options, own.rows ? own.fits : undefined)
    own.rows = trials.length
  }
  return condition(trials, channels(problem), dimensions, options, own.fits)
}

export function betaOf({ beta, schedule, delta }: Config, cardinality: number, t: number, constraints: number): number {
  if (schedule === 'constant') return beta
  return Math.sqrt(2 * Math.log((cardinality * t ** 2 * Math.PI ** 2 * (1 + constraints)) / (6 * delta)))
}

/** Lower bounds in told units at a point: of the objective, and the largest of the constraints. */
type Bounds = { objective: number; constraint: number }

function boundsBy({ processes, fits }: Beliefs, beta: number): (u: Float64Array) => Bounds {
  const lower = (i: number, u: Float64Array) => {
    const { mean, variance } = processes[i].at(u)
    return fits[i].center + fits[i].scale * (mean - beta * Math.sqrt(variance))
  }
  return (u) => {
    let constraint = Number.NEGATIVE_INFINITY
    for (let i = 1; i < processes.length; i++) constraint = Math.max(constraint, lower(i, u))
    return { objective: lower(0, u), constraint }
  }
}

/** Whether a is better: in S where b is not; in S both, by the objective; else nearer to S. */
const better = (a: Bounds, b: Bounds): boolean =>
  a.constraint <= 0
    ? !(b.constraint <= 0) || a.objective < b.objective
    : !(b.constraint <= 0) && a.constraint < b.constraint

/** Compass search: steps along the axes as long as they lead to a better allowed point, then half as long. */
function refine(
  start: Float64Array,
  bounds: (u: Float64Array) => Bounds,
  rounded: (u: Float64Array) => Float64Array,
  allowed: (u: Float64Array) => boolean,
): Float64Array {
  let best = { u: start, at: bounds(start) }
  for (let k = 0, step = FIRST_STEP; k < HALVINGS; k++, step /= 2)
    for (let moved = true; moved; ) {
      moved = false
      for (let axis = 0; axis < start.length; axis++)
        for (const by of [step, -step]) {
          const u = rounded(best.u.with(axis, Math.min(1, Math.max(0, best.u[axis] + by))))
          if (u.every((v, i) => v === best.u[i]) || !allowed(u)) continue
          const at = bounds(u)
          if (!better(at, best.at)) continue
          best = { u, at }
          moved = true
        }
    }
  return best.u
}

function suggest(scene: ConfigScene, count: number): Suggestion {
  const { run, encoding, trials, rng, allowed } = scene
  const constraints = run.problem.constraints?.length ?? 0
  const bounds = boundsBy(beliefsOf(scene), betaOf(run.config, encoding.cardinality, trials.length, constraints))
  const finite = encoding.cardinality <= run.config.nCandidates
  const sobol = sobolSequence(encoding.dimension)
  const shift = encoding.axes.map(() => rng.uniform())
  const candidates = finite
    ? Array.from({ length: encoding.cardinality }, (_, i) => encoding.point(i))
        .filter(encoding.feasible)
        .map((params) => encoding.encode(params).u)
    : Array.from(
        { length: run.config.nCandidates },
        (_, i) => encoding.encode(encoding.decode(sobol(i).map((v, k) => (v + shift[k]) % 1))).u,
      )
  const at = candidates.map(bounds)
  const order = [...candidates.keys()].sort((i, j) => (better(at[i], at[j]) ? -1 : better(at[j], at[i]) ? 1 : i - j))
  const rounded = roundedBy(encoding)
  const found: Params[] = []
  const taken = new Set<string>()
  const free = (u: Float64Array) => allowed(u) && !taken.has(keyOf(u))
  while (found.length < count) {
    const starts = order.filter((i) => free(candidates[i])).slice(0, finite ? 1 : STARTS)
    const ends = starts.map((i) => (finite ? candidates[i] : refine(candidates[i], bounds, rounded, free)))
    const best = ends.reduce<Float64Array | undefined>(
      (top, u) => (top && !better(bounds(u), bounds(top)) ? top : u),
      undefined,
    )
    if (best && bounds(best).constraint <= 0) {
      const params = encoding.decode(best)
      taken.add(keyOf(encoding.encode(params).u))
      found.push(params)
      continue
    }
    // Nothing new may be feasible. Unless something told or open is, the problem is not.
    if (found.length > 0 || scene.pending.length > 0) break
    const known = trials.some(({ u }) => bounds(u).constraint <= 0)
    return {
      done: known
        ? 'every point that may satisfy the constraints was told'
        : 'infeasible: at every point some constraint is positive with confidence',
    }
  }
  return found
}

/** The best feasible trial, with cumulative regret and violation over all trials. */
function recommend({ run, trials }: ConfigScene): Estimate {
  const best = bestTrial(trials)
  const regret = best ? trials.reduce((sum, { value }) => sum + Math.max(0, value - best.value || 0), 0) : Number.NaN
  const violation = trials.reduce(
    (sum, { constraints }) => sum + constraints.reduce((s, g) => s + Math.max(0, g || 0), 0),
    0,
  )
  return { ...trialEstimate(run.problem, trials, best), metrics: { violation, ...(best && { regret }) } }
}

function check({ lengthScale, schedule }: Config, { space }: Problem): Issue[] {
  if (space.kind !== 'search') return []
  const issues: Issue[] = []
  const d = (space as SearchSpace).parameters.length
  if (Array.isArray(lengthScale) && lengthScale.length !== d)
    issues.push({
      path: 'config.lengthScale',
      message: `expected ${d} lengths, one per parameter, got ${lengthScale.length}`,
    })
  if (schedule === 'grid' && space.parameters.some((p) => p.type === 'float' && p.step === undefined && p.low < p.high))
    issues.push({ path: 'config.schedule', message: 'grid needs a finite space: give every float a step' })
  if (d > MAX_DIMENSION) issues.push({ path: 'space.parameters', message: `config-bo takes at most ${MAX_DIMENSION}` })
  return issues
}

export const method = sequentialMethod<Config, State>({
  id: 'config-bo',
  title: 'CONFIG',
  summary:
    'Expensive functions under expensive constraints: asks where both may be best by their confidence bounds, and can tell that a problem is infeasible.',
  references: [
    {
      authors: 'W. Xu, Y. Jiang, B. Svetozarevic, C. N. Jones',
      title: 'Constrained Efficient Global Optimization of Expensive Black-box Functions',
      year: 2022,
      url: 'https://arxiv.org/abs/2211.00162',
    },
  ],
  config,
  facts: { constraints: true },
  recipes: [{ problem: 'branin', maxEvaluations: 60, target: 0.45 }],
  equations: () => [
    String.raw`l_f(x) = m_f(x) - \beta\, s_f(x), \qquad l_i(x) = m_i(x) - \beta\, s_i(x)`,
    String.raw`x_{t+1} = \arg\min_{x \in S_t} l_f(x), \quad S_t = \{x : l_i(x) \le 0 \;\forall i\}`,
  ],
  nInitial: ({ nInitial, lengthScale }, { space }) =>
    nInitial ?? (lengthScale === undefined ? 2 * ((space as SearchSpace).parameters.length + 1) : 1),
  check,
  init: () => ({ rows: 0, fits: [] }),
  suggest,
  recommend,
})
