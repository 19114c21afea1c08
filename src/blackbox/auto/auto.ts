/**
 * A method that chooses methods: by the problem at first (choose.ts), then by how many values there are and what each
 * member of the team has found. Members see every value, whoever asked for it.
 * The race of a global model with local descent is that of Y. Diouane, V. Picheny, R. Le Riche, A. Scotto Di Perrotolo,
 * "TREGO: a Trust-Region Framework for Efficient Global Optimization", J. Global Optim. 2023; restarts of the descent avoid
 * minima already found, as in A. H. G. Rinnooy Kan, G. T. Timmer, "Stochastic global optimization methods", Math. Program. 39,
 * 1987.
 *
 * Every query says in its purpose which member asked and why.
 */
import { z } from 'zod'
import { defineMethod, type Estimate, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field, parseConfig } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { type Progress, readValues, startProgress } from '../space/progress.js'
import { INNER, type Plan, planFor } from './choose.js'
import { learn, MIN_RADIUS, propose, startRegion, type Told, type TrustRegion } from './trust-region.js'

const config = z.strictObject({
  maxEvaluations: field(
    z.int().min(1).optional(),
    'How many evaluations there will be, where that is known: no member is chosen that needs more.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  rng: RngState
  seed: number
  stage: number
  /** State of the method of the stage. */
  inner: Tree
  /** What was told, where the descent may use it. */
  rows: Told[]
  /** All that was told, for the methods of later stages. */
  known: { params: Params; observation: Observation }[]
  region: TrustRegion | null
  /** Where descents have ended. */
  minima: Float64Array[]
  /** Whether values differ where the point is the same, or came with a noise. */
  noisy: boolean
  /** Asked by whom, and the id that it has there. */
  open: { [id: string]: { by: string; id: string } }
  /** Evaluations and improvements of the best by member. */
  credit: { [member: string]: { told: number; won: number } }
  turn: number
}

const LOCAL = 'trust-region'
/** Distance from a minimum found within which no new descent begins. */
const BASIN = 0.1

type Memo = { plan: Plan; encoding?: Encoding; run: Run<unknown>; stage: number }

function memoOf(run: Run<Config>, stage: number): Memo {
  let memo = run.memo.get('auto') as Memo | undefined
  if (memo?.stage !== stage) {
    const plan = memo?.plan ?? planFor(run.problem, run.config.maxEvaluations)
    const { id, config } = plan.stages[stage]
    const encoding = plan.local ? encodingOf(run.problem.space as SearchSpace) : undefined
    memo = { plan, encoding, stage, run: { ...run, config: parseConfig(INNER[id].config, config), memo: new Map() } }
    run.memo.set('auto', memo)
  }
  return memo
}

/** The method of the next stage begins, and is told all that is known. */
function advance(run: Run<Config>, state: State): void {
  state.stage++
  const memo = memoOf(run, state.stage)
  const method = INNER[memo.plan.stages[state.stage].id]
  state.inner = method.init(memo.run, state.seed)
  const events = state.known.map(({ params, observation }, i): Event => {
    const id = `known${i}`
    const query: Query = { id, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }
    return { type: 'observation', query, observation: { ...observation, queryId: id } }
  })
  state.inner = method.step(memo.run, state.inner, events).state
  if (isLast(memo.plan, state.stage)) state.known = []
}

const isLast = ({ stages }: Plan, stage: number) => stage + 1 === stages.length

function tell(run: Run<Config>, state: State, event: Extract<Event, { type: 'observation' }>): void {
  const { plan, encoding, run: innerRun } = memoOf(run, state.stage)
  const { query, observation } = event
  const owner = state.open[query.id]
  delete state.open[query.id]
  const before = state.progress.best
  const readings = readValues(state.progress, run.problem, event)
  const { id } = plan.stages[state.stage]
  const by = owner?.by ?? 'client'
  state.credit[by] ??= { told: 0, won: 0 }
  state.credit[by].told++
  if (state.progress.best !== before) state.credit[by].won++
  const { status } = observation
  const [point] = query.points
  if (!isLast(plan, state.stage) && point.kind === 'params' && status !== 'cancelled')
    state.known.push({ params: point.params, observation })
  if (encoding)
    for (const { point, status, value } of readings) {
      if (point.kind !== 'params' || status !== 'ok') continue
      const told = { u: encoding.encode(point.params).u, value }
      state.noisy ||= (observation.noise?.[0]?.[0] ?? 0) > 0
      state.noisy ||= state.rows.some((row) => row.value !== value && row.u.every((x, i) => x === told.u[i]))
      state.rows.push(told)
      if (state.region) learn(state.region, query.id, told, state.rows)
    }
  // One that failed has taught the descent nothing.
  if (state.region) delete state.region.open[query.id]
  const known = { ...query, id: owner?.by === id ? owner.id : `told ${query.id}` }
  const inner: Event = { ...event, query: known, observation: { ...observation, queryId: known.id } }
  state.inner = INNER[id].step(innerRun, state.inner, [inner]).state
}

/** A descent from the best point that is not near to where others have ended. */
function begin(state: State): void {
  const far = (u: Float64Array) => state.minima.every((v) => v.some((x, i) => Math.abs(x - u[i]) > BASIN))
  const from = state.rows
    .filter(({ u, value }) => Number.isFinite(value) && far(u))
    .reduce<Told | undefined>((best, row) => (!best || row.value < best.value ? row : best), undefined)
  if (from) state.region = startRegion(from)
}

/** Whether the next point is one of the descent. */
function isLocal(state: State, { plan, encoding }: Memo): boolean {
  if (!plan.local || !encoding || state.noisy) return false
  const d = encoding.dimension
  if (state.rows.length < d + 2) return false
  if (state.region && state.region.radius < MIN_RADIUS) {
    state.minima.push(state.region.center)
    state.region = null
  }
  if (!state.region) begin(state)
  if (!state.region || Object.keys(state.region.open).length > 0) return false
  return state.region.idle > 2 * d ? state.turn % 2 === 0 : state.turn % 3 !== 0
}

function ask(run: Run<Config>, state: State): { query?: Query; short?: Outcome<State>['short'] } {
  const memo = memoOf(run, state.stage)
  const { plan, encoding } = memo
  const stage = plan.stages[state.stage]
  state.turn++
  const name = `q${state.progress.asked}`
  if (isLocal(state, memo)) {
    const rng = new Rng(state.rng)
    const region = state.region as TrustRegion
    const { u, asked } = propose(region, state.rows, rng)
    const params = (encoding as Encoding).decode(u)
    region.open[name] = asked
    state.open[name] = { by: LOCAL, id: name }
    state.progress.asked++
    const why = Number.isNaN(asked.expected) ? 'fills a gap of its model' : 'the minimum of a quadratic model'
    const purpose = `${LOCAL}: ${why} within ${region.radius.toPrecision(2)} of the best`
    return { query: { id: name, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }], purpose } }
  }
  const outcome = INNER[stage.id].step(memo.run, state.inner, [{ type: 'capacity', count: 1 }])
  state.inner = outcome.state
  const [query] = outcome.queries
  if (!query) return { short: outcome.short }
  state.open[name] = { by: stage.id, id: query.id }
  state.progress.asked++
  return { query: { ...query, id: name, purpose: `${stage.id}: ${stage.why}` } }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const queries: Query[] = []
  let short: Outcome<State>['short']
  for (const event of events) {
    if (event.type === 'observation') tell(run, state, event)
    else if (event.type === 'report') {
      const owner = state.open[event.query.id]
      const { plan, run: innerRun } = memoOf(run, state.stage)
      const { id } = plan.stages[state.stage]
      if (owner?.by === id)
        state.inner = INNER[id].step(innerRun, state.inner, [
          { ...event, query: { ...event.query, id: owner.id } },
        ]).state
    } else if (event.type === 'capacity') {
      const { plan } = memoOf(run, state.stage)
      while (state.progress.told >= plan.stages[state.stage].until && !isLast(plan, state.stage)) advance(run, state)
      for (let i = 0; i < event.count; i++) {
        const asked = ask(run, state)
        short = asked.short
        if (!asked.query) break
        queries.push(asked.query)
      }
    }
  }
  return { state, queries, status: { phase: 'running' }, short }
}

export const method = defineMethod<Config, State>({
  id: 'auto',
  version: 3,
  stateVersion: 2,
  family: 'bayes',
  title: 'Automatic choice of a method',
  summary:
    'Chooses methods by the space, the objectives and the budget, lets them race on the same values, and says with every point who asked and why.',
  references: [
    {
      authors: 'Y. Diouane, V. Picheny, R. Le Riche, A. Scotto Di Perrotolo',
      title: 'TREGO: a Trust-Region Framework for Efficient Global Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2101.06808',
    },
  ],
  config,
  facts: {
    spaces: ['search', 'tensors'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
    objectives: 'many',
    constraints: true,
    parallel: true,
    unsolicited: 'accept',
    invariances: [],
    heavy: true,
    warmStart: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 40, target: 0.398 },
    { problem: 'mixed', maxEvaluations: 40, target: 1e-4 },
    { problem: 'sphere-5d', maxEvaluations: 40, target: 1e-6 },
  ],
  needs: () => ['value'],
  check: ({ maxEvaluations }, problem) =>
    planFor(problem, maxEvaluations).stages.length
      ? []
      : [{ path: 'space', message: 'no member of auto takes this space with these objectives and constraints' }],
  init(run, seed) {
    const memo = memoOf(run, 0)
    return {
      progress: startProgress(),
      rng: rngStream(seed, 'auto'),
      seed,
      stage: 0,
      inner: INNER[memo.plan.stages[0].id].init(memo.run, seed),
      rows: [],
      known: [],
      region: null,
      minima: [],
      noisy: false,
      open: {},
      credit: {},
      turn: 0,
    }
  },
  step,
  estimate(run, state): Estimate {
    const { plan, run: innerRun } = memoOf(run, state.stage)
    const estimate = INNER[plan.stages[state.stage].id].estimate(innerRun, state.inner)
    const metrics: Record<string, number> = { ...estimate.metrics, stage: state.stage }
    for (const [member, { told, won }] of Object.entries(state.credit)) {
      metrics[`${member} evaluations`] = told
      metrics[`${member} improvements`] = won
    }
    if (state.region) metrics.radius = state.region.radius
    const { best, told } = state.progress
    if (estimate.kind !== 'best' || !best) return { ...estimate, metrics }
    const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
    return {
      kind: 'best',
      points: [{ point: best.point, values: [sign * best.value], trial: best.trial }],
      step: told,
      metrics,
    }
  },
  // The descent begins anew from the best point.
  migrate: (_, tree) => ({ ...(tree as unknown as State), region: null }),
})
