/**
 * The tree-structured Parzen estimator (TPE), multivariate.
 * J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011;
 * S. Watanabe, arXiv:2304.11127 (what each component does), with the defaults of Optuna 5's TPESampler.
 *
 * The best min(ceil(gamma n), maxGood) trials give the density l, all others g; of some draws from l the one with the
 * largest l / g is asked. Parameters under the same condition share a joint density, so each active group of a
 * conditional space is drawn from the trials that had it. Pending points count as bad, which keeps parallel asks apart
 * (constant liar). Pruned points rank after completed ones, those that ran longer first; infeasible ones are bad.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { EXHAUSTED, freshPoint, uniformPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import { grown } from '../space/rows.js'
import { Parzen } from './parzen.js'

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

/** What became of a row. Dropped rows failed or were cancelled. */
const Row = { open: 0, ok: 1, pruned: 2, infeasible: 3, dropped: 4 } as const
const Side = { none: 0, good: 1, bad: 2 } as const

type State = {
  progress: Progress
  rng: RngState
  /** Points asked or told. */
  rows: number
  /** Rows that are neither open nor dropped. */
  finished: number
  /** By row: coordinates (NaN where inactive), value, last reported step (-1 before any). The arrays have room to grow. */
  u: Float64Array
  value: Float64Array
  lastStep: Float64Array
  kind: Uint8Array
  /** Rows of open queries. */
  open: { [queryId: string]: number }
}

/** Parameters that are always active together, and the densities over them. */
type Group = { columns: number[]; good: Parzen; bad: Parzen }
/** Densities of the rows as of the last suggestion, with the rows that they were made of. */
type Memo = { encoding: Encoding; groups: Group[]; side: Uint8Array; u: Float64Array }

function memoOf({ config, problem, memo }: Run<Config>): Memo {
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
  const made = { encoding, groups, side: new Uint8Array(0), u: new Float64Array(0) }
  memo.set('tpe', made)
  return made
}

function append(state: State, { encode, dimension }: Encoding, params: Params): number {
  const row = state.rows++
  if (row === state.value.length) {
    state.u = grown(state.u, 2 * row * dimension)
    state.value = grown(state.value, 2 * row)
    state.lastStep = grown(state.lastStep, 2 * row)
    state.kind = grown(state.kind, 2 * row)
  }
  const { u, active } = encode(params)
  for (let i = 0; i < dimension; i++) state.u[row * dimension + i] = active[i] ? u[i] : Number.NaN
  state.lastStep[row] = -1
  return row
}

/** Whether row a is better than row b: completed, then pruned ones; ties go to the older. */
function better({ kind, value, lastStep }: State, a: number, b: number): boolean {
  if (kind[a] !== kind[b]) return kind[a] < kind[b]
  if (kind[a] === Row.pruned && lastStep[a] !== lastStep[b]) return lastStep[a] > lastStep[b]
  return value[a] < value[b] || (value[a] === value[b] && a < b)
}

/** The side of every row. */
function split({ gamma, maxGood }: Config, state: State): Uint8Array {
  const { kind, value, rows, finished } = state
  const side = new Uint8Array(rows)
  const room = Math.min(Math.ceil(gamma * finished), maxGood)
  const good: number[] = []
  // Of completed rows, values above this one are not good: most of many rows need no closer look.
  let bar = Number.POSITIVE_INFINITY
  for (let row = 0; row < rows; row++) {
    side[row] = kind[row] === Row.dropped ? Side.none : Side.bad
    if (kind[row] === Row.ok ? value[row] > bar : kind[row] !== Row.pruned) continue
    if (good.length === room && !better(state, row, good[room - 1])) continue
    let at = good.length
    while (at > 0 && better(state, row, good[at - 1])) at--
    good.splice(at, 0, row)
    if (good.length > room) good.pop()
    const last = good[room - 1]
    if (last !== undefined && kind[last] === Row.ok) bar = value[last]
  }
  for (const row of good) side[row] = Side.good
  return side
}

/** Moves kernels until the densities are those of the state's rows. */
function synchronize(memo: Memo, config: Config, state: State): void {
  const { groups, encoding } = memo
  const { dimension: d } = encoding
  const side = split(config, state)
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
  const { encoding } = memo
  const useModel = state.finished >= config.startupTrials
  if (useModel) synchronize(memo, config, state)
  const draw = () => (useModel ? suggest(memo, config.candidates, rng) : uniformPoint(encoding, rng))
  if (!config.avoidRepeats || !Number.isFinite(encoding.cardinality)) return draw()
  return freshPoint(
    encoding,
    (params) => isKnown(state, encoding, params),
    draw,
    (n) => Math.floor(rng.uniform() * n),
  )
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const { encoding } = memoOf(run)
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    if (event.type === 'observation') {
      const known = state.open[event.query.id]
      delete state.open[event.query.id]
      for (const { point, status, value } of readValues(state.progress, run.problem, event)) {
        if (point.kind !== 'params') continue
        const dropped = status === 'failed' || status === 'cancelled'
        if (known === undefined && dropped) continue
        const row = known ?? append(state, encoding, point.params)
        // What a pruned point reported last stands when its observation carries no value.
        if (!Number.isNaN(value)) state.value[row] = value
        else if (known === undefined || state.lastStep[row] < 0) state.value[row] = Number.POSITIVE_INFINITY
        state.kind[row] = dropped ? Row.dropped : Row[status]
        if (!dropped) state.finished++
      }
    } else if (event.type === 'report') {
      const row = state.open[event.query.id]
      if (row === undefined || event.step < state.lastStep[row]) continue
      state.lastStep[row] = event.step
      state.value[row] = Number.isNaN(event.value) ? Number.POSITIVE_INFINITY : signOf(run.problem) * event.value
    } else if (event.type === 'capacity') {
      for (let i = 0; i < event.count && !exhausted; i++) {
        const params = next(run, state, rng)
        exhausted = !params
        if (!params) break
        const query = askValue(state.progress, { kind: 'params', params })
        state.open[query.id] = append(state, encoding, params)
        queries.push(query)
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
  version: 1,
  stateVersion: 1,
  family: 'bayes',
  title: 'Tree-structured Parzen estimator',
  summary:
    'Asks where good trials are dense and bad ones are not. Takes every kind of parameter, thousands of trials, parallel workers.',
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
    { problem: 'branin', maxEvaluations: 150, target: 0.6 },
    { problem: 'sphere-5d', maxEvaluations: 150, target: 3 },
    { problem: 'mixed', maxEvaluations: 150, target: 0.06 },
  ],
  equations: () => [
    String.raw`l(x) = p(x \mid y \le y^{\gamma}), \quad g(x) = p(x \mid y > y^{\gamma})`,
    String.raw`x_{t+1} = \arg\max_{x \sim l} \; l(x) / g(x)`,
  ],
  needs: () => ['value'],
  init: (run, seed) => ({
    progress: startProgress(),
    rng: rngStream(seed, 'tpe'),
    rows: 0,
    finished: 0,
    u: new Float64Array(16 * encodingOf(run.problem.space as SearchSpace).dimension),
    value: new Float64Array(16),
    lastStep: new Float64Array(16),
    kind: new Uint8Array(16),
    open: {},
  }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
