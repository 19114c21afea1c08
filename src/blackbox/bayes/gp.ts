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
 * - What may be chosen is in files of its own: transforms of values (outcome.ts), warped inputs (warp.ts), priors of the lengths
 *   (lengths.ts), max-value entropy search in place of improvement (mes.ts).
 * - Earlier sessions are tasks beside this one (tasks.ts). Their best trials are asked first, and half as many Sobol' points;
 *   then a model with the tasks and one without them take turns, so that earlier sessions that mislead cost no more than half
 *   of the evaluations.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import { bestOf } from '../space/earlier.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { freshPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import { improvementOver, type Predictor } from './acquisition.js'
import { type Row, standardization, standardized, subset } from './data.js'
import { defaultTheta, type Extras, fitHyperparameters, rhoOf, warpOf } from './fit.js'
import { LENGTH_PRIORS } from './lengths.js'
import { gumbelMinima, informationOver, MINIMA } from './mes.js'
import { OUTCOME_TRANSFORMS, transformed, transformOf } from './outcome.js'
import { keyOf, roundedBy, search, uniform } from './search.js'
import { type Dimensions, type Factor, Surrogate } from './surrogate.js'
import { combined, earlierMeans, spreads, type Trend } from './tasks.js'
import type { Warp } from './warp.js'

const config = z.strictObject({
  acquisition: field(
    z.enum(['ei', 'mes']).default('ei'),
    'What the next point is to maximize. ei: the logarithm of expected improvement. mes: max-value entropy search, what a value is expected to tell of the least one.',
    { source: 'Ament et al. 2023; Wang and Jegelka 2017 for mes' },
  ),
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
  outcomeTransform: field(
    z.enum(OUTCOME_TRANSFORMS).default('standardize'),
    'What becomes of values before the model sees them, standardized in the end. winsorize: huge ones are cut at the upper fence of a box plot. power: that of Yeo and Johnson, by maximum likelihood, for long tails. copula: normal quantiles of the ranks, for any distribution.',
    { source: 'ours; Cowen-Rivers et al. 2022 for power, Salinas et al. 2020 for copula' },
  ),
  warp: field(
    z.boolean().default(false),
    'Whether each float is warped by a distribution function of Kumaraswamy, fitted with the other hyperparameters: for functions that change much faster at one end of a range than at the other.',
    { source: 'Snoek et al. 2014' },
  ),
  lengthPrior: field(
    z.enum(LENGTH_PRIORS).default('optuna'),
    'Prior of the length scales, which are fitted by maximum a posteriori. optuna: none is very long. log-normal: longer in more dimensions. saas: most parameters have no effect, for many of them; its posterior density is maximized and not sampled by NUTS as in its paper.',
    { source: 'Optuna GPSampler; Hvarfner et al. 2024 for log-normal; Eriksson and Jankowiak 2021 for saas' },
  ),
  maxRows: field(z.int().min(100).max(6000).default(3000), 'Trials in the model; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

/**
 * Hyperparameters, how many rows there were when they were fitted, the standardization, and what the means of earlier sessions
 * are to be multiplied by.
 */
type Fit = { rows: number; theta: Float64Array; center: number; scale: number; factors?: Float64Array }
/** Which model: that with all tasks, or that of this session alone. */
type Which = 'fit' | 'alone'

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
  fit: Fit | null
  /** Where there are earlier sessions: the fit without them, how many suggestions came, and how many of the best trials. */
  alone?: Fit
  turns?: number
  begun?: number
  scramble: RngState
  rng: RngState
}

type Memo = {
  encoding: Encoding
  dimensions: Dimensions
  extras: Extras
  /** Models of earlier sessions, and their best trials. */
  tasks: readonly Trend[]
  begin: readonly Params[]
  sobol?: (index: number) => Float64Array
  /** The rows that the rest was derived from: those of another state make it stale. */
  rows: readonly Row[]
  /** Keys of the first `counted` rows. */
  keys: Set<string>
  counted: number
  factors: { [which in Which]?: { theta: Float64Array; factor: Factor } }
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
/** Best trials of earlier sessions that are asked first, at most. */
const MOST_BEGUN = 3

function memoOf({ config, problem, earlier = [], memo }: Run<Config>, state: State): Memo {
  let known = memo.get('gp') as Memo | undefined
  if (known?.rows !== state.rows) {
    const encoding = encodingOf(problem.space as SearchSpace)
    const axes = [...encoding.axes.keys()]
    const dimensions = {
      ordered: axes.filter((i) => encoding.axes[i].ordered),
      unordered: axes.filter((i) => !encoding.axes[i].ordered),
    }
    const { outcomeTransform: outcome, lengthPrior: lengths } = config
    const sign = signOf(problem)
    const tasks = known?.tasks ?? earlierMeans(workspace(), encoding, dimensions, earlier, sign, { outcome, lengths })
    known = {
      encoding,
      dimensions,
      tasks,
      begin: bestOf(earlier, sign, Math.min(MOST_BEGUN, earlier.length)),
      extras: {
        tasks: tasks.length,
        warped: config.warp ? axes.filter((i) => encoding.axes[i].parameter.type === 'float') : [],
        lengths: config.lengthPrior,
      },
      sobol: encoding.dimension <= MAX_DIMENSION ? sobolSequence(encoding.dimension, state.scramble) : undefined,
      rows: state.rows,
      keys: new Set(),
      counted: 0,
      factors: {},
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

/** Rows under the outcome transform that the `known` ones give: those of a fit, so that it stays until the next. */
const toldIn = ({ outcomeTransform }: Config, known: readonly Row[], rows: readonly Row[]): Row[] =>
  transformed(rows, transformOf(outcomeTransform, known))

/** Fits the hyperparameters when the rows have grown enough or a value lies far outside of what was seen. */
function refit({ config }: Run<Config>, state: State, memo: Memo, which: Which): Fit {
  const { dimensions } = memo
  const { rows, [which]: fit } = state
  if (fit) {
    const due = rows.length >= Math.max(fit.rows + 1, Math.ceil(fit.rows * config.refitGrowth))
    const { center, scale } = fit
    const fresh = toldIn(config, rows.slice(0, fit.rows), rows.slice(fit.rows))
    const outlier = fresh.some(({ value }) => Math.abs(value / 2 - center / 2) > (OUTLIER / 2) * scale)
    if (!due && !outlier) return fit
  }
  const { tasks, extras } = modelOf(memo, which)
  const told = toldIn(config, rows, rows)
  const units = standardization(told)
  const data = standardized(subset(told, FIT_ROWS), units)
  const n = data.points.length
  const starts = fit ? [fit.theta] : []
  const d = dimensions.ordered.length + dimensions.unordered.length
  if (!fit || n <= MULTISTART_ROWS) starts.push(defaultTheta(d, extras))
  // As if there were no earlier sessions, too: the density may have a maximum there.
  if (tasks.length) {
    const alone = defaultTheta(d, extras)
    rhoOf(alone, d, extras).fill(0)
    starts.push(alone)
  }
  const spread = spreads(tasks, data.points)
  const means = tasks.map((mean, t) => Float64Array.from(data.points, (u) => mean.value(u) / spread[t]))
  const evaluations = Math.round(Math.min(60, Math.max(15, FIT_WORK / n ** 3)))
  const theta = fitHyperparameters(workspace(), dimensions, { ...data, tasks: means }, starts, evaluations, extras)
  const factors = rhoOf(theta, d, extras).map((rho, t) => rho / spread[t])
  return (state[which] = { rows: rows.length, theta, ...units, ...(tasks.length > 0 && { factors }) })
}

const modelOf = ({ tasks, extras }: Memo, which: Which) =>
  which === 'fit' ? { tasks, extras } : { tasks: [], extras: { ...extras, tasks: 0 } }

/** A model of bent vectors, beside a trend, as one of vectors. */
const trended = (model: Predictor, warp: Warp, trend: Trend, { ordered }: Dimensions): Predictor => ({
  predict: (points, gradients) =>
    model
      .predict(
        points.map((u) => warp.at(u)),
        gradients,
      )
      .map(({ mean, variance, dMean, dVariance }, i) => {
        const u = points[i]
        const prediction = { mean: mean + trend.value(u), variance }
        if (!gradients) return prediction
        const slopes = warp.slopes(u)
        const unbent = (gradient: Float64Array) => gradient.map((g, axis) => g * slopes[axis])
        const slope = unbent(dMean!)
        trend.gradient(u).forEach((g, j) => {
          slope[ordered[j]] += g
        })
        return { ...prediction, dMean: slope, dVariance: unbent(dVariance!) }
      }),
})

/** The next `count` points by the model; fewer when its search finds no more. */
function suggest(run: Run<Config>, state: State, memo: Memo, rng: Rng, count: number): Params[] {
  const { config } = run
  const { encoding, dimensions } = memo
  const which = memo.tasks.length && (state.turns = (state.turns ?? 0) + 1) % 2 === 0 ? 'alone' : 'fit'
  const { tasks, extras } = modelOf(memo, which)
  const fit = refit(run, state, memo, which)
  const trend = combined(tasks, fit.factors ?? [])
  const warp = warpOf(fit.theta, encoding.dimension, extras)
  const told = toldIn(config, state.rows.slice(0, fit.rows), state.rows)
  const fitted = subset(told.slice(0, fit.rows), config.maxRows)
  const rows = [...fitted, ...told.slice(fit.rows)]
  const { values, noises } = standardized(rows, fit)
  const points = rows.map(({ u }) => warp.at(u))
  const trends = rows.map(({ u }) => trend.value(u))
  const open = Object.values(state.open).map(({ u }) => u)
  const failed = state.failed.map(({ u }) => u)
  const parallel = [...open, ...failed]
  return workspace().scope(() => {
    const room = rows.length + open.length + failed.length + count
    const model = new Surrogate(workspace(), dimensions, fit.theta, room)
    const known = memo.factors[which]
    const kept = known?.theta === fit.theta ? known.factor : undefined
    if (kept) model.restore(kept, points)
    else model.factorize(points.slice(0, fitted.length), noises)
    while (model.rows < rows.length) model.extend(points[model.rows], noises[model.rows])
    memo.factors[which] = { theta: fit.theta, factor: model.save(kept) }

    const residuals = values.map((value, i) => value - trends[i])
    const means = model.condition(residuals, noises).map((mean, i) => mean + trends[i])
    const whole = tasks.length ? trended(model, warp, trend, dimensions) : undefined
    const meanAt = (u: Float64Array) => (whole ?? model).predict([whole ? u : warp.at(u)], false)[0].mean
    const feasible = rows.flatMap(({ value }, i) => (Number.isNaN(value) ? [] : [i]))
    const ranked = (feasible.length ? feasible : [...means.keys()]).sort((a, b) => means[a] - means[b] || a - b)
    let incumbent = means[ranked[0]]
    const believe = (u: Float64Array) => {
      incumbent = Math.min(incumbent, meanAt(u))
      model.believe(warp.at(u))
    }
    for (const u of failed) model.believe(warp.at(u))
    for (const u of open) believe(u)
    const elites = ranked.slice(0, ELITES).map((i) => rows[i].u)
    const candidates = Math.round(Math.min(config.nCandidates, Math.max(256, SCREENING_WORK / rows.length ** 2)))
    const options = { candidates, starts: config.nStarts, maxEvaluations: MAX_ASCENT }
    const found: Params[] = []
    const rounded = roundedBy(encoding)
    const information = (model: Predictor, warp: Pick<Warp, 'at'>) => {
      const random = Array.from({ length: candidates }, () => rounded(uniform(encoding.dimension, rng)))
      const normals = model.predict(
        [...elites, ...random].map((u) => warp.at(u)),
        false,
      )
      return informationOver(gumbelMinima(normals, incumbent, MINIMA, rng), model)
    }
    while (found.length < count) {
      const worth = (model: Predictor, warp: Pick<Warp, 'at'>) =>
        config.acquisition === 'mes' ? information(model, warp) : improvementOver(incumbent, model)
      const acquisition = whole ? worth(whole, { at: (u) => u }) : warp.unbent(worth(model, warp))
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
  const { encoding, sobol, keys, begin } = memo
  const whole = Math.min(10, 2 * (encoding.dimension + 1))
  const nInitial = run.config.nInitial ?? (begin.length ? Math.ceil(whole / 2) : whole)
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
  for (let begun = state.begun ?? 0; begun < begin.length && queries.length < count; state.begun = ++begun) {
    const u = keyOf(encoding.encode(begin[begun]).u)
    if (!keys.has(u) && !open.has(u)) add(begin[begun])
  }
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
    {
      authors: 'J. Snoek, K. Swersky, R. Zemel, R. P. Adams',
      title: 'Input Warping for Bayesian Optimization of Non-Stationary Functions',
      year: 2014,
      url: 'https://arxiv.org/abs/1402.0929',
    },
    {
      authors: 'A. I. Cowen-Rivers et al.',
      title: 'HEBO: Pushing The Limits of Sample-Efficient Hyperparameter Optimisation',
      year: 2022,
      url: 'https://arxiv.org/abs/2012.03826',
    },
    {
      authors: 'Z. Wang, S. Jegelka',
      title: 'Max-value Entropy Search for Efficient Bayesian Optimization',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.01968',
    },
    {
      authors: 'D. Eriksson, M. Jankowiak',
      title: 'High-Dimensional Bayesian Optimization with Sparse Axis-Aligned Subspaces',
      year: 2021,
      url: 'https://arxiv.org/abs/2103.00349',
    },
    {
      authors: "M. C. Kennedy, A. O'Hagan",
      title: 'Predicting the Output from a Complex Computer Code When Fast Approximations Are Available',
      year: 2000,
      url: 'https://doi.org/10.1093/biomet/87.1.1',
    },
    {
      authors: 'C. Hvarfner, E. O. Hellsten, L. Nardi',
      title: 'Vanilla Bayesian Optimization Performs Great in High Dimensions',
      year: 2024,
      url: 'https://arxiv.org/abs/2402.02229',
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
    warmStart: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 40, target: 0.3985 },
    { problem: 'mixed', maxEvaluations: 40, target: 1e-4 },
    { problem: 'sphere-5d', maxEvaluations: 40, target: 0.01 },
  ],
  equations: ({ acquisition, warp }) => [
    String.raw`k(x, x') = \sigma^2 \left(1 + \sqrt{5}\,r + \tfrac{5}{3} r^2\right) e^{-\sqrt{5}\,r}, \quad r^2 = \sum_d (x_d - x'_d)^2 / \ell_d^2`,
    ...(warp ? [String.raw`x_d = 1 - (1 - u_d^{a_d})^{b_d}, \quad \log a_d, \log b_d \sim \mathcal{N}(0, 0.75)`] : []),
    ...(acquisition === 'mes'
      ? [
          String.raw`\gamma(x) = (\mu(x) - y^*) / s(x)`,
          String.raw`x_{n+1} = \arg\max_x \; \frac{1}{K} \sum_{y^*} \frac{\gamma\,\varphi(\gamma)}{2\,\Phi(\gamma)} - \log \Phi(\gamma)`,
        ]
      : [
          String.raw`z(x) = (f^* - \mu(x)) / s(x)`,
          String.raw`x_{n+1} = \arg\max_x \; \log s(x) + \log\left(\varphi(z) + z\,\Phi(z)\right)`,
        ]),
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
