/**
 * CMA-ES: the covariance matrix adaptation evolution strategy, with active update and IPOP restarts.
 * N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772 (figure 6, table 1; equations by number below);
 * A. Auger, N. Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size", CEC 2005.
 *
 * Only the order of values counts. Bounds are kept by reflection. Steps of integers and ordinals are kept from
 * vanishing, so that the search does not freeze on one value. A failed or cancelled member is drawn again; one that is
 * infeasible, or pruned without a value, ranks last.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { askValue, bestEstimate, type Progress, type Reading, readValues, startProgress } from '../space/progress.js'
import { type Box, boxOf, checkBox } from './box.js'
import {
  axes,
  constants,
  type Distribution,
  defaultPopulation,
  deviation,
  drawStep,
  isotropic,
  update,
  widen,
} from './cma.js'

const MAX_DIMENSION = 1000
/** Converged when no coordinate moves by more than this times the first step size. */
const TOLERANCE_X = 1e-12
/** A step size that has grown by this much diverges (B.3, TolXUp). */
const TOLERANCE_UP = 1e4
/** Largest condition number of the covariance (B.3, ConditionCov). */
const MAX_CONDITION = 1e14
/** Smallest standard deviation of discrete coordinates, in steps between their values. */
const MIN_STEPS = 0.2

const config = z.strictObject({
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
  restarts: field(
    z.int().min(0).default(9),
    'How often to start anew, with twice the population, after convergence. Then the method is done.',
    { source: 'pycma (IPOP)' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  rng: RngState
  restart: number
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

const remembered = <T>(memo: Map<string, unknown>, key: string, make: () => T): T => {
  if (!memo.has(key)) memo.set(key, make())
  return memo.get(key) as T
}
const boxFor = ({ memo, problem }: Run<Config>): Box => remembered(memo, 'box', () => boxOf(problem.space))
const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** What every restart sets anew (IPOP: twice the population, from a uniform point where there are bounds). */
function begin({ config }: Run<Config>, { start, dimension: n, low, high }: Box, restart: number, rng: Rng) {
  const lambda = (config.populationSize ?? defaultPopulation(n)) * 2 ** restart
  const bounded = Number.isFinite(high - low)
  const mean = restart > 0 && bounded ? start.map(() => low + rng.uniform() * (high - low)) : start.slice()
  return {
    restart,
    distribution: isotropic(mean, config.sigma),
    steps: new Float64Array(lambda * n),
    values: new Float64Array(lambda).fill(Number.NaN),
    waiting: range(lambda),
    open: {},
    recent: [],
  }
}

const row = ({ steps, distribution: { mean } }: State, member: number) =>
  steps.subarray(member * mean.length, (member + 1) * mean.length)

/** Draws a member and asks for the value of mean + sigma y (eq. 40). */
function ask(state: State, box: Box, member: number, rng: Rng): Query {
  const { mean, sigma } = state.distribution
  const y = row(state, member)
  drawStep(state.distribution, rng, y)
  const query = askValue(state.progress, box.point(mean.map((m, i) => m + sigma * y[i])))
  state.open[query.id] = member
  return query
}

/** Why this run of the strategy is over (B.3), if it is. Values are compared for equality only. */
function ended({ config }: Run<Config>, { distribution, recent, values }: State, box: Box): string | undefined {
  const { mean, sigma, pathC } = distribution
  const [smallest, largest] = axes(distribution)
  // Negated, so that NaN ends the run.
  if (!(largest ** 2 <= MAX_CONDITION * smallest ** 2)) return 'the covariance is ill-conditioned'
  if (!(sigma * largest <= TOLERANCE_UP * config.sigma)) return 'the step size diverges'
  const continuous = range(mean.length).filter((i) => box.spacing(i, mean[i]) === 0)
  const still = (i: number) =>
    Math.max(deviation(distribution, i), sigma * Math.abs(pathC[i])) <= TOLERANCE_X * config.sigma
  if (continuous.length > 0 && continuous.every(still)) return 'the steps vanish'
  if (continuous.some((i) => mean[i] === mean[i] + 0.2 * deviation(distribution, i)))
    return 'the steps are lost in rounding'
  const window = 10 + Math.ceil((30 * mean.length) / values.length)
  if (recent.length > window) recent.shift()
  if (recent.length === window && recent.every((value) => value === recent[0])) return 'the best value stays the same'
  return undefined
}

/** Takes what was told of a member; the last one of a generation moves the distribution. */
function tell(run: Run<Config>, state: State, box: Box, member: number, { status, value }: Reading, rng: Rng): void {
  const { values, waiting, open, distribution } = state
  if (status === 'failed' || status === 'cancelled') {
    waiting.push(member)
    return
  }
  values[member] = status === 'infeasible' || Number.isNaN(value) ? Number.POSITIVE_INFINITY : value
  if (waiting.length > 0 || Object.keys(open).length > 0) return

  const { mean } = distribution
  const lambda = values.length
  const order = range(lambda).sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b))
  state.recent.push(values[order[0]])
  // A generation without one usable value says nothing about where to go.
  if (values[order[0]] < Number.POSITIVE_INFINITY) {
    const rates = remembered(run.memo, `constants ${lambda}`, () => constants(mean.length, lambda, run.config.active))
    const steps = order.map((k) => row(state, k))
    update(distribution, steps, rates)
    mean.forEach((m, i) => {
      widen(distribution, i, MIN_STEPS * box.spacing(i, m))
    })
  }
  const reason = ended(run, state, box)
  if (reason && state.restart < run.config.restarts) Object.assign(state, begin(run, box, state.restart + 1, rng))
  else {
    state.done = reason ?? null
    state.waiting = range(lambda)
    values.fill(Number.NaN)
  }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const box = boxFor(run)
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  let missing = false
  for (const event of events) {
    if (event.type === 'observation') {
      const readings = readValues(state.progress, run.problem, event)
      const member = state.open[event.query.id]
      delete state.open[event.query.id]
      if (member !== undefined) tell(run, state, box, member, readings[0], rng)
    } else if (event.type === 'capacity') {
      const count = state.done ? 0 : Math.min(event.count, state.waiting.length)
      for (const member of state.waiting.splice(0, count)) queries.push(ask(state, box, member, rng))
      missing ||= count < event.count
    }
  }
  if (state.done) {
    const reason = `${state.done}, and no restart is left`
    return { state, queries, status: { phase: 'done', reason }, short: { reason, until: 'never' } }
  }
  const open = Object.keys(state.open).length
  const reason = `generation ${state.distribution.generation} waits for ${open} of its ${state.values.length} values`
  return {
    state,
    queries,
    status: { phase: 'running' },
    short: missing ? { reason, until: 'tell' } : undefined,
  }
}

export const method = defineMethod<Config, State>({
  id: 'cma-es',
  version: 1,
  stateVersion: 1,
  family: 'evolution',
  title: 'CMA-ES',
  summary:
    'Samples generations from a normal distribution that learns its mean, scale and covariance from the ranks of values.',
  references: [
    {
      authors: 'N. Hansen',
      title: 'The CMA Evolution Strategy: A Tutorial',
      year: 2016,
      url: 'https://arxiv.org/abs/1604.00772',
    },
    {
      authors: 'A. Auger, N. Hansen',
      title: 'A Restart CMA Evolution Strategy With Increasing Population Size',
      year: 2005,
      url: 'https://doi.org/10.1109/CEC.2005.1554902',
    },
  ],
  config,
  facts: {
    spaces: ['search', 'tensors'],
    parameters: ['float', 'int', 'ordinal'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 300, target: 0.398 },
    { problem: 'sphere-5d', maxEvaluations: 800, target: 1e-6 },
    { problem: 'rosenbrock', maxEvaluations: 1500, target: 1e-10 },
  ],
  equations: () => [
    String.raw`y_k \sim \mathcal{N}(0, C), \quad x_k = m + \sigma y_k`,
    String.raw`m \leftarrow m + \sigma \langle y \rangle_w, \quad \langle y \rangle_w = \sum_{i=1}^{\mu} w_i \, y_{i:\lambda}`,
    String.raw`p_\sigma \leftarrow (1 - c_\sigma) p_\sigma + \sqrt{c_\sigma (2 - c_\sigma) \mu_\mathrm{eff}} \; C^{-1/2} \langle y \rangle_w`,
    String.raw`\sigma \leftarrow \sigma \exp\left(\frac{c_\sigma}{d_\sigma} \left(\frac{\|p_\sigma\|}{E\|\mathcal{N}(0, I)\|} - 1\right)\right)`,
    String.raw`p_c \leftarrow (1 - c_c) p_c + h_\sigma \sqrt{c_c (2 - c_c) \mu_\mathrm{eff}} \; \langle y \rangle_w`,
    String.raw`C \leftarrow \left(1 + c_1 \delta(h_\sigma) - c_1 - c_\mu \sum_j w_j\right) C + c_1 p_c p_c^\top + c_\mu \sum_{i=1}^{\lambda} w_i^\circ \, y_{i:\lambda} y_{i:\lambda}^\top`,
  ],
  needs: () => ['value'],
  check: (_, { space }) => checkBox('cma-es', space, MAX_DIMENSION),
  init(run, seed) {
    const rng = new Rng(rngStream(seed, 'cma-es'))
    return {
      progress: startProgress(),
      rng: rng.state,
      done: null,
      ...begin(run, boxOf(run.problem.space), 0, rng),
    }
  },
  step,
  estimate(run, state) {
    const { distribution, restart, values } = state
    const { generation, sigma } = distribution
    const [smallest, largest] = axes(distribution)
    return {
      ...bestEstimate(state.progress, run.problem),
      metrics: { generation, sigma, axisRatio: largest / smallest, restart, populationSize: values.length },
    }
  },
})
