/**
 * Makes a method of one that goes in generations: all members of a generation are asked, in any order and by any number
 * of clients, and the next generation is bred when all are answered. Members are vectors in the box of the space.
 *
 * A failed or cancelled member is asked again; one that is infeasible, or pruned without a value, has the value Infinity.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import {
  defineMethod,
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
import type { Problem, SpaceKind } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { flatOf } from '../../optimizers/flat.js'
import { bestEstimate, type Progress, readValues, signOf, startProgress } from '../space/progress.js'
import { type Box, boxOf, checkBox } from './box.js'

const MAX_DIMENSION = 100_000

/** A field of every method in generations. */
export const pointsPerQuery = field(
  z.int().min(1).default(1),
  'Members asked in one query; more than one only of tensors, where a client evaluates them together.',
  { source: 'ours', advanced: true },
)
export type Batched = { pointsPerQuery: number }

export type Generation = {
  /** Generations completed. */
  index: number
  /** Members, one a row, and what was told of them. */
  points: Float64Array
  values: Float64Array
  /** Gradients of the loss, one a row; empty where none is wanted. */
  gradients: Float64Array
  /** First members of the queries yet to ask, the next one last; and of those asked, by id. */
  waiting: number[]
  open: { [queryId: string]: number }
  openCount: number
}

/** What was told of a generation: losses to minimize, and their gradients where wanted. */
export type Told = Pick<Generation, 'points' | 'values' | 'gradients' | 'index'>

export type GenerationsState<S> = { progress: Progress; rng: RngState; generation: Generation; own: S }

/** A method in generations as data. Between the breeding of a generation and its answers, `own` stays as it is. */
export type Generations<C, S extends Tree> = {
  id: string
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  invariances?: Facts['invariances']
  spaces?: readonly SpaceKind[]
  check?(config: C, problem: Problem): Issue[]
  /** What is wanted of the members, values by default. Gradients need a space of tensors without bounds. */
  wants?(config: C, own: S): readonly ('value' | 'gradient')[]
  needs?: Method<C, Tree>['needs']
  init(run: Run<C>, box: Box, rng: Rng): S
  /** The members of the next generation, one a row; `told` is absent for the first. */
  breed(run: Run<C>, box: Box, own: S, told: Told | undefined, rng: Rng): Float64Array
  /** Why no generation follows: `breed` had none. */
  finished?(run: Run<C>, own: S): string | undefined
  /** The answer where it is not the best member, and numbers worth a curve. */
  estimate?(run: Run<C>, own: S): { x?: Float64Array; metrics?: { [name: string]: number } }
}

/** The box of a session. */
export const boxFor = ({ memo, problem }: Run<unknown>): Box => {
  const box = (memo.get('box') as Box | undefined) ?? boxOf(problem.space)
  memo.set('box', box)
  return box
}

/** Uniform in the box where it is bounded and no `spread` is given, else normal about the start; `count` rows. */
export function scatter(box: Box, count: number, spread: number | undefined, rng: Rng): Float64Array {
  const { low, high, start, dimension: n } = box
  const uniform = spread === undefined && Number.isFinite(high - low)
  return new Float64Array(count * n).map((_, i) =>
    uniform ? low + rng.uniform() * (high - low) : start[i % n] + (spread ?? 1) * rng.normal(),
  )
}

/** What speaks against asking for gradients on a space. */
export function checkGradients(problem: Problem, at: string): Issue[] {
  const { space } = problem
  const free = space.kind === 'tensors' && space.low === undefined && space.high === undefined
  return free ? [] : [{ path: at, message: 'expected a space of tensors without bounds for gradients' }]
}

export function generationsMethod<C extends Batched, S extends Tree>(
  preset: Generations<C, S>,
): Method<C, GenerationsState<S> & Tree> {
  const {
    id,
    title,
    summary,
    references,
    config,
    recipes,
    equations,
    invariances = [],
    spaces = ['search', 'tensors'],
  } = preset
  type State = GenerationsState<S> & Tree
  const wantsOf = ({ config: c }: Run<C>, own: S) => preset.wants?.(c, own) ?? (['value'] as const)

  function begin(run: Run<C>, box: Box, own: S, told: Told | undefined, rng: Rng): Generation {
    const points = preset.breed(run, box, own, told, rng)
    const count = points.length / box.dimension
    const { pointsPerQuery: batch } = run.config
    const queries = Math.ceil(count / batch)
    return {
      index: told ? told.index + 1 : 0,
      points,
      values: new Float64Array(count).fill(Number.POSITIVE_INFINITY),
      gradients: new Float64Array(wantsOf(run, own).includes('gradient') ? points.length : 0),
      waiting: Array.from({ length: queries }, (_, i) => (queries - 1 - i) * batch),
      open: {},
      openCount: 0,
    }
  }

  function ask(run: Run<C>, box: Box, { progress, generation, own }: State): Query {
    const first = generation.waiting.pop() as number
    const last = Math.min(first + run.config.pointsPerQuery, generation.values.length)
    const query: Query = {
      id: `q${progress.asked++}`,
      points: Array.from({ length: last - first }, (_, i) => box.point(generation.points, (first + i) * box.dimension)),
      wants: wantsOf(run, own).map((kind): Want => ({ kind })),
    }
    generation.open[query.id] = first
    generation.openCount++
    return query
  }

  function observe(run: Run<C>, box: Box, state: State, event: Extract<Event, { type: 'observation' }>, rng: Rng) {
    const { generation, own } = state
    const wants = wantsOf(run, own)
    const readings = wants.includes('value') ? readValues(state.progress, run.problem, event) : undefined
    const { query, observation } = event
    if (!Object.hasOwn(generation.open, query.id)) return
    const first = generation.open[query.id]
    delete generation.open[query.id]
    generation.openCount--
    const again = (status: string) => status === 'failed' || status === 'cancelled'
    if (again(observation.status) || readings?.some(({ status }) => again(status))) {
      generation.waiting.push(first)
      return
    }
    readings?.forEach(({ status, value }, i) => {
      if (status !== 'infeasible' && !Number.isNaN(value)) generation.values[first + i] = value
    })
    if (wants.includes('gradient') && observation.gradients) {
      const flat = flatOf(run.problem)
      const sign = signOf(run.problem)
      observation.gradients.forEach((tensors, i) => {
        const row = flat.vector(tensors).map((g) => sign * g)
        generation.gradients.set(row, (first + i) * box.dimension)
      })
    }
    if (generation.waiting.length === 0 && generation.openCount === 0)
      state.generation = begin(run, box, own, generation, rng)
  }

  function step(run: Run<C>, state: State, events: readonly Event[]): Outcome<State> {
    const box = boxFor(run)
    const rng = new Rng(state.rng)
    const queries: Query[] = []
    let wanted = 0
    for (const event of events) {
      if (event.type === 'observation') observe(run, box, state, event, rng)
      if (event.type !== 'capacity') continue
      wanted += event.count
      for (let i = 0; i < event.count && state.generation.waiting.length > 0; i++) queries.push(ask(run, box, state))
    }
    const done = preset.finished?.(run, state.own)
    if (done) return { state, queries: [], status: { phase: 'done', reason: done } }
    const { index, openCount } = state.generation
    const short = { reason: `generation ${index} waits for ${openCount} answers`, until: 'tell' } as const
    return { state, queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
  }

  function check(parsed: C, problem: Problem): Issue[] {
    const { space } = problem
    if (!spaces.includes(space.kind)) return []
    const issues = checkBox(id, space, MAX_DIMENSION)
    if (parsed.pointsPerQuery > 1 && space.kind === 'search')
      issues.push({ path: 'config.pointsPerQuery', message: 'expected 1: a trial of a search space is one point' })
    return [...issues, ...(preset.check?.(parsed, problem) ?? [])]
  }

  return defineMethod<C, State>({
    id,
    version: 1,
    stateVersion: 1,
    family: 'evolution',
    title,
    summary,
    references,
    config,
    recipes,
    equations,
    facts: {
      spaces,
      parameters: ['float', 'int', 'ordinal', 'constrained'],
      objectives: 'one',
      constraints: false,
      parallel: true,
      unsolicited: 'accept',
      invariances,
    },
    needs: preset.needs ?? (() => ['value']),
    check,
    init(run, seed) {
      const box = boxOf(run.problem.space)
      const rng = new Rng(rngStream(seed, id))
      const own = preset.init(run, box, rng)
      return {
        progress: startProgress(),
        rng: rng.state,
        generation: begin(run, box, own, undefined, rng),
        own,
      } as State
    },
    step,
    estimate(run, { progress, generation, own }) {
      const best = bestEstimate(progress, run.problem)
      const { x, metrics } = preset.estimate?.(run, own) ?? {}
      const told = { generation: generation.index, populationSize: generation.values.length, ...metrics }
      // Until a generation is complete an iterate is where the search starts, whatever was told.
      if (!x || (generation.index === 0 && best.points.length > 0)) return { ...best, metrics: told }
      return { kind: 'iterate', points: [{ point: boxFor(run).point(x) }], step: progress.told, metrics: told }
    },
  })
}
