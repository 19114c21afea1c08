/**
 * Makes a method of a model that proposes points of a search space: some space-filling trials first, then the model's,
 * one or several at a time. What is common lives here: trials told in any order and of any status, open ones, points
 * never asked twice, finite spaces that end.
 *
 * An infeasible trial has the value NaN; a pruned one its last value; a failed one may be asked again after others.
 */
import type { Issue } from '../../core/errors.js'
import {
  defineMethod,
  type Estimate,
  type Facts,
  type Method,
  type Outcome,
  type Run,
  type Status,
} from '../../core/method.js'
import type { Event, Observation, Quantity, Query, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import type { Params, Problem, SearchSpace } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import type { Described } from '../../optimizers/turns.js'
import { MAX_DIMENSION, sobolSequence } from '../sampling/sobol.js'
import { bestOf } from '../space/earlier.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { freshPoint } from '../space/fresh.js'
import { type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import type { Trial } from './beliefs.js'
import { keyOf } from './search.js'
import type { Dimensions } from './surrogate.js'
import { bestTrial, trialEstimate, trialOf } from './trials.js'

export type SequentialState<S> = {
  progress: Progress
  /** Next Sobol' point. */
  index: number
  trials: Trial[]
  /** Observations of any status. */
  observed: number
  /** Recently failed points and the count of observations then. */
  failed: { u: Float64Array; at: number }[]
  /** Open queries by id, with the last reported value. */
  open: { [id: string]: { u: Float64Array; value: number } }
  /** The open query that is no trial but for the model. */
  model: string | null
  scramble: RngState
  rng: RngState
  own: S
  /** Of the best trials of earlier sessions, how many were asked. */
  begun?: number
}

/** What a model sees when it is asked for points. */
export type Scene<C, S> = {
  run: Run<C>
  encoding: Encoding
  dimensions: Dimensions
  trials: readonly Trial[]
  /** Points that are open or failed lately. */
  pending: readonly Float64Array[]
  /** Whether a point may be asked: not told, and not next to a pending one. */
  allowed(u: Float64Array): boolean
  rng: Rng
  own: S
}

/** Points to ask, at most as many as wanted; or something that the model has to know first; or why the method ends. */
export type Suggestion = Params[] | { ask: Pick<Query, 'points' | 'wants' | 'purpose'> } | { done: string }

export type Sequential<C, S extends Tree> = Omit<Described<C, S>, 'needs' | 'init' | 'estimate'> & {
  version?: number
  facts?: Partial<Facts>
  /** Space-filling trials before the model is asked; of methods with a warm start also the best trials of earlier sessions. */
  nInitial(config: C, problem: Problem, warm: boolean): number
  /** Arrays that are asked beside the value: `gradient` and `cost` are read into the trial. */
  quantities?(config: C, problem: Problem): readonly Quantity[]
  init(run: Run<C>, seed: number): S
  suggest(scene: Scene<C, S>, count: number): Suggestion
  /** What else may be wanted, and what becomes of an answer of status ok to a query of the model. */
  asks?(config: C): readonly Want[]
  answered?(scene: Scene<C, S>, observation: Observation): void
  /** The answer where it is not the best feasible trial. Without pending points, and with a random stream of its own. */
  recommend?(scene: Scene<C, S>): Estimate
}

/** Observations after which a failed point may be asked again. */
const COOLDOWN = 10
/** Points asked in parallel differ by this much, at least, in one coordinate. */
const SEPARATION = 1e-3
/** Best trials of earlier sessions that are asked first, at most. */
const MOST_BEGUN = 3

type Memo = {
  encoding: Encoding
  dimensions: Dimensions
  sobol?: (index: number) => Float64Array
  /** The trials that the keys are of: those of another state make them stale. */
  trials: readonly Trial[]
  keys: Set<string>
  counted: number
}

function memoOf<S>({ problem, memo }: Run<unknown>, { trials, scramble }: SequentialState<S>): Memo {
  let known = memo.get('sequential') as Memo | undefined
  if (known?.trials !== trials) {
    const encoding = encodingOf(problem.space as SearchSpace)
    const axes = [...encoding.axes.keys()]
    known = {
      encoding,
      dimensions: {
        ordered: axes.filter((i) => encoding.axes[i].ordered),
        unordered: axes.filter((i) => !encoding.axes[i].ordered),
      },
      sobol: encoding.dimension <= MAX_DIMENSION ? sobolSequence(encoding.dimension, scramble) : undefined,
      trials,
      keys: new Set(),
      counted: 0,
    }
    memo.set('sequential', known)
  }
  for (; known.counted < trials.length; known.counted++) known.keys.add(keyOf(trials[known.counted].u))
  return known
}

function tell<S>(
  { problem }: Run<unknown>,
  state: SequentialState<S>,
  event: Extract<Event, { type: 'observation' }>,
  memo: Memo,
) {
  const { query } = event
  const { encoding, dimensions } = memo
  const reported = state.open[query.id]?.value ?? Number.NaN
  delete state.open[query.id]
  readValues(state.progress, problem, event).forEach(({ point, status: told, value }, i) => {
    if (point.kind !== 'params') return
    const { params } = point
    const status = told === 'ok' && event.observation.values?.[i]?.some(Number.isNaN) ? 'failed' : told
    const { u } = encoding.encode(params)
    state.observed++
    const last = status === 'pruned' && !Number.isFinite(value) ? reported : value
    if (status === 'failed') state.failed.push({ u, at: state.observed })
    if (status === 'failed' || status === 'cancelled' || (status === 'pruned' && !Number.isFinite(last))) return
    state.trials.push(
      trialOf(problem, encoding, dimensions, event, i, params, status === 'infeasible' ? Number.NaN : last),
    )
  })
  state.failed = state.failed.filter(({ at }) => state.observed - at < COOLDOWN)
}

export function sequentialMethod<C, S extends Tree>(spec: Sequential<C, S>): Method<C, SequentialState<S> & Tree> {
  type State = SequentialState<S> & Tree

  const wants = (config: C, problem: Problem): Want[] => {
    const quantities = spec.quantities?.(config, problem) ?? []
    return quantities.length ? [{ kind: 'value' }, { kind: 'quantities', quantities }] : [{ kind: 'value' }]
  }

  /** The best trials of earlier sessions, which are asked first. */
  const beginOf = ({ earlier = [], problem }: Run<C>): Params[] =>
    spec.facts?.warmStart ? bestOf(earlier, signOf(problem), Math.min(MOST_BEGUN, earlier.length)) : []

  function sceneOf(run: Run<C>, state: State, rng: Rng): Scene<C, S> {
    const { encoding, dimensions, keys } = memoOf(run, state)
    const pending = [...Object.values(state.open), ...state.failed].map(({ u }) => u)
    const apart = (u: Float64Array) => pending.every((v) => u.some((x, i) => Math.abs(x - v[i]) >= SEPARATION))
    const allowed = (u: Float64Array) => !keys.has(keyOf(u)) && apart(u)
    return { run, encoding, dimensions, trials: state.trials, pending, allowed, rng, own: state.own }
  }

  function ask(run: Run<C>, state: State, count: number): { queries: Query[]; done?: string; waits?: true } {
    const { encoding, sobol, keys } = memoOf(run, state)
    const rng = new Rng(state.rng)
    const open = new Set(Object.values(state.open).map(({ u }) => keyOf(u)))
    const queries: Query[] = []
    const add = (params: Params) => {
      const { u } = encoding.encode(params)
      const id = `q${state.progress.asked++}`
      state.open[id] = { u, value: Number.NaN }
      open.add(keyOf(u))
      queries.push({ id, points: [{ kind: 'params', params }], wants: wants(run.config, run.problem) })
    }
    const known = (params: Params) => [keys, open].some((set) => set.has(keyOf(encoding.encode(params).u)))
    const addFresh = (draw: () => Params) => {
      const params = freshPoint(encoding, known, draw, (n) => Math.floor(rng.uniform() * n))
      if (params) add(params)
      return params !== undefined
    }
    const uniform = () => encoding.decode(encoding.axes.map(() => rng.uniform()))
    const next = sobol ? () => encoding.decode(sobol(state.index++)) : uniform
    const begin = beginOf(run)
    const left = spec.nInitial(run.config, run.problem, begin.length > 0) - state.trials.length - open.size
    const initial = state.trials.length ? Math.min(count, left) : count
    for (let begun = state.begun ?? 0; begun < begin.length && queries.length < count; state.begun = ++begun)
      if (!known(begin[begun])) add(begin[begun])
    while (queries.length < initial && addFresh(next));
    if (queries.length < count && state.trials.length) {
      if (state.model !== null) return { queries, waits: true }
      const suggestion = spec.suggest(sceneOf(run, state, rng), count - queries.length)
      if ('done' in suggestion) return { queries, done: suggestion.done }
      if ('ask' in suggestion) {
        state.model = `m${state.progress.asked++}`
        queries.push({ id: state.model, ...suggestion.ask })
        return { queries, waits: true }
      }
      suggestion.forEach(add)
    }
    while (queries.length < count && addFresh(uniform));
    return { queries }
  }

  function step(run: Run<C>, state: State, events: readonly Event[]): Outcome<State> {
    const queries: Query[] = []
    let status: Status = { phase: 'running' }
    let exhausted = false
    let waits = false
    for (const event of events) {
      if (event.type === 'observation' && event.query.id === state.model) {
        state.model = null
        const { observation } = event
        if (observation.status === 'ok') spec.answered?.(sceneOf(run, state, new Rng(state.rng)), observation)
      } else if (event.type === 'observation') tell(run, state, event, memoOf(run, state))
      else if (event.type === 'report' && state.open[event.query.id])
        state.open[event.query.id].value = signOf(run.problem) * event.value
      else if (event.type === 'capacity') {
        const asked = ask(run, state, event.count)
        if (asked.done) status = { phase: 'done', reason: asked.done }
        waits = asked.waits ?? false
        exhausted = !asked.done && !waits && asked.queries.length < event.count
        queries.push(...asked.queries)
      }
    }
    if (waits) return { state, queries, status, short: { reason: 'the model waits for an answer', until: 'tell' } }
    if (!exhausted) return { state, queries, status }
    const until = Object.keys(state.open).length ? 'tell' : 'never'
    return { state, queries, status, short: { reason: 'every point of the finite space was told or is open', until } }
  }

  return defineMethod<C, State>({
    id: spec.id,
    version: spec.version ?? 1,
    stateVersion: 1,
    family: 'bayes',
    title: spec.title,
    summary: spec.summary,
    references: spec.references,
    config: spec.config,
    recipes: spec.recipes,
    equations: spec.equations,
    facts: {
      spaces: ['search'],
      parameters: ['float', 'int', 'categorical', 'ordinal', 'conditional', 'constrained'],
      objectives: 'one',
      constraints: false,
      parallel: true,
      unsolicited: 'accept',
      invariances: [],
      heavy: true,
      ...spec.facts,
    },
    needs: (config, problem) => [
      ...new Set([...wants(config, problem), ...(spec.asks?.(config) ?? [])].map(({ kind }) => kind)),
    ],
    check: (config, problem): Issue[] => spec.check?.(config, problem) ?? [],
    init: (run, seed) =>
      ({
        progress: startProgress(),
        index: 0,
        trials: [],
        observed: 0,
        failed: [],
        open: {},
        model: null,
        scramble: rngStream(seed, 'scramble'),
        rng: rngStream(seed, spec.id),
        own: spec.init(run, seed),
      }) as State,
    step,
    estimate(run, state) {
      if (!spec.recommend || !state.trials.length)
        return trialEstimate(run.problem, state.trials, bestTrial(state.trials))
      return spec.recommend({ ...sceneOf(run, state, new Rng(rngStream(0, 'recommend'))), pending: [] })
    },
  })
}
