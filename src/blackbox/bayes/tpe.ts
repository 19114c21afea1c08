/**
 * The tree-structured Parzen estimator (TPE), multivariate.
 * J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011;
 * S. Watanabe, arXiv:2304.11127 (what each component does), with the defaults of Optuna 5's TPESampler.
 *
 * The best min(ceil(gamma n), maxGood) trials give the density l, all others g; of some draws from l the one with the
 * largest l / g is asked. Parameters under the same condition share a joint density, so each active group of a
 * conditional space is drawn from the trials that had it. Pending points count as bad, which keeps parallel asks apart
 * (constant liar). What is good of one or several objectives, and under constraints, is in tpe-split.ts; infeasible points
 * without values are bad, and so are pruned ones of several objectives. Of earlier sessions the best trials are asked first.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { bestOf } from '../space/earlier.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { EXHAUSTED, freshPoint, uniformPoint } from '../space/fresh.js'
import { type Front, frontEstimate, readFront, startFront } from '../space/front.js'
import { type Progress, signOf } from '../space/progress.js'
import { grown } from '../space/rows.js'
import { Parzen } from './parzen.js'
import { Row, type Rows, Side, split } from './tpe-split.js'

const config = z.strictObject({
  startupTrials: field(z.int().min(1).default(10), 'Told points before the model is used; random until then.', {
    source: 'Optuna',
  }),
  candidates: field(z.int().min(1).max(1000).default(24), 'Draws from the good density per suggestion.', {
    source: 'arXiv:2304.11127; Optuna',
  }),
  gamma: field(z.number().positive().max(1).default(0.1), 'Share of trials that count as good.', { source: 'Optuna' }),
  maxGood: field(z.int().min(1).max(1000).default(25), 'Most trials that count as good.', { source: 'Optuna' }),
  priorWeight: field(z.number().positive().default(1), 'Weight of the prior against one trial.', { source: 'Optuna' }),
  multivariate: field(z.boolean().default(true), 'Model parameters jointly rather than one by one.', {
    source: 'arXiv:2304.11127; Optuna 5',
  }),
  avoidRepeats: field(
    z.boolean().default(false),
    'Never ask a point of a finite space twice, unless it failed or was cancelled.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

type State = Rows & {
  /** Queries issued; points that values were told of; those of them that are the estimate. */
  asked: number
  told: number
  front: Front
  rng: RngState
  /** Rows that are neither open nor dropped. */
  finished: number
  /** Coordinates by row (NaN where inactive). */
  u: Float64Array
  /** Rows of open queries. */
  open: { [queryId: string]: number }
  /** Of the best trials of earlier sessions, how many were asked. */
  begun?: number
}

/** Points of the front that are kept. */
const MAX_FRONT = 500

/** Parameters that are always active together, and the densities over them. */
type Group = { columns: number[]; good: Parzen; bad: Parzen }
/** Densities of the rows as of the last suggestion, with the rows that they were made of. */
type Memo = {
  encoding: Encoding
  groups: Group[]
  side: Uint8Array
  u: Float64Array
  /** The best trials of earlier sessions, which are asked first: half of the startup. */
  begin: readonly Params[]
}

function memoOf({ config, problem, earlier = [], memo }: Run<Config>): Memo {
  const known = memo.get('tpe') as Memo | undefined
  if (known) return known
  const encoding = encodingOf(problem.space as SearchSpace)
  const columns = new Map<string, number[]>()
  encoding.axes.forEach(({ size, parameter: { condition, name } }, i) => {
    if (size === 1) return
    const key = config.multivariate ? JSON.stringify(condition ?? null) : name
    columns.set(key, [...(columns.get(key) ?? []), i])
  })
  const groups = [...columns.values()].map((columns) => {
    const density = () =>
      new Parzen(
        columns.map((i) => encoding.axes[i]),
        config.priorWeight,
        config.candidates,
      )
    return { columns, good: density(), bad: density() }
  })
  const begin = bestOf(earlier, signOf(problem), Math.ceil(config.startupTrials / 2))
  const made = { encoding, groups, side: new Uint8Array(0), u: new Float64Array(0), begin }
  memo.set('tpe', made)
  return made
}

function append(state: State, { encode, dimension }: Encoding, objectives: number, params: Params): number {
  const row = state.rows++
  if (row === state.kind.length) {
    state.u = grown(state.u, 2 * row * dimension)
    state.value = grown(state.value, 2 * row * objectives)
    state.violation = grown(state.violation, 2 * row)
    state.lastStep = grown(state.lastStep, 2 * row)
    state.kind = grown(state.kind, 2 * row)
  }
  const { u, active } = encode(params)
  for (let i = 0; i < dimension; i++) state.u[row * dimension + i] = active[i] ? u[i] : Number.NaN
  state.lastStep[row] = -1
  return row
}

/** Moves kernels until the densities are those of the state's rows. */
function synchronize(memo: Memo, { gamma, maxGood }: Config, objectives: number, state: State): void {
  const { groups, encoding } = memo
  const { dimension: d } = encoding
  const room = Math.min(Math.ceil(gamma * state.finished), maxGood)
  const { side, weights } = split(state, room, objectives)
  const common = Math.min(side.length, memo.side.length) * d
  const unchanged = Buffer.compare(bytesOf(state.u, common), bytesOf(memo.u, common)) === 0
  const same = (row: number) => {
    for (let i = row * d; i < (row + 1) * d; i++) if (!Object.is(state.u[i], memo.u[i])) return false
    return true
  }
  const each = (row: number, u: Float64Array, act: (group: Group, x: number[]) => void) => {
    for (const group of groups) {
      const x = group.columns.map((i) => u[row * d + i])
      if (!Number.isNaN(x[0])) act(group, x)
    }
  }
  const densityOf = (group: Group, s: number) => (s === Side.good ? group.good : group.bad)
  for (let row = 0; row < Math.max(side.length, memo.side.length); row++) {
    const before = row < memo.side.length ? memo.side[row] : Side.none
    const after = row < side.length ? side[row] : Side.none
    if (before === after && (unchanged || after === Side.none || same(row))) continue
    if (before) each(row, memo.u, (group) => densityOf(group, before).remove(row))
    if (after) each(row, state.u, (group, x) => densityOf(group, after).insert(row, x))
  }
  for (const { good } of groups) good.weigh(weights)
  memo.side = side
  if (!unchanged || memo.u.length !== state.u.length) memo.u = state.u.slice()
  else memo.u.set(state.u.subarray(common, side.length * d), common)
}

const bytesOf = (array: Float64Array, length: number) => new Uint8Array(array.buffer, array.byteOffset, 8 * length)

/** Coordinates of one suggestion: per active group the best of some draws from its good density. */
function suggest({ encoding, groups }: Memo, candidates: number, rng: Rng): Params {
  const u = new Float64Array(encoding.dimension).fill(0.5)
  for (const { columns, good, bad } of groups) {
    if (!Object.hasOwn(encoding.decode(u), encoding.axes[columns[0]].parameter.name)) continue
    const k = columns.length
    const x = new Float64Array(candidates * k)
    for (let c = 0; c < candidates; c++) good.sample(rng, x.subarray(c * k, (c + 1) * k))
    const l = new Float64Array(candidates)
    const g = new Float64Array(candidates)
    good.logDensity(x, l)
    bad.logDensity(x, g)
    let best = 0
    for (let c = 1; c < candidates; c++) if (l[c] - g[c] > l[best] - g[best]) best = c
    columns.forEach((i, j) => {
      u[i] = x[best * k + j]
    })
  }
  return encoding.decode(u)
}

/** Whether a point was asked or told, and not dropped. */
function isKnown({ u, kind, rows }: State, encoding: Encoding, params: Params): boolean {
  const { u: x, active } = encoding.encode(params)
  for (let row = 0; row < rows; row++) {
    if (kind[row] === Row.dropped) continue
    let i = 0
    while (i < x.length && Object.is(u[row * x.length + i], active[i] ? x[i] : Number.NaN)) i++
    if (i === x.length) return true
  }
  return false
}

/** The next point to ask, or undefined when repeats are avoided and no point is left. */
function next(run: Run<Config>, state: State, rng: Rng): Params | undefined {
  const { config } = run
  const memo = memoOf(run)
  const { encoding, begin } = memo
  for (let begun = state.begun ?? 0; begun < begin.length; ) {
    const params = begin[begun]
    state.begun = ++begun
    if (!isKnown(state, encoding, params)) return params
  }
  const useModel = state.finished >= config.startupTrials
  if (useModel) synchronize(memo, config, run.problem.objectives.length, state)
  const draw = () => (useModel ? suggest(memo, config.candidates, rng) : uniformPoint(encoding, rng))
  if (!config.avoidRepeats || !Number.isFinite(encoding.cardinality)) return draw()
  return freshPoint(
    encoding,
    (params) => isKnown(state, encoding, params),
    draw,
    (n) => Math.floor(rng.uniform() * n),
  )
}

function observe(
  { problem }: Run<Config>,
  state: State,
  encoding: Encoding,
  event: Extract<Event, { type: 'observation' }>,
): void {
  const m = problem.objectives.length
  const known = state.open[event.query.id]
  delete state.open[event.query.id]
  for (const { point, status, values, violation } of readFront(state.front, problem, event, MAX_FRONT)) {
    if (status === 'ok') state.told++
    if (point.kind !== 'params') continue
    const dropped = status === 'failed' || status === 'cancelled'
    if (known === undefined && dropped) continue
    const row = known ?? append(state, encoding, m, point.params)
    // What a pruned point reported last stands when its observation carries no value.
    if (values.length > 0) state.value.set(values, row * m)
    else if (known === undefined || state.lastStep[row] < 0)
      state.value.fill(Number.POSITIVE_INFINITY, row * m, (row + 1) * m)
    const pruned = m === 1 ? Row.pruned : Row.infeasible
    state.violation[row] = status === 'ok' ? violation : 0
    if (dropped) state.kind[row] = Row.dropped
    else if (status === 'pruned') state.kind[row] = pruned
    else state.kind[row] = status === 'ok' && violation > 0 ? Row.violating : Row[status]
    if (!dropped) state.finished++
  }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const { encoding } = memoOf(run)
  const objectives = run.problem.objectives.length
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    if (event.type === 'observation') observe(run, state, encoding, event)
    else if (event.type === 'report') {
      const row = state.open[event.query.id]
      if (row === undefined || objectives > 1 || event.step < state.lastStep[row]) continue
      state.lastStep[row] = event.step
      state.value[row] = Number.isNaN(event.value) ? Number.POSITIVE_INFINITY : signOf(run.problem) * event.value
    } else if (event.type === 'capacity') {
      for (let i = 0; i < event.count && !exhausted; i++) {
        const params = next(run, state, rng)
        exhausted = !params
        if (!params) break
        const id = `q${state.asked++}`
        state.open[id] = append(state, encoding, objectives, params)
        queries.push({ id, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] })
      }
    }
  }
  return {
    state,
    queries,
    status: { phase: 'running' },
    short: exhausted ? { reason: EXHAUSTED, until: 'never' } : undefined,
  }
}

export const method = defineMethod<Config, State>({
  id: 'tpe',
  version: 2,
  stateVersion: 2,
  family: 'bayes',
  title: 'Tree-structured Parzen estimator',
  summary:
    'Asks where good trials are dense and bad ones are not. Takes every kind of parameter, several objectives, constraints, thousands of trials, parallel workers.',
  references: [
    {
      authors: 'J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl',
      title: 'Algorithms for Hyper-Parameter Optimization',
      year: 2011,
      url: 'https://papers.nips.cc/paper/4443-algorithms-for-hyper-parameter-optimization',
    },
    {
      authors: 'S. Watanabe',
      title:
        'Tree-Structured Parzen Estimator: Understanding Its Algorithm Components and Their Roles for Better Empirical Performance',
      year: 2023,
      url: 'https://arxiv.org/abs/2304.11127',
    },
    {
      authors: 'Y. Ozaki, Y. Tanigaki, S. Watanabe, M. Nomura, M. Onishi',
      title: 'Multiobjective Tree-Structured Parzen Estimator',
      year: 2022,
      url: 'https://doi.org/10.1613/jair.1.13188',
    },
    {
      authors: 'M. Feurer, J. T. Springenberg, F. Hutter',
      title: 'Initializing Bayesian Hyperparameter Optimization via Meta-Learning',
      year: 2015,
      url: 'https://doi.org/10.1609/aaai.v29i1.9354',
    },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
    objectives: 'many',
    constraints: true,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
    warmStart: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 150, target: 0.6 },
    { problem: 'sphere-5d', maxEvaluations: 150, target: 3 },
    { problem: 'mixed', maxEvaluations: 150, target: 0.06 },
    { problem: 'two-objectives', maxEvaluations: 200, target: 0.2 },
    { problem: 'two-constraints', maxEvaluations: 150, target: 0.62 },
  ],
  equations: () => [
    String.raw`l(x) = p(x \mid y \le y^{\gamma}), \quad g(x) = p(x \mid y > y^{\gamma})`,
    String.raw`x_{t+1} = \arg\max_{x \sim l} \; l(x) / g(x)`,
  ],
  needs: () => ['value'],
  init: ({ problem }, seed) => ({
    asked: 0,
    told: 0,
    front: startFront(),
    rng: rngStream(seed, 'tpe'),
    rows: 0,
    finished: 0,
    u: new Float64Array(16 * encodingOf(problem.space as SearchSpace).dimension),
    value: new Float64Array(16 * problem.objectives.length),
    violation: new Float64Array(16),
    lastStep: new Float64Array(16),
    kind: new Uint8Array(16),
    open: {},
  }),
  step,
  estimate({ problem }, { front, told }) {
    const estimate = frontEstimate(front, problem, told)
    return problem.objectives.length > 1 ? estimate : { ...estimate, kind: 'best' }
  },
  migrate(_, tree) {
    const { progress, ...rest } = tree as unknown as Omit<State, 'asked' | 'told' | 'front'> & { progress: Progress }
    const { asked, told, best } = progress
    const points = best ? [{ point: best.point, values: [best.value], trial: best.trial }] : []
    return { ...rest, asked, told, front: { points }, violation: new Float64Array(rest.kind.length) }
  },
})
