/**
 * Bayesian optimization with a Gaussian process and log expected improvement.
 * D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box Functions", J. Global
 * Optim. 13, 1998; S. Ament et al., arXiv 2310.20708 (log EI); P. I. Frazier, "A Tutorial on Bayesian Optimization",
 * arXiv 1807.02811.
 *
 * - Coordinates: those of space/encoding. A parameter that is not active lies in the middle of its axis; the distance
 *   to points where it is active then comes from its parent. Unordered parameters count as equal or different.
 * - Open trials take part as if the posterior mean had been told there, and so do recently failed ones: neither
 *   is asked again at once, but a failed point may come back.
 * - An infeasible point (or an infinite value) counts as the worst value told so far, and is never asked again. A
 *   pruned trial counts with its last value.
 * - Up to `maxRows` trials the posterior is exact. Beyond, at each fit, it keeps the best quarter of that number and of the
 *   others evenly spaced ones; hyperparameters are always fitted to at most FIT_ROWS.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { freshPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import { improvementOver } from './acquisition.js'
import { type Row, standardization, standardized, subset } from './data.js'
import { defaultTheta, fitHyperparameters } from './fit.js'
import { keyOf, search } from './search.js'
import { type Dimensions, type Factor, Surrogate } from './surrogate.js'

const config = z.strictObject({
  nInitial: field(
    z.int().min(1).optional(),
    "Scrambled Sobol' points before the model takes over; 2 (parameters + 1), 10 at most, when absent.",
    { source: 'Frazier 2018; Optuna GPSampler for the most' },
  ),
  nCandidates: field(z.int().min(16).max(65536).default(2048), 'Points of the acquisition screening.', {
    source: 'Optuna GPSampler',
    advanced: true,
  }),
  nStarts: field(z.int().min(1).max(128).default(10), 'Local searches of the acquisition function.', {
    source: 'Optuna GPSampler',
    advanced: true,
  }),
  refitGrowth: field(
    z.number().min(1).max(2).default(1.05),
    'Hyperparameters are fitted again when the trials have grown by this factor.',
    { source: 'ours', advanced: true },
  ),
  maxRows: field(z.int().min(100).max(6000).default(3000), 'Trials in the model; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  /** Next Sobol' point. */
  index: number
  /** Observations of any status. */
  observed: number
  rows: Row[]
  /** Recently failed points and the count of observations then. */
  failed: { u: Float64Array; at: number }[]
  /** Open queries by id, with the last reported value. */
  open: { [id: string]: { u: Float64Array; value: number } }
  /** Hyperparameters, how many rows there were when they were fitted, and the standardization. */
  fit: { rows: number; theta: Float64Array; center: number; scale: number } | null
  scramble: RngState
  rng: RngState
}

type Memo = {
  encoding: Encoding
  dimensions: Dimensions
  sobol?: (index: number) => Float64Array
  /** The rows that the rest was derived from: those of another state make it stale. */
  rows: readonly Row[]
  /** Keys of the first `counted` rows. */
  keys: Set<string>
  counted: number
  factor?: { theta: Float64Array; factor: Factor }
}

/** Rows that hyperparameters are fitted to, at most. */
const FIT_ROWS = 600
/** Up to this many, fits start from the prior's mode too, and not only from where the last one ended. */
const MULTISTART_ROWS = 300
/** Likelihood evaluations of a fit times rows^3. */
const FIT_WORK = 5e9
/** Observations after which a failed point may be asked again. */
const COOLDOWN = 10
/** A value this many standard deviations away asks for a new fit at once. */
const OUTLIER = 10
/** Floating-point work of one screening: at many rows fewer candidates. */
const SCREENING_WORK = 5e8
/** Evaluations per local search of the acquisition function. */
const MAX_ASCENT = 40
/** Points asked in parallel differ by this much, at least, in one coordinate. */
const SEPARATION = 1e-3
const ELITES = 5

function memoOf({ problem, memo }: Run<Config>, state: State): Memo {
  let known = memo.get('gp') as Memo | undefined
  if (known?.rows !== state.rows) {
    const encoding = encodingOf(problem.space as SearchSpace)
    const axes = [...encoding.axes.keys()]
    known = {
      encoding,
      dimensions: {
        ordered: axes.filter((i) => encoding.axes[i].ordered),
        unordered: axes.filter((i) => !encoding.axes[i].ordered),
      },
      sobol: encoding.dimension <= MAX_DIMENSION ? sobolSequence(encoding.dimension, state.scramble) : undefined,
      rows: state.rows,
      keys: new Set(),
      counted: 0,
    }
    memo.set('gp', known)
  }
  for (; known.counted < state.rows.length; known.counted++) known.keys.add(keyOf(state.rows[known.counted].u))
  return known
}

function tell(run: Run<Config>, state: State, event: Extract<Event, { type: 'observation' }>, encoding: Encoding) {
  const { query, observation } = event
  const reported = state.open[query.id]?.value ?? Number.NaN
  delete state.open[query.id]
  readValues(state.progress, run.problem, event).forEach(({ point, status, value }, i) => {
    if (point.kind !== 'params') return
    const { u } = encoding.encode(point.params)
    const noise = Math.max(0, observation.noise?.[i]?.[0] || 0)
    state.observed++
    if (status === 'ok') state.rows.push({ u, value: Number.isFinite(value) ? value : Number.NaN, noise })
    else if (status === 'infeasible') state.rows.push({ u, value: Number.NaN, noise: 0 })
    else if (status === 'failed') state.failed.push({ u, at: state.observed })
    else if (status === 'pruned') {
      const last = Number.isFinite(value) ? value : reported
      if (Number.isFinite(last)) state.rows.push({ u, value: last, noise })
    }
  })
  state.failed = state.failed.filter(({ at }) => state.observed - at < COOLDOWN)
}

/** Fits the hyperparameters when the rows have grown enough or a value lies far outside of what was seen. */
function refit({ config }: Run<Config>, state: State, dimensions: Dimensions): NonNullable<State['fit']> {
  const { rows, fit } = state
  if (fit) {
    const due = rows.length >= Math.max(fit.rows + 1, Math.ceil(fit.rows * config.refitGrowth))
    const { center, scale } = fit
    const outlier = rows.slice(fit.rows).some(({ value }) => Math.abs(value / 2 - center / 2) > (OUTLIER / 2) * scale)
    if (!due && !outlier) return fit
  }
  const units = standardization(rows)
  const data = standardized(subset(rows, FIT_ROWS), units)
  const n = data.points.length
  const starts = fit ? [fit.theta] : []
  if (!fit || n <= MULTISTART_ROWS) starts.push(defaultTheta(dimensions.ordered.length + dimensions.unordered.length))
  const evaluations = Math.round(Math.min(60, Math.max(15, FIT_WORK / n ** 3)))
  const theta = fitHyperparameters(workspace(), dimensions, data, starts, evaluations)
  state.fit = { rows: rows.length, theta, ...units }
  return state.fit
}

/** The next `count` points by the model; fewer when its search finds no more. */
function suggest(run: Run<Config>, state: State, memo: Memo, rng: Rng, count: number): Params[] {
  const { config } = run
  const { encoding, dimensions } = memo
  const fit = refit(run, state, dimensions)
  const fitted = subset(state.rows.slice(0, fit.rows), config.maxRows)
  const rows = [...fitted, ...state.rows.slice(fit.rows)]
  const { points, values, noises } = standardized(rows, fit)
  const open = Object.values(state.open).map(({ u }) => u)
  const failed = state.failed.map(({ u }) => u)
  const parallel = [...open, ...failed]
  return workspace().scope(() => {
    const room = rows.length + open.length + failed.length + count
    const model = new Surrogate(workspace(), dimensions, fit.theta, room)
    const kept = memo.factor?.theta === fit.theta ? memo.factor.factor : undefined
    if (kept) model.restore(kept, points)
    else model.factorize(points.slice(0, fitted.length), noises)
    while (model.rows < rows.length) model.extend(points[model.rows], noises[model.rows])
    memo.factor = { theta: fit.theta, factor: model.save(kept) }

    const means = model.condition(values, noises)
    const feasible = rows.flatMap(({ value }, i) => (Number.isNaN(value) ? [] : [i]))
    const ranked = (feasible.length ? feasible : [...means.keys()]).sort((a, b) => means[a] - means[b] || a - b)
    let incumbent = means[ranked[0]]
    const believe = (u: Float64Array) => {
      incumbent = Math.min(incumbent, model.predict([u], false)[0].mean)
      model.believe(u)
    }
    for (const u of failed) model.believe(u)
    for (const u of open) believe(u)
    const elites = ranked.slice(0, ELITES).map((i) => points[i])
    const candidates = Math.round(Math.min(config.nCandidates, Math.max(256, SCREENING_WORK / rows.length ** 2)))
    const options = { candidates, starts: config.nStarts, maxEvaluations: MAX_ASCENT }
    const found: Params[] = []
    while (found.length < count) {
      const acquisition = improvementOver(incumbent, model)
      const allowed = (u: Float64Array) =>
        !memo.keys.has(keyOf(u)) && parallel.every((v) => u.some((x, i) => Math.abs(x - v[i]) >= SEPARATION))
      const point = search(encoding, acquisition, elites, allowed, rng, options)
      if (!point) break
      const params = encoding.decode(point)
      const { u } = encoding.encode(params)
      parallel.push(u)
      believe(u)
      found.push(params)
    }
    return found
  })
}

/** Sobol' points first, then the model's; where its search finds nothing, whatever is left. */
function ask(run: Run<Config>, state: State, memo: Memo, count: number): Query[] {
  const { encoding, sobol, keys } = memo
  const nInitial = run.config.nInitial ?? Math.min(10, 2 * (encoding.dimension + 1))
  const rng = new Rng(state.rng)
  const open = new Set(Object.values(state.open).map(({ u }) => keyOf(u)))
  const queries: Query[] = []
  const add = (params: Params) => {
    const query = askValue(state.progress, { kind: 'params', params })
    const { u } = encoding.encode(params)
    state.open[query.id] = { u, value: Number.NaN }
    open.add(keyOf(u))
    queries.push(query)
  }
  const addFresh = (draw: () => Params) => {
    const known = (params: Params) => [keys, open].some((set) => set.has(keyOf(encoding.encode(params).u)))
    const params = freshPoint(encoding, known, draw, (n) => Math.floor(rng.uniform() * n))
    if (params) add(params)
    return params !== undefined
  }
  const uniform = () => encoding.decode(encoding.axes.map(() => rng.uniform()))
  const next = sobol ? () => encoding.decode(sobol(state.index++)) : uniform
  const initial = state.rows.length ? Math.min(count, nInitial - state.rows.length - open.size) : count
  while (queries.length < initial && addFresh(next));
  if (queries.length < count && state.rows.length) suggest(run, state, memo, rng, count - queries.length).forEach(add)
  while (queries.length < count && addFresh(uniform));
  return queries
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    const memo = memoOf(run, state)
    if (event.type === 'observation') tell(run, state, event, memo.encoding)
    else if (event.type === 'report' && state.open[event.query.id])
      state.open[event.query.id].value = signOf(run.problem) * event.value
    else if (event.type === 'capacity') {
      const asked = ask(run, state, memo, event.count)
      exhausted = asked.length < event.count
      queries.push(...asked)
    }
  }
  const status = { phase: 'running' } as const
  if (!exhausted) return { state, queries, status }
  const until = Object.keys(state.open).length ? 'tell' : 'never'
  return { state, queries, status, short: { reason: 'every point of the finite space was told or is open', until } }
}

export const method = defineMethod<Config, State>({
  id: 'gp',
  version: 1,
  stateVersion: 1,
  family: 'bayes',
  title: 'Gaussian process optimization',
  summary:
    'Models the objective with a Gaussian process and asks where the improvement over the best is expected to be largest. The choice for expensive evaluations, up to a few thousand of them.',
  references: [
    {
      authors: 'D. R. Jones, M. Schonlau, W. J. Welch',
      title: 'Efficient Global Optimization of Expensive Black-Box Functions',
      year: 1998,
      url: 'https://doi.org/10.1023/A:1008306431147',
    },
    {
      authors: 'S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy',
      title: 'Unexpected Improvements to Expected Improvement for Bayesian Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2310.20708',
    },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: [],
    heavy: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 40, target: 0.3985 },
    { problem: 'mixed', maxEvaluations: 40, target: 1e-4 },
    { problem: 'sphere-5d', maxEvaluations: 40, target: 0.01 },
  ],
  equations: () => [
    String.raw`k(x, x') = \sigma^2 \left(1 + \sqrt{5}\,r + \tfrac{5}{3} r^2\right) e^{-\sqrt{5}\,r}, \quad r^2 = \sum_d (x_d - x'_d)^2 / \ell_d^2`,
    String.raw`z(x) = (f^* - \mu(x)) / s(x)`,
    String.raw`x_{n+1} = \arg\max_x \; \log s(x) + \log\left(\varphi(z) + z\,\Phi(z)\right)`,
  ],
  needs: () => ['value'],
  init: (_, seed) => ({
    progress: startProgress(),
    index: 0,
    observed: 0,
    rows: [],
    failed: [],
    open: {},
    fit: null,
    scramble: rngStream(seed, 'scramble'),
    rng: rngStream(seed, 'gp'),
  }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
