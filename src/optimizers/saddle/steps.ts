/**
 * Makes a method of one that asks for a gradient at a time and computes with vectors. Of players, a gradient is the
 * operator F of the game: each tensor's part is that of its own player's loss.
 */
import type { z } from 'zod'
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
import type { Event, Observation, Query } from '../../core/query.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Flat, flatOf, spaceOf } from '../flat.js'

/** Where a gradient is wanted, and what for; each on a sample of its own unless a key says otherwise. */
export type Ask = {
  at: Float64Array
  purpose: string
  sampleKey?: string
  /** Whether the loss is wanted too. */
  value?: boolean
}

export type StepsState<S> = { own: S; open: string | null; asked: number; received: number }

/** A method as data. Between an ask and its answer, `own` stays as it is. */
export type Steps<C, S extends Tree> = {
  id: string
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  invariances?: Facts['invariances']
  needs?: Method<C, Tree>['needs']
  check?(config: C, problem: Problem): Issue[]
  init(run: Run<C>, flat: Flat, seed: number): S
  ask(run: Run<C>, flat: Flat, own: S): Ask
  /** Takes the gradient of a loss to minimize, and the loss where it was wanted. */
  learn(run: Run<C>, flat: Flat, own: S, gradient: Float64Array, value?: number): void
  estimate(
    run: Run<C>,
    own: S,
  ): { x: Float64Array; kind: 'iterate' | 'average'; step: number; metrics?: { [name: string]: number } }
}

export function stepsMethod<C, S extends Tree>(preset: Steps<C, S>): Method<C, StepsState<S> & Tree> {
  const { id, title, summary, references, config, recipes, equations, invariances = [] } = preset
  type State = StepsState<S> & Tree

  function query(run: Run<C>, flat: Flat, state: State): Query {
    const { at, purpose, sampleKey, value } = preset.ask(run, flat, state.own)
    state.open = `g${++state.asked}`
    return {
      id: state.open,
      points: [{ kind: 'tensors', tensors: flat.tensors(at) }],
      wants: value ? [{ kind: 'gradient' }, { kind: 'value' }] : [{ kind: 'gradient' }],
      sampleKey: sampleKey ?? `s${state.received}`,
      purpose,
    }
  }

  function observe(run: Run<C>, flat: Flat, state: State, { status, gradients, values }: Observation) {
    state.open = null
    if (status !== 'ok' || !gradients) return // The same point is asked again.
    state.received++
    const gradient = flat.vector(gradients[0])
    const maximize = run.problem.objectives[0].direction === 'maximize'
    const told = values?.[0][0]
    preset.learn(
      run,
      flat,
      state.own,
      maximize ? gradient.map((g) => -g) : gradient,
      maximize && told !== undefined ? -told : told,
    )
  }

  return defineMethod<C, State>({
    id,
    version: 1,
    stateVersion: 1,
    family: 'gradient',
    title,
    summary,
    references,
    config,
    recipes,
    equations,
    facts: {
      spaces: ['tensors'],
      objectives: 'one',
      constraints: false,
      parallel: false,
      unsolicited: 'reject',
      invariances,
    },
    needs: preset.needs ?? (() => ['gradient']),
    check: (parsed, problem) => (problem.space.kind === 'tensors' ? (preset.check?.(parsed, problem) ?? []) : []),
    init: (run, seed) =>
      ({ own: preset.init(run, flatOf(run.problem), seed), open: null, asked: 0, received: 0 }) as State,
    step(run, state, events: readonly Event[]): Outcome<State> {
      const flat = flatOf(run.problem)
      let capacity = 0
      for (const event of events) {
        if (event.type === 'capacity') capacity += event.count
        if (event.type === 'observation' && event.query.id === state.open) observe(run, flat, state, event.observation)
      }
      const queries = state.open === null ? [query(run, flat, state)] : []
      const short = { reason: 'the next step waits for the gradient of this one', until: 'tell' } as const
      return { state, queries, status: { phase: 'running' }, short: queries.length < capacity ? short : undefined }
    },
    estimate(run, { own, received }) {
      const { x, kind, step, metrics } = preset.estimate(run, own)
      return {
        kind,
        points: [{ point: { kind: 'tensors', tensors: flatOf(run.problem).tensors(x) } }],
        step,
        metrics: { gradients: received, ...metrics },
      }
    },
  })
}

/** What is wrong with names that should be tensors of the space. */
export function checkNames(names: readonly string[], problem: Problem, at: string): Issue[] {
  const known = new Set(spaceOf(problem).tensors.map(({ name }) => name))
  return names.flatMap((name, i) =>
    known.has(name) ? [] : [{ path: `${at}[${i}]`, message: `"${name}" is not a tensor of the space` }],
  )
}

/** What speaks against a space with bounds, for methods that keep to none. */
export function checkUnbounded(id: string, problem: Problem): Issue[] {
  const { low, high } = spaceOf(problem)
  if (low === undefined && high === undefined) return []
  return [{ path: low === undefined ? 'space.high' : 'space.low', message: `${id} keeps to no bounds` }]
}
