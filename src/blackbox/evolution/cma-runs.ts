/**
 * The runs of CMA-ES: their settings, how one begins, when it is over, and what follows.
 * N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, B.3; A. Auger, N. Hansen, "A Restart CMA Evolution
 * Strategy With Increasing Population Size", CEC 2005 (IPOP); N. Hansen, "Benchmarking a BI-Population CMA-ES on the BBOB-2009
 * Function Testbed", GECCO 2009 (BIPOP).
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Rng, RngState } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Progress } from '../space/progress.js'
import type { Box } from './box.js'
import { axes, type Distribution, defaultPopulation, deviation, isotropic } from './cma.js'

/** Values that differ by this part of themselves are equal up to the rounding of the objective. */
const TOLERANCE_F = 1e-13
/** Converged when no coordinate moves by more than this times the first step size. */
const TOLERANCE_X = 1e-12
/** A step size that has grown by this much diverges (B.3, TolXUp). */
const TOLERANCE_UP = 1e4
/** Largest condition number of the covariance (B.3, ConditionCov). */
const MAX_CONDITION = 1e14
export const config = z.strictObject({
  sigma: field(
    z.number().positive().default(0.3),
    'First step size: a part of the range; of unbounded tensors absolute.',
    {
      source: 'arXiv:1604.00772, figure 6',
      log: true,
    },
  ),
  populationSize: field(
    z.int().min(4).max(100_000).optional(),
    'Points per generation; 4 + floor(3 ln n) when absent.',
    {
      source: 'arXiv:1604.00772, eq. 48',
    },
  ),
  active: field(z.boolean().default(true), 'Let the worse half push the covariance away (negative weights).', {
    source: 'arXiv:1604.00772, eq. 47',
    advanced: true,
  }),
  covariance: field(
    z.enum(['full', 'separable']).default('full'),
    'Learn all of the covariance, or its diagonal alone: faster, for many coordinates that hardly interact.',
    { source: 'Ros, Hansen 2008' },
  ),
  restarts: field(
    z.int().min(0).default(9),
    'How often to start anew with twice the population after convergence. Then the method is done.',
    { source: 'pycma (IPOP)' },
  ),
  restart: field(
    z.enum(['ipop', 'bipop']).default('ipop'),
    'Each restart with twice the population; or between those as many evaluations in runs with small populations and steps.',
    { source: 'Hansen 2009' },
  ),
  warmStart: field(
    z.boolean().default(false),
    'Begin where the best tenth of the points lies that were told before anything was asked: those of a similar task.',
    { source: 'Nomura et al. 2021' },
  ),
  margin: field(
    z.number().gt(0).max(0.5).optional(),
    'Probability alpha that integers and ordinals keep for other values; 1/(n lambda) when absent.',
    { source: 'Hamano et al. 2022', advanced: true },
  ),
})
export type Config = z.infer<typeof config>

export type State = {
  progress: Progress
  rng: RngState
  restart: number
  /** Whether this is a run with a small population, evaluations in such runs and in the others, and in this one. */
  small: boolean
  spent: { small: number; large: number; run: number; lastLarge: number }
  /** Points told before anything was asked, and their values, where the run is to begin from them. */
  known: { points: Float64Array[]; values: number[] }
  distribution: Distribution
  /** Steps y = (x - mean) / sigma of the generation, one a row, and their values: NaN until told. */
  steps: Float64Array
  values: Float64Array
  /** Members yet to be asked, and those asked by query id. */
  waiting: number[]
  open: { [queryId: string]: number }
  /** The best value of each of the last generations. */
  recent: number[]
  /** Why the last run ended, when no restart is left. */
  done: string | null
}

export const range = (n: number) => Array.from({ length: n }, (_, i) => i)

export const NOTHING_SPENT: State['spent'] = { small: 0, large: 0, run: 0, lastLarge: 0 }

/**
 * What every run sets anew: twice the population of the large run before, from a uniform point where there are bounds. BIPOP
 * gives small runs as many evaluations as large ones, with a random population between the two and a random first step.
 */
export function begin(
  { config }: Run<Config>,
  { start, dimension: n, low, high }: Box,
  restart: number,
  small: boolean,
  spent: State['spent'],
  rng: Rng,
) {
  const first = config.populationSize ?? defaultPopulation(n)
  const large = first * 2 ** restart
  const lambda = small ? Math.max(4, Math.floor(first * (large / 2 / first) ** (rng.uniform() ** 2))) : large
  const sigma = small ? config.sigma * 10 ** (-2 * rng.uniform()) : config.sigma
  const anew = restart > 0 && Number.isFinite(high - low)
  const mean = anew ? start.map(() => low + rng.uniform() * (high - low)) : start.slice()
  return {
    restart,
    small,
    spent: { ...spent, run: 0 },
    distribution: isotropic(mean, sigma, config.covariance === 'separable'),
    steps: new Float64Array(lambda * n),
    values: new Float64Array(lambda).fill(Number.NaN),
    waiting: range(lambda),
    open: {},
    recent: [],
  }
}

function equal(values: Iterable<number>): boolean {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const value of values) {
    least = Math.min(least, value)
    most = Math.max(most, value)
  }
  return most - least <= TOLERANCE_F * Math.max(Math.abs(least), Math.abs(most))
}

/** Why this run of the strategy is over (B.3), if it is. TolFun is relative: values may have any unit. */
export function ended(
  { config }: Run<Config>,
  { distribution, recent, values, small, spent }: State,
  box: Box,
): string | undefined {
  const { mean, sigma, pathC } = distribution
  const [smallest, largest] = axes(distribution)
  // Negated, so that NaN ends the run.
  if (!(largest ** 2 <= MAX_CONDITION * smallest ** 2)) return 'the covariance is ill-conditioned'
  if (!(sigma * largest <= TOLERANCE_UP * config.sigma)) return 'the step size diverges'
  const continuous = range(mean.length).filter((i) => !box.share(i, mean[i]))
  const still = (i: number) =>
    Math.max(deviation(distribution, i), sigma * Math.abs(pathC[i])) <= TOLERANCE_X * config.sigma
  if (continuous.length > 0 && continuous.every(still)) return 'the steps vanish'
  if (continuous.some((i) => mean[i] === mean[i] + 0.2 * deviation(distribution, i)))
    return 'the steps are lost in rounding'
  const window = 10 + Math.ceil((30 * mean.length) / values.length)
  if (recent.length > window) recent.shift()
  if (recent.length === window) {
    if (recent.every((value) => value === recent[0])) return 'the best value stays the same'
    if (equal(recent) && equal(values)) return 'values differ by their rounding alone'
  }
  if (small && spent.run >= spent.lastLarge / 2) return 'the small run has had its share'
  return undefined
}

/** Begins the next run: a small one does not count as a restart. Whether one is left. */
export function restart(run: Run<Config>, state: State, box: Box, rng: Rng): boolean {
  const { small, spent } = state
  if (small) spent.small += spent.run
  else {
    spent.large += spent.run
    spent.lastLarge = spent.run
  }
  // BIPOP: a small run follows while those have had less than the large ones.
  const smallNext = run.config.restart === 'bipop' && state.restart > 0 && spent.small < spent.large
  const next = smallNext ? state.restart : state.restart + 1
  if (next > run.config.restarts) return false
  Object.assign(state, begin(run, box, next, smallNext, spent, rng))
  return true
}
