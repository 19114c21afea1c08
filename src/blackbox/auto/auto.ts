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
import { bestEstimate, type Progress, readValues, startProgress } from '../space/progress.js'
import { INNER, type Member, type Plan, planFor } from './choose.js'
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
  /** State of the method of the stage, null where it is yet to begin, and of the one beside it, null where there is none. */
  inner: Tree
  beside: Tree
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

type Memo = { plan: Plan; encoding?: Encoding; run: Run<unknown>; beside?: Run<unknown>; stage: number }

function memoOf(run: Run<Config>, stage: number): Memo {
  let memo = run.memo.get('auto') as Memo | undefined
  if (memo?.stage !== stage) {
    const plan = memo?.plan ?? planFor(run.problem, run.config.maxEvaluations)
    const { beside, ...own } = plan.stages[stage]
    const encoding = plan.local ? encodingOf(run.problem.space as SearchSpace) : undefined
    const runOf = ({ id, config }: Member) => ({
      ...run,
      config: parseConfig(INNER[id].config, config),
      memo: new Map(),
    })
    memo = { plan, encoding, stage, run: runOf(own), beside: beside && runOf(beside) }
    run.memo.set('auto', memo)
  }
  return memo
}

/** Passes events on to the methods of the stage, each as it knows them. */
function pass(run: Run<Config>, state: State, eventsFor: (member: string) => readonly Event[]): void {
  const memo = memoOf(run, state.stage)
  const { id, beside } = memo.plan.stages[state.stage]
  const events = eventsFor(id)
  if (events.length > 0) state.inner = INNER[id].step(memo.run, state.inner, events).state
  const others = beside ? eventsFor(beside.id) : []
  if (beside && others.length > 0) state.beside = INNER[beside.id].step(memo.beside!, state.beside, others).state
}

/** The methods of the stage begin, and are told all that is known. */
function begin(run: Run<Config>, state: State): void {
  const memo = memoOf(run, state.stage)
  const { id, beside } = memo.plan.stages[state.stage]
  state.inner = INNER[id].init(memo.run, state.seed)
  state.beside = beside ? INNER[beside.id].init(memo.beside!, state.seed) : null
  const events = state.known.map(({ params, observation }, i): Event => {
    const id = `known${i}`
    const query: Query = { id, points: [{ kind: 'params', params }], wants: [{ kind: 'value' }] }
    return { type: 'observation', query, observation: { ...observation, queryId: id } }
  })
  pass(run, state, () => events)
}

/** The next stage: its method begins, or goes on where it was beside the last one. */
function advance(run: Run<Config>, state: State): void {
  const { plan } = memoOf(run, state.stage)
  const { beside } = plan.stages[state.stage++]
  if (beside?.id === plan.stages[state.stage].id) [state.inner, state.beside] = [state.beside, null]
  else begin(run, state)
  if (isLast(plan, state.stage)) state.known = []
}

const isLast = ({ stages }: Plan, stage: number) => stage + 1 === stages.length

function tell(run: Run<Config>, state: State, event: Extract<Event, { type: 'observation' }>): void {
  const { plan, encoding } = memoOf(run, state.stage)
  const { query, observation } = event
  const owner = state.open[query.id]
  delete state.open[query.id]
  const before = state.progress.best
  const readings = readValues(state.progress, run.problem, event)
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
  pass(run, state, (member) => {
    const id = owner?.by === member ? owner.id : `told ${query.id}`
    return [{ ...event, query: { ...query, id }, observation: { ...observation, queryId: id } }]
  })
}

/**
 * A descent from the best point that is not near to where others have ended; where it only `polishes`, from the best of all
 * points or none.
 */
function descend({ rows, minima }: State, polishes: boolean): TrustRegion | null {
  const far = ({ u }: Told) => minima.every((v) => v.some((x, i) => Math.abs(x - u[i]) > BASIN))
  let from: Told | undefined
  for (const row of rows)
    if (
      Number.isFinite(row.value) &&
      !(row.value >= (from?.value ?? Number.POSITIVE_INFINITY)) &&
      (polishes || far(row))
    )
      from = row
  return from && (!polishes || far(from)) ? startRegion(from) : null
}

/** Whether the next point is one of the descent. */
function isLocal(state: State, { plan, encoding }: Memo): boolean {
  if (!plan.local || !encoding || state.noisy) return false
  const d = encoding.dimension
  if (state.rows.length < d + 2) return false
  // A search distribution learns the scales of the function from all that it asks: it is not held up by a descent that gets
  // nowhere, nor by one from a point that is not the best.
  const polishes = isLast(plan, state.stage)
  if (state.region && (state.region.radius < MIN_RADIUS || (polishes && state.region.idle > 2 * d))) {
    state.minima.push(state.region.center)
    state.region = null
  }
  state.region ??= descend(state, polishes)
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
  const isOther = memo.beside && state.turn % 2 === 0
  const [member, part, innerRun] = isOther
    ? ([stage.beside!, 'beside', memo.beside!] as const)
    : ([stage, 'inner', memo.run] as const)
  const outcome = INNER[member.id].step(innerRun, state[part], [{ type: 'capacity', count: 1 }])
  state[part] = outcome.state
  const [query] = outcome.queries
  if (!query) return { short: outcome.short }
  state.open[name] = { by: member.id, id: query.id }
  state.progress.asked++
  return { query: { ...query, id: name, purpose: `${member.id}: ${member.why}` } }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const queries: Query[] = []
  let short: Outcome<State>['short']
  if (state.inner === null) begin(run, state)
  for (const event of events) {
    if (event.type === 'observation') tell(run, state, event)
    else if (event.type === 'report') {
      const owner = state.open[event.query.id]
      if (owner)
        pass(run, state, (member) =>
          owner.by === member ? [{ ...event, query: { ...event.query, id: owner.id } }] : [],
        )
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
  version: 5,
  stateVersion: 3,
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
    const state: State = {
      progress: startProgress(),
      rng: rngStream(seed, 'auto'),
      seed,
      stage: 0,
      inner: null,
      beside: null,
      rows: [],
      known: [],
      region: null,
      minima: [],
      noisy: false,
      open: {},
      credit: {},
      turn: 0,
    }
    begin(run, state)
    return state
  },
  step,
  estimate(run, state): Estimate {
    const { plan, run: innerRun } = memoOf(run, state.stage)
    if (state.inner === null) return bestEstimate(state.progress, run.problem)
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
  // Methods begin anew with what is known, and the descent from the best point: plans differ between versions.
  migrate: (_, tree) => ({ ...(tree as unknown as State), inner: null, beside: null, region: null, open: {} }),
})
