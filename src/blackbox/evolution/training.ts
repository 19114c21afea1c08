/**
 * A population of training runs: what the population-based methods of this folder share.
 * M. Jaderberg et al., "Population Based Training of Neural Networks", arXiv:1711.09846, algorithm 1 and section 4.1.1.
 *
 * A trial is one interval of training of one member. It begins from the checkpoint of its parent, the trial that the
 * query names: the member's own last one ("continue"), or that of a better member ("exploit"). Without a parent it begins
 * from scratch ("start"). The client keeps the checkpoints, under the numbers of their trials.
 *
 * Truncation selection: a member in the bottom share of the population exploits one of the top share, drawn uniformly,
 * and explores. A member whose last trial failed, was infeasible or was stopped has lost its run and exploits at once;
 * where nobody is left to copy it starts anew. A cancelled trial is asked again.
 *
 * A trial that was not asked for joins the population with its checkpoint: in place of the parent that it names, of a member
 * that has not begun, or of the worst.
 */
import { z } from 'zod'
import type { Outcome, Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { uniformPoint } from '../space/fresh.js'
import { askValue, type Progress, readValues, startProgress } from '../space/progress.js'

export const trainingFields = {
  populationSize: field(z.int().min(2).max(1000).default(10), 'Members of the population.', {
    source: 'arXiv:1711.09846 (4.2: 10 to 80)',
  }),
  quantile: field(
    z.number().positive().max(0.5).default(0.2),
    'Share of the population that is replaced, and that is copied.',
    { source: 'arXiv:1711.09846 (truncation selection)' },
  ),
  synchronous: field(
    z.boolean().default(false),
    'Wait until every member has trained its interval before any goes on.',
    { source: 'Ray Tune' },
  ),
}
export type TrainingConfig = { populationSize: number; quantile: number; synchronous: boolean }

/** `before`: the value that the interval begins with; NaN from scratch. */
export type Task = { params: Params; parent?: number; before: number; purpose: 'start' | 'continue' | 'exploit' }
export type Member = {
  /** Completed intervals, and the trial that holds the last checkpoint (-1: none). */
  intervals: number
  trial: number
  params: Params | null
  /** After the last interval, to minimize. Infinity: the run is lost. NaN: nothing is known. */
  value: number
  /** What it trains, or is to train next; and the id of the query that is out. */
  task: Task | null
  query: string
}
export type Training = { progress: Progress; rng: RngState; members: Member[] }

export const startTraining = ({ populationSize }: TrainingConfig, seed: number, stream: string): Training => ({
  progress: startProgress(),
  rng: rngStream(seed, stream),
  members: Array.from({ length: populationSize }, () => ({
    intervals: 0,
    trial: -1,
    params: null,
    value: Number.NaN,
    task: null,
    query: '',
  })),
})

export const encodingFor = ({ problem, memo }: Run<unknown>): Encoding => {
  const encoding = (memo.get('encoding') as Encoding) ?? encodingOf(problem.space as SearchSpace)
  memo.set('encoding', encoding)
  return encoding
}

export const isLost = ({ value }: Member) => value === Number.POSITIVE_INFINITY

/** The members of the top and of the bottom share, of those that have a value. */
export function truncation(members: readonly Member[], quantile: number): { top: Member[]; bottom: Member[] } {
  const ranked = members.filter(({ value }) => !Number.isNaN(value))
  ranked.sort((a, b) => (a.value === b.value ? 0 : a.value - b.value))
  const n = Math.min(Math.ceil(quantile * ranked.length), Math.floor(ranked.length / 2))
  return { top: ranked.slice(0, n), bottom: ranked.slice(ranked.length - n) }
}

/** New parameters for a member that copies `source`. */
export type Explore = (source: Member, member: Member, rng: Rng) => Params

function taskOf(run: Run<TrainingConfig>, { members }: Training, member: Member, explore: Explore, rng: Rng): Task {
  if (member.task) return member.task
  const alive = members.filter((m) => m.trial >= 0 && !isLost(m))
  const { top, bottom } = truncation(members, run.config.quantile)
  const sources = top.filter((m) => alive.includes(m))
  if (isLost(member) && sources.length === 0) sources.push(...alive)
  if ((isLost(member) || bottom.includes(member)) && sources.length > 0) {
    const source = sources[rng.integer(sources.length)]
    return { params: explore(source, member, rng), parent: source.trial, before: source.value, purpose: 'exploit' }
  }
  const { params, trial, value } = member
  if (params && !isLost(member)) return { params, parent: trial, before: value, purpose: 'continue' }
  return { params: uniformPoint(encodingFor(run), rng), before: Number.NaN, purpose: 'start' }
}

/** The free member that has trained least; undefined where none may go on. */
function nextMember({ synchronous }: TrainingConfig, members: readonly Member[]): Member | undefined {
  const least = members.reduce((n, { intervals }) => Math.min(n, intervals), Number.POSITIVE_INFINITY)
  return members
    .filter(({ query, intervals }) => query === '' && (!synchronous || intervals === least))
    .reduce<Member | undefined>((best, m) => (best && best.intervals <= m.intervals ? best : m), undefined)
}

/**
 * The member that a trial which nobody asked for belongs to, now at the trial's start: the one that it goes on from, or an
 * empty one, or the worst where the trial is better. Undefined where it has no place.
 */
function adopter(members: readonly Member[], parent: number | undefined, value: number): Member | undefined {
  const free = members.filter(({ task }) => !task)
  const from = parent === undefined ? undefined : free.find((m) => m.trial === parent && !isLost(m))
  if (from) return from
  const empty = free.find(({ params }) => !params)
  if (empty) return empty
  const worst = free.reduce<Member | undefined>((most, m) => (most && most.value >= m.value ? most : m), undefined)
  if (!worst || !(value < worst.value)) return undefined
  // It takes the place of an interval that the member has trained.
  worst.intervals--
  worst.value = Number.NaN
  return worst
}

/** Takes what was told; `learn` hears of every interval that ended well, with the value before it (NaN: from scratch). */
export function trained(
  run: Run<TrainingConfig>,
  { progress, members }: Training,
  event: Extract<Event, { type: 'observation' }>,
  learn: (member: Member, before: number) => void = () => {},
): void {
  const [{ status, value }] = readValues(progress, run.problem, event)
  const { id, parent, trial, points } = event.query
  const member = members.find(({ query }) => query === id)
  if (!member) {
    const [point] = points
    if (status !== 'ok' || trial === undefined || point.kind !== 'params') return
    const place = adopter(members, parent, value)
    if (!place) return
    const before = place.value
    Object.assign(place, { intervals: place.intervals + 1, trial, params: point.params, value })
    learn(place, before)
    return
  }
  const { params, before } = member.task as Task
  member.query = ''
  if (status === 'cancelled') return
  member.task = null
  member.intervals++
  member.value = status === 'ok' ? value : Number.POSITIVE_INFINITY
  member.params = params
  if (status !== 'ok') return
  member.trial = event.query.trial as number
  learn(member, before)
}

/** So many intervals to train, or fewer. */
export function train(run: Run<TrainingConfig>, state: Training, count: number, explore: Explore): Query[] {
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  while (queries.length < count) {
    // What a generation does is decided by the values at the end of the one before, whoever is asked first.
    const rested = state.members.every(({ task, intervals }) => !task && intervals === state.members[0].intervals)
    if (run.config.synchronous && rested)
      for (const member of state.members) member.task = taskOf(run, state, member, explore, rng)
    const member = nextMember(run.config, state.members)
    if (!member) break
    member.task = taskOf(run, state, member, explore, rng)
    const { params, parent, purpose } = member.task
    const query = { ...askValue(state.progress, { kind: 'params', params }), purpose }
    member.query = query.id
    queries.push(parent === undefined ? query : { ...query, parent })
  }
  return queries
}

export const BUSY: Outcome<never>['short'] = {
  reason: 'every member of the population that may go on is being trained',
  until: 'tell',
}
