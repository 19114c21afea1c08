/**
 * Sequential model-based algorithm configuration (SMAC): Bayesian optimization with a random forest.
 * F. Hutter, H. H. Hoos, K. Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm Configuration", LION 5,
 * 2011; M. Lindauer et al., "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization", JMLR 23, 2022,
 * with the defaults of its HyperparameterOptimizationFacade, on one instance.
 *
 * - Costs are scaled to (0, 1] and their logarithm is modelled; improvement is expected of the costs themselves (F. Hutter et
 *   al., "An Experimental Investigation of Model-Based Parameter Optimisation: SPO and Beyond", GECCO 2009). Scaled costs are
 *   positive whatever the sign of those that are told.
 * - The forest reads the coordinates of space/encoding, categories as such. An inactive parameter is at -1, below all values of
 *   an ordered axis, or a category of its own.
 * - Improvement is maximized over random points and by local search in the one-exchange neighbourhood, from them and from the
 *   told points of least predicted cost. Now and then a random point is asked instead.
 * - Open trials, and lately failed ones, take part as if the forest's mean had been told there (SMAC3 leaves them out). An
 *   infeasible trial counts as the worst value, a pruned one with its last.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params } from '../../core/space.js'
import type { Axis, Encoding } from '../space/encoding.js'
import { uniformPoint } from '../space/fresh.js'
import { logH, logNormalCdf } from './acquisition.js'
import { type Row, standardization, standardized, subset } from './data.js'
import { growForest, predict } from './forest.js'
import { type Scene, sequentialMethod } from './sequential.js'

const config = z.strictObject({
  nInitial: field(
    z.int().min(1).optional(),
    "Scrambled Sobol' points before the forest takes over; 2 (parameters + 1), 10 at most, when absent.",
    { source: 'ours; SMAC3 takes 10 per parameter, at most a tenth of the budget' },
  ),
  nTrees: field(z.int().min(2).max(1000).default(10), 'Trees of the forest.', { source: 'SMAC3' }),
  featureShare: field(z.number().positive().max(1).default(1), 'Share of the coordinates that a split looks at.', {
    source: 'SMAC3',
    advanced: true,
  }),
  minSplit: field(z.int().min(2).max(1000).default(2), 'Fewest trials of a node that is split.', {
    source: 'SMAC3',
    advanced: true,
  }),
  minLeaf: field(z.int().min(1).max(1000).default(1), 'Fewest trials of a leaf.', { source: 'SMAC3', advanced: true }),
  randomProbability: field(z.number().min(0).max(1).default(0.2), 'Probability that a point is drawn at random.', {
    source: 'SMAC3',
  }),
  nCandidates: field(z.int().min(16).max(65536).default(5000), 'Random points that improvement is compared at.', {
    source: 'SMAC3 (twice as many)',
    advanced: true,
  }),
  nStarts: field(
    z.int().min(1).max(128).default(10),
    'Local searches from the best random points, and as many from told ones.',
    { source: 'SMAC3', advanced: true },
  ),
  maxRows: field(z.int().min(100).max(20000).default(3000), 'Trials in the forest; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

/** A point of the space: its vector, and what the forest reads. */
type Spot = { u: Float64Array; x: Float64Array }
/** The forest's coordinates of any vector, rounded to the trial that it stands for, and how many categories each numbers. */
type Reader = { categories: number[]; spot(u: Float64Array): Spot }

/** Least deviation of a prediction (SMAC3 keeps variances above 1e-10). */
const LEAST_DEVIATION = 1e-5
/** Deviations below this are small enough for the first order of the improvement of costs. */
const SMALL_DEVIATION = 1e-2
/** The best cost is scaled to the distance of this quantile from it. */
const QUANTILE = 0.05
/** Where that is nothing, to this part of the range. */
const LEAST_COST = 1e-10
/** Random points times coordinates, at most. */
const SCREENING_WORK = 2e5
/** Steps to neighbours that are not better, of one local search, and all of its steps. */
const PLATEAU_STEPS = 10
const MAX_STEPS = 100
/** Normal steps per ordered coordinate, and their deviation (ConfigSpace); cut at the ends. */
const NEIGHBOURS = 4
const STEP = 0.2
/** Neighbours that are looked at before a local search ends. */
const MAX_NEIGHBOURS = 256
/** Draws until a random point is allowed. */
const DRAWS = 20
/** Points asked in parallel differ by this much, at least, in one coordinate. */
const SEPARATION = 1e-3

export function readerOf(encoding: Encoding): Reader {
  const { axes } = encoding
  const plain = !encoding.constrained && axes.every((axis) => axis.size === Infinity && !axis.parameter.condition)
  return {
    categories: axes.map(({ ordered, size }) => (ordered ? 0 : size + 1)),
    spot(vector) {
      if (plain) return { u: vector, x: vector }
      const { u, active } = encoding.encode(encoding.decode(vector))
      const x = u.slice()
      for (let i = 0; i < x.length; i++) {
        const { ordered, size, values } = axes[i]
        if (!ordered) x[i] = active[i] ? values!.index(u[i]) : size
        else if (!active[i]) x[i] = -1
      }
      return { u, x }
    },
  }
}

/** What the forest learns: logarithms of costs scaled to (0, 1]. Infeasible trials have the largest. */
export function responses(trials: readonly Row[]): number[] {
  const { values } = standardized(trials, standardization(trials))
  const rising = [...values].sort((a, b) => a - b)
  const [least, most] = [rising[0], rising[rising.length - 1]]
  if (least === most) return values.map(() => 0)
  const place = QUANTILE * (rising.length - 1)
  const below = rising[Math.floor(place)]
  const quantile = below + (rising[Math.ceil(place)] - below) * (place % 1)
  const floor = least - (quantile - least) - LEAST_COST * (most - least)
  return values.map((value) => Math.log((value - floor) / (most - floor)))
}

/**
 * log E[max(0, e^best - e^Y)] of a normal Y: v = (best - mean) / s, E = e^best Phi(v) - e^(mean + s^2 / 2) Phi(v - s). Of small
 * s the terms nearly cancel, and e^best E[max(0, best - Y)] is left.
 */
export function logCostImprovement(mean: number, deviation: number, best: number): number {
  const v = (best - mean) / deviation
  const first = () => best + Math.log(deviation) + logH(v).value
  if (deviation < SMALL_DEVIATION && v < 1) return first()
  const gain = best + logNormalCdf(v)
  const loss = mean + deviation ** 2 / 2 + logNormalCdf(v - deviation)
  return loss < gain ? gain + Math.log(-Math.expm1(loss - gain)) : first()
}

/** Neighbours of a point, one coordinate changed, in random order; not rounded. What a change wakes is drawn at random. */
function neighbours({ axes }: Encoding, { u, x }: Spot, rng: Rng): (() => Float64Array)[] {
  const isActive = ({ ordered, size }: Axis, i: number) => x[i] !== (ordered ? -1 : size)
  const asleep = axes.flatMap((axis, i) => (isActive(axis, i) ? [] : [i]))
  const moves = axes.flatMap((axis, i) => {
    const { size, ordered, parameter, values, encode } = axis
    if (size === 1 || !isActive(axis, i)) return []
    const to = (coordinate: number) => () => {
      const moved = u.slice()
      for (const k of asleep) moved[k] = rng.uniform()
      moved[i] = Math.min(1, Math.max(0, coordinate))
      return moved
    }
    const at = values?.index(u[i]) ?? 0
    if (!ordered)
      return Array.from({ length: size }, (_, k) => k).flatMap((k) => (k === at ? [] : [to((k + 0.5) / size)]))
    const normal = () => to(u[i] + STEP * rng.normal())()
    const normals = new Array<() => Float64Array>(NEIGHBOURS).fill(normal)
    if (size === Infinity) return normals
    // Past the middle of the next item's key: its place is taken.
    if (parameter.type === 'permutation') return [...normals, to(u[i] + 1.25 / size), to(u[i] - 1.25 / size)]
    const next = [at - 1, at + 1].filter((k) => k >= 0 && k < size)
    return [...normals, ...next.map((k) => to(encode(values!.at(k))))]
  })
  return rng.shuffle(moves)
}

type Ranked = Spot & { worth: number }

/** The best allowed point that was looked at, or undefined when there was none. */
function maximize(
  scene: Scene<Config, null>,
  reader: Reader,
  worthOf: (x: Float64Array) => number,
  told: readonly Float64Array[],
  free: (u: Float64Array) => boolean,
): Float64Array | undefined {
  const { encoding, rng, run } = scene
  const { nStarts, nCandidates } = run.config
  let best: Ranked | undefined
  const look = (u: Float64Array): Ranked => {
    const spot = reader.spot(u)
    const ranked = { u: spot.u, x: spot.x, worth: worthOf(spot.x) }
    if (!(best && best.worth >= ranked.worth) && free(ranked.u)) best = ranked
    return ranked
  }
  const { cardinality, dimension } = encoding
  const count = Math.max(Math.min(nCandidates, Math.floor(SCREENING_WORK / dimension)), nStarts)
  if (cardinality <= count) {
    for (let i = 0; i < cardinality; i++) {
      const params = encoding.point(i)
      if (encoding.feasible(params)) look(encoding.encode(params).u)
    }
    return best?.u
  }
  const random: Ranked[] = []
  for (let i = 0; i < count; i++) {
    const u = new Float64Array(dimension)
    for (let k = 0; k < dimension; k++) u[k] = rng.uniform()
    random.push(look(u))
  }
  random.sort((a, b) => b.worth - a.worth)
  for (let at of [...told.map(look), ...random.slice(0, nStarts)]) {
    let plateau = 0
    for (let step = 0; step < MAX_STEPS; step++) {
      let better: Ranked | undefined
      for (const move of neighbours(encoding, at, rng).slice(0, MAX_NEIGHBOURS)) {
        const next = look(move())
        if (next.worth < at.worth || (next.worth === at.worth && plateau++ >= PLATEAU_STEPS)) continue
        better = next
        break
      }
      if (!better) break
      at = better
    }
  }
  return best?.u
}

function suggest(scene: Scene<Config, null>, count: number): Params[] {
  const { run, encoding, rng, allowed } = scene
  const { config } = run
  if (scene.trials.every(({ value }) => Number.isNaN(value))) return []
  const trials = subset(scene.trials, config.maxRows)
  const reader = readerOf(encoding)
  const { categories } = reader
  const points = trials.map(({ u }) => reader.spot(u).x)
  const values = responses(trials)
  const grown = () => growForest(points, values, config.nTrees, rng, { ...config, categories, rng })
  const taken: Float64Array[] = []
  let forest = grown()
  const believe = (all: readonly Float64Array[]) => {
    const open = all.map((u) => reader.spot(u).x)
    values.push(...open.map((x) => predict(forest, x).mean))
    points.push(...open)
    forest = grown()
  }
  if (scene.pending.length > 0) believe(scene.pending)
  const free = (u: Float64Array) => allowed(u) && taken.every((v) => v.some((x, i) => Math.abs(x - u[i]) >= SEPARATION))
  const drawn = () => {
    for (let i = 0; i < DRAWS; i++) {
      const { u } = encoding.encode(uniformPoint(encoding, rng))
      if (free(u)) return u
    }
    return undefined
  }
  const found: Params[] = []
  while (found.length < count) {
    let u = rng.uniform() < config.randomProbability ? drawn() : undefined
    if (!u) {
      const means = points.map((x) => predict(forest, x).mean)
      const ranked = [...trials.keys()].sort((a, b) => means[a] - means[b] || a - b)
      const incumbent = means.reduce((least, mean) => Math.min(least, mean))
      const worthOf = (x: Float64Array) => {
        const { mean, variance } = predict(forest, x)
        return logCostImprovement(mean, Math.max(Math.sqrt(variance), LEAST_DEVIATION), incumbent)
      }
      const told = ranked.slice(0, config.nStarts).map((i) => trials[i].u)
      u = maximize(scene, reader, worthOf, told, free)
    }
    if (!u) break
    found.push(encoding.decode(u))
    taken.push(u)
    if (found.length < count) believe([u])
  }
  return found
}

export const method = sequentialMethod<Config, null>({
  id: 'smac',
  title: 'SMAC',
  summary:
    'Models the objective with a random forest and asks where the improvement over the best is expected to be largest. For spaces with many choices and conditions, and objectives that are not smooth.',
  references: [
    {
      authors: 'F. Hutter, H. H. Hoos, K. Leyton-Brown',
      title: 'Sequential Model-Based Optimization for General Algorithm Configuration',
      year: 2011,
      url: 'https://doi.org/10.1007/978-3-642-25566-3_40',
    },
    {
      authors:
        'M. Lindauer, K. Eggensperger, M. Feurer, A. Biedenkapp, D. Deng, C. Benjamins, T. Ruhkopf, R. Sass, F. Hutter',
      title: 'SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization',
      year: 2022,
      url: 'https://jmlr.org/papers/v23/21-0888.html',
    },
  ],
  config,
  facts: { parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'] },
  recipes: [
    { problem: 'branin', maxEvaluations: 60, target: 0.6 },
    { problem: 'sphere-5d', maxEvaluations: 80, target: 3 },
    { problem: 'mixed', maxEvaluations: 60, target: 0.06 },
  ],
  equations: () => [
    String.raw`\mu(x) = \tfrac{1}{T} \sum_t \mu_t(x), \quad s^2(x) = \tfrac{1}{T} \sum_t \left(s_t^2(x) + (\mu_t(x) - \mu(x))^2\right)`,
    String.raw`v = (f^* - \mu(x)) / s(x)`,
    String.raw`x_{n+1} = \arg\max_x \; e^{f^*} \Phi(v) - e^{\mu(x) + s^2(x) / 2}\, \Phi(v - s(x))`,
  ],
  nInitial: ({ nInitial }, { space }) =>
    nInitial ?? Math.min(10, 2 * (space.kind === 'search' ? space.parameters.length + 1 : 1)),
  init: () => null,
  suggest,
})
