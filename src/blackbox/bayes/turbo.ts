/**
 * TuRBO: trust regions that grow and shrink, each with a Gaussian process of its own, and Thompson sampling over all of them.
 * D. Eriksson, M. Pearce, J. Gardner, R. D. Turner, M. Poloczek, "Scalable Global Optimization via Local Bayesian
 * Optimization", NeurIPS 2019, arXiv 1910.01465; one region is TuRBO-1, m regions are TuRBO-m.
 *
 * - A region is a box about its best point, its sides in proportion to the length scales of its process, their volume
 *   length^d. It doubles after 3 improvements in a row, halves after max(4, d) evaluations without one, and starts anew, with
 *   points from the whole space, when it has become too small. The paper counts batches of q; here evaluations are counted,
 *   because trials end one by one.
 * - Candidates are the centre with few of its coordinates replaced (20 on average, in more dimensions than that). A joint draw
 *   from the posterior of each region says which candidate of all is best; another draw for every point of a batch.
 * - Points that nobody asked for belong to the region that has fewest.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Params, Problem } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { encodingOf } from '../space/encoding.js'
import { uniformPoint } from '../space/fresh.js'
import type { Trial } from './beliefs.js'
import { standardization, standardized, subset } from './data.js'
import { defaultTheta, fitHyperparameters } from './fit.js'
import { keyOf, roundedBy } from './search.js'
import { type Scene, sequentialMethod } from './sequential.js'
import { Surrogate } from './surrogate.js'
import { bestTrial, trialEstimate } from './trials.js'

const config = z.strictObject({
  regions: field(z.int().min(1).max(20).default(1), 'Trust regions at a time: m.', { source: 'Eriksson et al. 2019' }),
  nInitial: field(
    z.int().min(2).optional(),
    'Points from the whole space that a region starts with; 2 parameters, 100 at most, when absent.',
    { source: 'Eriksson et al. 2019' },
  ),
  nCandidates: field(
    z.int().min(16).max(5000).optional(),
    'Candidates of a draw; 100 parameters, 500 at most, when absent.',
    { source: 'Eriksson et al. 2019, with 5000', advanced: true },
  ),
  initialLength: field(z.number().positive().max(2).default(0.8), 'Length that a region starts with.', {
    source: 'Eriksson et al. 2019',
  }),
  minLength: field(
    z
      .number()
      .positive()
      .max(1)
      .default(2 ** -7),
    'Length below which a region starts anew.',
    {
      source: 'Eriksson et al. 2019',
    },
  ),
  maxLength: field(z.number().positive().max(4).default(1.6), 'Length that no region exceeds.', {
    source: 'Eriksson et al. 2019',
  }),
  refitGrowth: field(
    z.number().min(1).max(2).default(1.1),
    'Hyperparameters of a region are fitted again when its trials have grown by this factor.',
    { source: 'ours', advanced: true },
  ),
  maxRows: field(z.int().min(20).max(2000).default(500), 'Trials in the model of a region; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

type Region = {
  /** Numbers of its trials; points from the whole space that it has yet to ask, and to be told. */
  trials: number[]
  waiting: number
  starting: number
  length: number
  successes: number
  failures: number
  /** Its least value. */
  best: number
  fit: { rows: number; theta: Float64Array } | null
}
type State = {
  regions: Region[]
  /** Trials that regions have taken; of open points, by key, the region. */
  seen: number
  asked: { [key: string]: number }
  restarts: number
}
type TurboScene = Scene<Config, State>

const SUCCESSES = 3
const FAILURES = 4
/** An improvement counts from this part of the best value on. */
const PROGRESS = 1e-3
/** Coordinates of the centre that a candidate replaces, in the mean. */
const REPLACED = 20
const FIT_EVALUATIONS = 25
/** Variance of candidates beside the process's, that makes their covariance definite. */
const NUGGET = 1e-6

const dimensionOf = ({ space }: Problem) => (space.kind === 'search' ? encodingOf(space).dimension : 0)
const initialIn = ({ nInitial }: Config, d: number) => nInitial ?? Math.max(2, Math.min(2 * d, 100))

const fresh = (length: number, points: number): Region => ({
  trials: [],
  waiting: points,
  starting: points,
  length,
  successes: 0,
  failures: 0,
  best: Number.POSITIVE_INFINITY,
  fit: null,
})

/** Gives new trials to their regions, which grow, shrink or start anew. */
function learn({ run: { config }, own, trials, encoding }: TurboScene): void {
  const d = encoding.dimension
  for (; own.seen < trials.length; own.seen++) {
    const { u, value } = trials[own.seen]
    const key = keyOf(u)
    const fewest = own.regions.reduce(
      (least, { trials: t }, i) => (t.length < own.regions[least].trials.length ? i : least),
      0,
    )
    const region = own.regions[own.asked[key] ?? fewest]
    delete own.asked[key]
    region.trials.push(own.seen)
    const improves = value < region.best - PROGRESS * Math.abs(region.best) || region.best === Number.POSITIVE_INFINITY
    if (value < region.best) region.best = value
    if (region.starting > 0) {
      region.starting--
      region.waiting = Math.min(region.waiting, region.starting)
      continue
    }
    region.successes = improves ? region.successes + 1 : 0
    region.failures = improves ? 0 : region.failures + 1
    if (region.successes >= SUCCESSES) {
      region.length = Math.min(2 * region.length, config.maxLength)
      region.successes = 0
    } else if (region.failures >= Math.max(FAILURES, d)) {
      region.length /= 2
      region.failures = 0
    }
    if (region.length < config.minLength) {
      const at = own.regions.indexOf(region)
      own.regions[at] = fresh(config.initialLength, initialIn(config, d))
      own.restarts++
      // Open points of the old region teach the new one nothing.
      for (const open of Object.keys(own.asked)) if (own.asked[open] === at) delete own.asked[open]
    }
  }
}

/** Candidates of a region, and `count` joint draws of the function there in told units. */
function drawn(
  scene: TurboScene,
  region: Region,
  count: number,
): { candidates: Float64Array[]; draws: Float64Array[] } {
  const { run, dimensions, encoding, rng, trials, allowed } = scene
  const { config } = run
  const d = encoding.dimension
  const rows = subset(
    region.trials.map((i) => trials[i]),
    config.maxRows,
  ) as readonly Trial[]
  const units = standardization(rows)
  const { points, values, noises } = standardized(rows, units)
  if (!region.fit || rows.length >= Math.max(region.fit.rows + 1, region.fit.rows * config.refitGrowth)) {
    const starts = [defaultTheta(d), ...(region.fit ? [region.fit.theta] : [])]
    const theta = fitHyperparameters(workspace(), dimensions, { points, values, noises }, starts, FIT_EVALUATIONS)
    region.fit = { rows: rows.length, theta }
  }
  const { theta } = region.fit
  const centre = points[values.reduce((least, v, i) => (v < values[least] ? i : least), 0)]
  const lengths = dimensions.ordered.map((_, k) => Math.exp(-theta[k] / 2))
  const middle = Math.exp(lengths.reduce((sum, l) => sum + Math.log(l), 0) / d)
  const rounded = roundedBy(encoding)
  const share = Math.min(1, REPLACED / d)
  const wanted = config.nCandidates ?? Math.min(100 * d, 500)
  const candidates = Array.from({ length: wanted }, () => {
    const u = centre.slice()
    const one = rng.integer(d)
    dimensions.ordered.forEach((axis, k) => {
      if (k !== one && rng.uniform() >= share) return
      const half = (region.length * lengths[k]) / middle / 2
      const [low, high] = [Math.max(0, centre[axis] - half), Math.min(1, centre[axis] + half)]
      u[axis] = low + rng.uniform() * (high - low)
    })
    return rounded(u)
  }).filter(allowed)
  return workspace().scope(() => {
    const model = new Surrogate(workspace(), dimensions, theta, points.length + candidates.length)
    const nugget = NUGGET * model.variance - Math.exp(theta[d + 1])
    model.factorize([...points, ...candidates], [...noises, ...candidates.map(() => nugget)])
    const draws = Array.from({ length: count }, () => {
      const normals = Float64Array.from(candidates, () => rng.normal())
      return model.draw(values, normals).map((v) => units.center + units.scale * v)
    })
    return { candidates, draws }
  })
}

function suggest(scene: TurboScene, count: number): Params[] {
  const { own, encoding, rng } = scene
  learn(scene)
  const found: Params[] = []
  const taken = new Set<string>()
  const add = (u: Float64Array, region: number) => {
    const params = encoding.decode(u)
    taken.add(keyOf(u))
    own.asked[keyOf(encoding.encode(params).u)] = region
    found.push(params)
  }
  own.regions.forEach((region, i) => {
    for (; region.waiting > 0 && found.length < count; region.waiting--) {
      const { u } = encoding.encode(uniformPoint(encoding, rng))
      if (scene.allowed(u) && !taken.has(keyOf(u))) add(u, i)
    }
  })
  // Of a region that waits for its first points nothing can be asked yet, unless there is no other.
  const known = own.regions.flatMap((region, i) => (region.trials.length > 0 ? [i] : []))
  const ready = known.filter((i) => own.regions[i].starting === 0)
  const from = ready.length ? ready : known
  if (found.length === count || from.length === 0) return found
  const left = count - found.length
  const all = from.map((i) => ({ i, ...drawn(scene, own.regions[i], left) }))
  for (let t = 0; t < left; t++) {
    let best: { u: Float64Array; region: number; value: number } | undefined
    for (const { i, candidates, draws } of all)
      candidates.forEach((u, c) => {
        const value = draws[t][c]
        if ((best && value >= best.value) || taken.has(keyOf(u))) return
        best = { u, region: i, value }
      })
    if (!best) break
    add(best.u, best.region)
  }
  return found
}

export const method = sequentialMethod<Config, State>({
  id: 'turbo',
  title: 'TuRBO',
  summary:
    'Many parameters and many evaluations: Gaussian processes in trust regions that grow with success, shrink with failure and start anew, with batches by Thompson sampling.',
  references: [
    {
      authors: 'D. Eriksson, M. Pearce, J. R. Gardner, R. D. Turner, M. Poloczek',
      title: 'Scalable Global Optimization via Local Bayesian Optimization',
      year: 2019,
      url: 'https://arxiv.org/abs/1910.01465',
    },
  ],
  config,
  facts: { parameters: ['float', 'int', 'ordinal', 'constrained'] },
  recipes: [
    { problem: 'branin', maxEvaluations: 60, target: 0.42 },
    { problem: 'sphere-5d', config: { regions: 2 }, maxEvaluations: 80, target: 0.5 },
  ],
  equations: () => [
    String.raw`\mathrm{TR} = \prod_i \left[x^*_i \pm \tfrac{L}{2}\, \ell_i / (\textstyle\prod_j \ell_j)^{1/d}\right]`,
    String.raw`x_{t+1} = \arg\min_{r,\; x \in \mathrm{TR}_r} f_r(x), \quad f_r \sim \mathrm{GP}_r(\mu, k \mid \text{its trials})`,
    String.raw`L \leftarrow 2L \text{ after 3 improvements}, \quad L \leftarrow L/2 \text{ after } \max(4, d) \text{ without}`,
  ],
  nInitial: (c, problem) => c.regions * initialIn(c, dimensionOf(problem)),
  check: ({ initialLength, minLength, maxLength }) =>
    minLength <= initialLength && initialLength <= maxLength
      ? []
      : [
          {
            path: 'config.initialLength',
            message: `expected a length from minLength ${minLength} to maxLength ${maxLength}`,
          },
        ],
  init({ config: c, problem }) {
    const points = initialIn(c, dimensionOf(problem))
    // The first points are asked before any model is.
    const first = { ...fresh(c.initialLength, points), waiting: 0 }
    return {
      regions: Array.from({ length: c.regions }, () => ({ ...first, trials: [] })),
      seen: 0,
      asked: {},
      restarts: 0,
    }
  },
  suggest,
  recommend({ run, own, trials }) {
    const { regions, restarts } = own
    const length = regions.reduce((most, region) => Math.max(most, region.length), 0)
    return { ...trialEstimate(run.problem, trials, bestTrial(trials)), metrics: { length, restarts } }
  },
})
