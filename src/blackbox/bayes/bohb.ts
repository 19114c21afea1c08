/**
 * BOHB: model-based search over several budgets, to go with the pruner `hyperband`.
 * S. Falkner, A. Klein, F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018,
 * arXiv:1807.01774, algorithm 2 and equations 2 and 3.
 *
 * Budgets are the ends of the pruner's rungs, minResource * reductionFactor^k, and the complete trial. What a trial
 * reports first at or after the end of a rung counts at its budget, what it is told ok with counts as complete. The model is
 * that of the highest budget with N_min + 2 values: the best N_l = max(N_min, gamma N) make the density l, the worst
 * N_g = max(N_min, N - N_l) make g, and of some draws from l (with wider kernels) the one with the largest l / g is asked.
 * A share of the points is uniform. An infeasible trial is worse than any at the budgets it did not reach, a pruned one
 * counts at those it did. Parameters that are not active take values of other trials (HpBandSter).
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { uniformPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import { Density } from './kde.js'

const PAPER = 'arXiv:1807.01774'
const config = z.strictObject({
  minResource: field(z.int().min(1).default(1), 'The step at which the first rung ends, as the pruner has it.', {
    source: `${PAPER} (b_min)`,
  }),
  maxResource: field(
    z.int().min(1).optional(),
    'Steps of a full trial, as the pruner has it. Rungs that end later are no budgets; without it every rung is one.',
    { source: `${PAPER} (b_max)` },
  ),
  reductionFactor: field(z.int().min(2).default(3), 'The ratio of budgets, as the pruner has it.', {
    source: `${PAPER} (eta)`,
  }),
  randomFraction: field(
    z
      .number()
      .min(0)
      .max(1)
      .default(1 / 3),
    'Share of points that are uniform.',
    {
      source: `${PAPER} (rho)`,
    },
  ),
  gamma: field(z.number().positive().max(1).default(0.15), 'Share of trials that count as good.', {
    source: `${PAPER} (q)`,
  }),
  candidates: field(z.int().min(1).max(1000).default(64), 'Draws from the good density per suggestion.', {
    source: `${PAPER} (N_s)`,
  }),
  bandwidthFactor: field(z.number().positive().default(3), 'Draws have bandwidths wider by this factor.', {
    source: `${PAPER} (b_w)`,
  }),
  minBandwidth: field(z.number().positive().max(1).default(1e-3), 'The least bandwidth.', { source: 'HpBandSter' }),
  minPoints: field(
    z.int().min(2).optional(),
    'Least trials in each density (N_min); one more than the coordinates of the space when absent.',
    { source: PAPER },
  ),
})
type Config = z.infer<typeof config>

/** What is known at one budget: coordinates (NaN where inactive) and values to minimize. */
type Level = { points: Float64Array[]; values: number[] }
type Suggestion = { u: Float64Array; ratio: number }
type State = {
  progress: Progress
  rng: RngState
  rungs: Level[]
  complete: Level
  infeasible: { u: Float64Array; rung: number }[]
  /** Rungs that each running trial has ended. */
  ended: { [queryId: string]: number }
}

const encodingFor = ({ problem, memo }: Run<Config>): Encoding => {
  const encoding = (memo.get('encoding') as Encoding) ?? encodingOf(problem.space as SearchSpace)
  memo.set('encoding', encoding)
  return encoding
}

function coordinates({ encode }: Encoding, params: Params): Float64Array {
  const { u, active } = encode(params)
  return u.map((x, i) => (active[i] ? x : Number.NaN))
}

function add({ points, values }: Level, u: Float64Array, value: number): void {
  points.push(u)
  values.push(value)
}

function report(run: Run<Config>, state: State, event: Extract<Event, { type: 'report' }>): void {
  const { minResource, maxResource = Number.POSITIVE_INFINITY, reductionFactor } = run.config
  const [point] = event.query.points
  if (point.kind !== 'params') return
  for (let rung = state.ended[event.query.id] ?? 0; ; rung++) {
    const end = minResource * reductionFactor ** rung
    if (event.step < end || end > maxResource) return
    state.rungs[rung] ??= { points: [], values: [] }
    add(state.rungs[rung], coordinates(encodingFor(run), point.params), signOf(run.problem) * event.value)
    state.ended[event.query.id] = rung + 1
  }
}

function observe(run: Run<Config>, state: State, event: Extract<Event, { type: 'observation' }>): void {
  const rung = state.ended[event.query.id] ?? 0
  delete state.ended[event.query.id]
  for (const { point, status, value } of readValues(state.progress, run.problem, event)) {
    if (point.kind !== 'params') continue
    const u = coordinates(encodingFor(run), point.params)
    if (status === 'ok') add(state.complete, u, value)
    if (status === 'infeasible') state.infeasible.push({ u, rung })
  }
}

/** Vectors without gaps: an inactive coordinate is that of a random other vector that has it, or uniform. */
const imputed = (points: readonly Float64Array[], rng: Rng): Float64Array[] =>
  points.map((u) =>
    u.map((x, i) => {
      if (!Number.isNaN(x)) return x
      const known = points.filter((v) => !Number.isNaN(v[i]))
      return known.length > 0 ? known[rng.integer(known.length)][i] : rng.uniform()
    }),
  )

/** The densities of good and of bad trials at the highest budget that has enough of them. */
function densities(run: Run<Config>, state: State, rng: Rng): { good: Density; bad: Density } | undefined {
  const { axes } = encodingFor(run)
  const { gamma, minBandwidth, minPoints = axes.length + 1 } = run.config
  const levels = [...state.rungs, state.complete]
  const highest = levels.findLastIndex(({ values }) => values.length >= minPoints + 2)
  if (highest < 0) return undefined
  const { points, values } = levels[highest]
  const order = [...values.keys()].sort((a, b) => (values[a] === values[b] ? a - b : values[a] < values[b] ? -1 : 1))
  const lost = state.infeasible.filter(({ rung }) => rung <= highest).map(({ u }) => u)
  const ranked = [...order.map((i) => points[i]), ...lost]
  const nGood = Math.max(minPoints, Math.floor(gamma * ranked.length))
  const nBad = Math.max(minPoints, ranked.length - nGood)
  const density = (chosen: Float64Array[]) => new Density(axes, imputed(chosen, rng), minBandwidth)
  return { good: density(ranked.slice(0, nGood)), bad: density(ranked.slice(-nBad)) }
}

function suggest(run: Run<Config>, state: State, rng: Rng): Params {
  const encoding = encodingFor(run)
  const { candidates, bandwidthFactor, randomFraction } = run.config
  const model = rng.uniform() < randomFraction ? undefined : densities(run, state, rng)
  if (!model) return uniformPoint(encoding, rng)
  let best: Suggestion = { u: new Float64Array(0), ratio: Number.NEGATIVE_INFINITY }
  for (let i = 0; i < candidates; i++) {
    const u = model.good.sample(rng, bandwidthFactor)
    const ratio = model.good.logDensity(u) - model.bad.logDensity(u)
    if (i === 0 || ratio > best.ratio) best = { u, ratio }
  }
  return encoding.decode(best.u)
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  for (const event of events) {
    if (event.type === 'report') report(run, state, event)
    else if (event.type === 'observation') observe(run, state, event)
    else if (event.type === 'capacity')
      for (let i = 0; i < event.count; i++)
        queries.push(askValue(state.progress, { kind: 'params', params: suggest(run, state, rng) }))
  }
  return { state, queries, status: { phase: 'running' } }
}

export const method = defineMethod<Config, State>({
  id: 'bohb',
  version: 1,
  stateVersion: 1,
  family: 'bayes',
  title: 'BOHB',
  summary:
    'Learns from intermediate values: models the highest budget that enough trials have reached. Runs with the pruner hyperband of the same minResource, maxResource and reductionFactor. Never waits.',
  references: [
    {
      authors: 'S. Falkner, A. Klein, F. Hutter',
      title: 'BOHB: Robust and Efficient Hyperparameter Optimization at Scale',
      year: 2018,
      url: 'https://arxiv.org/abs/1807.01774',
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
    invariances: ['monotone-values'],
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 200, target: 0.8 },
    { problem: 'mixed', maxEvaluations: 200, target: 0.1 },
  ],
  equations: () => [
    String.raw`l(x) = p(y < \alpha \mid x, D_b), \quad g(x) = p(y > \alpha \mid x, D_b), \quad b = \arg\max\{|D_b| \ge N_{\min} + 2\}`,
    String.raw`N_{b,l} = \max(N_{\min}, q N_b), \quad N_{b,g} = \max(N_{\min}, N_b - N_{b,l})`,
    String.raw`x_{t+1} = \arg\max_{x \sim l'} \; l(x) / g(x)`,
  ],
  needs: () => ['value'],
  check: ({ minResource, maxResource }) =>
    maxResource !== undefined && maxResource < minResource
      ? [{ path: 'config.maxResource', message: `expected at least minResource, ${minResource}, got ${maxResource}` }]
      : [],
  init: (_, seed) => ({
    progress: startProgress(),
    rng: rngStream(seed, 'bohb'),
    rungs: [],
    complete: { points: [], values: [] },
    infeasible: [],
    ended: {},
  }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
