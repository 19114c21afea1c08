/** Makes a method of one that has one query open at a time: it asks, learns from the answer, and asks again. */
import type { z } from 'zod'
import type { Issue } from '../core/errors.js'
import {
  defineMethod,
  type Facts,
  type Family,
  type Method,
  type Outcome,
  type Recipe,
  type Reference,
  type Run,
} from '../core/method.js'
import type { Event, Observation, Point, Query, Want } from '../core/query.js'
import type { Problem } from '../core/space.js'
import type { Tree } from '../core/tree.js'
import { type Flat, flatOf } from './flat.js'

/**
 * What is wanted, where, and what for; each query on a sample of its own unless a key says otherwise. A note is text for the
 * client, by name: the last point, of which nothing is told.
 */
export type Turn = {
  points: readonly Float64Array[]
  wants: readonly Want[]
  purpose: string
  sampleKey?: string
  note?: { readonly [name: string]: string }
}

export type TurnsState<S> = { own: S; open: string | null; asked: number; received: number }

export type Answer = {
  x: Float64Array
  kind: 'iterate' | 'average'
  step: number
  metrics?: { [name: string]: number }
}

/** What all methods over tensors that are written as data have in common. */
export type Described<C, S> = {
  id: string
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  invariances?: Facts['invariances']
  /** Its steps may take milliseconds. */
  heavy?: boolean
  needs: Method<C, Tree>['needs']
  check?(config: C, problem: Problem): Issue[]
  init(run: Run<C>, flat: Flat, seed: number): S
  estimate(run: Run<C>, own: S): Answer
}

/** A method as data. Between an ask and its answer, `own` stays as it is. */
export type Turns<C, S extends Tree> = Described<C, S> & {
  family: Family
  ask(run: Run<C>, flat: Flat, own: S): Turn
  /** Takes an answer of status ok. */
  learn(run: Run<C>, flat: Flat, own: S, observation: Observation): void
  /** Points will never have an answer (infeasible, pruned): others are asked next. Without it, the same again. */
  refused?(own: S): void
  /** Why nothing more is asked. */
  finished?(run: Run<C>, own: S): string | undefined
}

export function turnsMethod<C, S extends Tree>(preset: Turns<C, S>): Method<C, TurnsState<S> & Tree> {
  const { id, family, title, summary, references, config, recipes, equations, needs, invariances = [], heavy } = preset
  type State = TurnsState<S> & Tree

  function query(run: Run<C>, flat: Flat, state: State): Query {
    const { points, wants, purpose, sampleKey, note } = preset.ask(run, flat, state.own)
    state.open = `q${++state.asked}`
    return {
      id: state.open,
      points: [
        ...points.map((x): Point => ({ kind: 'tensors', tensors: flat.tensors(x) })),
        ...(note ? [{ kind: 'text', text: note } as const] : []),
      ],
      wants,
      sampleKey: sampleKey ?? `s${state.received}`,
      purpose,
    }
  }

  return defineMethod<C, State>({
    id,
    version: 1,
    stateVersion: 1,
    family,
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
      heavy,
    },
    needs,
    check: (parsed, problem) => (problem.space.kind === 'tensors' ? (preset.check?.(parsed, problem) ?? []) : []),
    init: (run, seed) =>
      ({ own: preset.init(run, flatOf(run.problem), seed), open: null, asked: 0, received: 0 }) as State,
    step(run, state, events: readonly Event[]): Outcome<State> {
      const flat = flatOf(run.problem)
      let capacity = 0
      for (const event of events) {
        if (event.type === 'capacity') capacity += event.count
        if (event.type !== 'observation' || event.query.id !== state.open) continue
        state.open = null
        const { status } = event.observation
        if (status === 'ok') {
          state.received++
          preset.learn(run, flat, state.own, event.observation)
        } else if (status === 'infeasible' || status === 'pruned') preset.refused?.(state.own)
      }
      const reason = preset.finished?.(run, state.own)
      if (reason) return { state, queries: [], status: { phase: 'done', reason } }
      const queries = state.open === null ? [query(run, flat, state)] : []
      const short = { reason: 'the next step waits for the answer of this one', until: 'tell' } as const
      return { state, queries, status: { phase: 'running' }, short: queries.length < capacity ? short : undefined }
    },
    estimate(run, { own, received }) {
      const { x, kind, step, metrics } = preset.estimate(run, own)
      const point: Point = { kind: 'tensors', tensors: flatOf(run.problem).tensors(x) }
      return { kind, points: [{ point }], step, metrics: { answers: received, ...metrics } }
    },
  })
}
