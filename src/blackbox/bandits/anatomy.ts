/**
 * Makes a bandit of a rule that chooses an arm and one that learns from its reward. Arms are the items of a space of items,
 * or the points of a search space (of an infinite one, a space-filling set). A round is a query for the value of one arm;
 * rewards are maximized inside.
 *
 * Where actions have features, these are those of the space, or are told anew in every round: a query at all arms for the
 * quantity `features` comes first, and its action is asked next. Rounds may overlap, and end in any order.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import {
  defineMethod,
  type Estimate,
  type Facts,
  type Method,
  type Outcome,
  type Recipe,
  type Reference,
  type Run,
} from '../../core/method.js'
import type { Event, Query, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { MAX_DIMENSION } from '../sampling/sobol.js'
import { signOf } from '../space/progress.js'
import { type Arms, armsOf } from './arms.js'

/** What a rule sees of a round. `x[arm]` are features, empty where the rule takes none. */
export type Round = { arms: readonly number[]; x: readonly Float64Array[]; rng: Rng }

/** The arm to play, why, what learning will need again, and what was thought of the arms (index by arm). */
export type Choice = {
  arm: number
  purpose: string
  note?: { [name: string]: number }
  means?: ArrayLike<number>
  bounds?: ArrayLike<number>
  metrics?: { [name: string]: number }
}

export type Bandit<C, S extends Tree> = {
  id: string
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  invariances?: Facts['invariances']
  heavy?: boolean
  /** Where the features of actions come from; absent for rules that take none. */
  features?(config: C): 'space' | 'told'
  /** Whether the mean reward of the best action of each round is told with a reward, for the pseudo-regret. */
  best?(config: C): boolean
  check?(config: C, problem: Problem): Issue[]
  init(run: Run<C>, arms: number, seed: number): S
  choose(run: Run<C>, own: S, round: Round): Choice
  learn(
    run: Run<C>,
    own: S,
    told: { arm: number; x: Float64Array; reward: number; note: { [name: string]: number } },
  ): void
}

type Played = { arm: number; x: Float64Array; note: { [name: string]: number } }
export type BanditState<S> = {
  own: S
  rng: RngState
  asked: number
  /** Rewards told, their sum, and the sum of the best mean rewards less them. */
  told: number
  reward: number
  regret: number
  /** Plays and mean reward of each arm. */
  plays: Float64Array
  means: Float64Array
  /** Arms that were found infeasible. */
  closed: number[]
  /** Features of rounds whose action is to be asked, in order; open queries for features, and for rewards. */
  waiting: Float64Array[][]
  contexts: { [queryId: string]: true }
  open: { [queryId: string]: Played }
  /** What was thought in the last round. */
  last: { arm: number; means: Float64Array; bounds: Float64Array; metrics: { [name: string]: number } } | null
}

/** Of at most so many arms, means and bounds are among the metrics. */
const SHOWN = 32

export const featuresField = field(
  z.enum(['space', 'told']).default('space'),
  'Where features of actions come from: the items (or unit coordinates of the points) of the space, or told in every round.',
  { source: 'ours' },
)
export const bestField = field(
  z.boolean().default(false),
  'With every reward, ask for the mean reward of the best action of its round: gives the pseudo-regret.',
  { source: 'ours' },
)

export function banditMethod<C, S extends Tree>(spec: Bandit<C, S>): Method<C, BanditState<S> & Tree> {
  type State = BanditState<S> & Tree

  const toldFeatures = (config: C) => spec.features?.(config) === 'told'
  const wants = (config: C): Want[] => {
    const quantity = { name: 'best', shape: [], description: 'Mean reward of the best action of this round.' }
    return spec.best?.(config)
      ? [{ kind: 'value' }, { kind: 'quantities', quantities: [quantity] }]
      : [{ kind: 'value' }]
  }
  const context: Want = {
    kind: 'quantities',
    quantities: [{ name: 'features', shape: [-1], description: 'Features of this action in this round.' }],
  }

  function memoArms({ problem, memo }: Run<C>): Arms {
    const arms = (memo.get('arms') as Arms | undefined) ?? armsOf(problem)
    memo.set('arms', arms)
    return arms
  }

  function play(run: Run<C>, state: State, x: readonly Float64Array[]): Query | undefined {
    const { points } = memoArms(run)
    const arms = [...points.keys()].filter((arm) => !state.closed.includes(arm))
    if (arms.length === 0) return undefined
    const choice = spec.choose(run, state.own, { arms, x, rng: new Rng(state.rng) })
    const { arm, purpose, note = {}, means = [], bounds = [], metrics = {} } = choice
    state.last = { arm, means: Float64Array.from(means), bounds: Float64Array.from(bounds), metrics }
    const id = `a${state.asked++}`
    state.open[id] = { arm, x: x[arm] ?? new Float64Array(0), note }
    return { id, points: [points[arm]], wants: wants(run.config), purpose }
  }

  function askContext(run: Run<C>, state: State): Query {
    const id = `c${state.asked++}`
    state.contexts[id] = true
    return { id, points: memoArms(run).points, wants: [context], purpose: 'context' }
  }

  function observe(run: Run<C>, state: State, { query, observation }: Extract<Event, { type: 'observation' }>) {
    const { status } = observation
    if (Object.hasOwn(state.contexts, query.id)) {
      delete state.contexts[query.id]
      const x = observation.quantities?.map(({ features }) => Float64Array.from(features))
      // Actions with features of unequal length cannot be compared: such a round is void.
      if (status === 'ok' && x?.every(({ length }) => length === x[0].length)) state.waiting.push(x)
      return
    }
    const arms = memoArms(run)
    const played = state.open[query.id]
    delete state.open[query.id]
    query.points.forEach((point, i) => {
      const arm = played?.arm ?? arms.index(point)
      if (arm < 0) return
      if (status === 'infeasible' && !state.closed.includes(arm)) state.closed.push(arm)
      const reward = -signOf(run.problem) * (observation.values?.[i]?.[0] ?? Number.NaN)
      if ((status !== 'ok' && status !== 'pruned') || !Number.isFinite(reward)) return
      state.told++
      state.reward += reward
      state.regret += -signOf(run.problem) * (observation.quantities?.[i]?.best?.[0] ?? Number.NaN) - reward
      state.plays[arm]++
      state.means[arm] += (reward - state.means[arm]) / state.plays[arm]
      spec.learn(run, state.own, { arm, x: played?.x ?? arms.x[arm], reward, note: played?.note ?? {} })
    })
  }

  function step(run: Run<C>, state: State, events: readonly Event[]): Outcome<State> {
    const told = toldFeatures(run.config)
    const queries: Query[] = []
    let closed = false
    for (const event of events) {
      if (event.type === 'observation') observe(run, state, event)
      if (event.type !== 'capacity') continue
      for (let i = 0; i < event.count && !closed; i++) {
        const x = told ? state.waiting.shift() : memoArms(run).x
        const query = x ? play(run, state, x) : askContext(run, state)
        if (query) queries.push(query)
        closed = !query
      }
    }
    const short = closed ? ({ reason: 'every arm was found infeasible', until: 'never' } as const) : undefined
    return { state, queries, status: { phase: 'running' }, short }
  }

  function check(config: C, problem: Problem): Issue[] {
    const issues = spec.check?.(config, problem) ?? []
    const { space } = problem
    if (space.kind === 'search' && space.parameters.length > MAX_DIMENSION)
      issues.push({
        path: 'space.parameters',
        message: `expected at most ${MAX_DIMENSION}, got ${space.parameters.length}`,
      })
    else if (space.kind === 'items' && spec.features?.(config) === 'space' && !space.items[0]?.features?.length)
      issues.push({
        path: 'space.items[0].features',
        message: `${spec.id} needs features of the items, or features: "told"`,
      })
    return issues
  }

  /** The arm of the best mean reward or, where features are told, the last one chosen. */
  function estimate(run: Run<C>, { told, reward, regret, plays, means, last }: State): Estimate {
    const arms = memoArms(run)
    const sign = -signOf(run.problem)
    const metrics: { [name: string]: number } = { ...last?.metrics }
    if (told) metrics.meanReward = (sign * reward) / told
    if (spec.best?.(run.config)) metrics.regret = regret
    if (last && last.means.length <= SHOWN)
      for (let i = 0; i < last.means.length; i++) {
        metrics[`mean ${arms.names[i]}`] = sign * last.means[i]
        if (i < last.bounds.length) metrics[`bound ${arms.names[i]}`] = sign * last.bounds[i]
      }
    const played = [...arms.points.keys()].filter((arm) => plays[arm] > 0)
    const best = toldFeatures(run.config)
      ? last?.arm
      : played.sort((a, b) => means[b] - means[a] || plays[b] - plays[a] || a - b)[0]
    if (best === undefined) return { kind: 'best', points: [], step: told, metrics }
    const values = plays[best] > 0 ? { values: [sign * means[best]] } : {}
    return { kind: 'best', points: [{ point: arms.points[best], ...values }], step: told, metrics }
  }

  return defineMethod<C, State>({
    id: spec.id,
    version: 1,
    stateVersion: 1,
    family: 'bandit',
    title: spec.title,
    summary: spec.summary,
    references: spec.references,
    config: spec.config,
    recipes: spec.recipes,
    equations: spec.equations,
    facts: {
      spaces: ['items', 'search'],
      parameters: ['float', 'int', 'categorical', 'ordinal', 'conditional', 'constrained'],
      objectives: 'one',
      constraints: false,
      parallel: true,
      unsolicited: 'accept',
      invariances: spec.invariances ?? [],
      ...(spec.heavy && { heavy: true }),
    },
    needs: (config) => [
      ...new Set([...wants(config), ...(toldFeatures(config) ? [context] : [])].map(({ kind }) => kind)),
    ],
    check,
    init(run, seed) {
      const arms = memoArms(run).points.length
      return {
        own: spec.init(run, arms, seed),
        rng: rngStream(seed, spec.id),
        asked: 0,
        told: 0,
        reward: 0,
        regret: 0,
        plays: new Float64Array(arms),
        means: new Float64Array(arms),
        closed: [],
        waiting: [],
        contexts: {},
        open: {},
        last: null,
      } as State
    },
    step,
    estimate,
  })
}
