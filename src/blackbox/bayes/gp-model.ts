/** The state of `gp`, and the hyperparameters of its models, which are fitted as the trials grow. */
import type { Run } from '../../core/method.js'
import type { RngState } from '../../core/rng.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import { bestOf } from '../space/earlier.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { type Progress, signOf } from '../space/progress.js'
import { type Row, standardization, standardized, subset } from './data.js'
import { defaultTheta, type Extras, fitHyperparameters, rhoOf } from './fit.js'
import type { Config } from './gp-options.js'
import { transformed, transformOf } from './outcome.js'
import { keyOf } from './search.js'
import type { Dimensions, Factor } from './surrogate.js'
import { earlierMeans, spreads, type Trend } from './tasks.js'

/**
 * Hyperparameters, how many rows there were when they were fitted, the standardization, and what the means of earlier sessions
 * are to be multiplied by.
 */
export type Fit = { rows: number; theta: Float64Array; center: number; scale: number; factors?: Float64Array }
/** Which model: that with all tasks, or that of this session alone. */
export type Which = 'fit' | 'alone'

export type State = {
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

export type Memo = {
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
/** A value this many standard deviations away asks for a new fit at once. */
const OUTLIER = 10
/** Best trials of earlier sessions that are asked first, at most. */
const MOST_BEGUN = 3

export function memoOf({ config, problem, earlier = [], memo }: Run<Config>, state: State): Memo {
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

/** Rows under the outcome transform that the `known` ones give: those of a fit, so that it stays until the next. */
export const toldIn = ({ outcomeTransform }: Config, known: readonly Row[], rows: readonly Row[]): Row[] =>
  transformed(rows, transformOf(outcomeTransform, known))

/** Fits the hyperparameters when the rows have grown enough or a value lies far outside of what was seen. */
export function refit({ config }: Run<Config>, state: State, memo: Memo, which: Which): Fit {
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

export const modelOf = ({ tasks, extras }: Memo, which: Which) =>
  which === 'fit' ? { tasks, extras } : { tasks: [], extras: { ...extras, tasks: 0 } }
