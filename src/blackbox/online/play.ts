/**
 * Makes a method of one that plays against a world, round by round, one query at a time: a query says by its purpose and
 * its points what to do now, and what is then to be told. Its sample key names the round.
 */
import type { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import {
  defineMethod,
  type Estimate,
  type Family,
  type Method,
  type Outcome,
  type Recipe,
  type Reference,
  type Run,
} from '../../core/method.js'
import type { Event, Observation, Point, Query, Want } from '../../core/query.js'
import type { ItemsSpace, Problem, SpaceKind } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'

export type Move = { points: readonly Point[]; wants: readonly Want[]; purpose: string; round: number }

/** A method as data. Between an ask and its answer, `own` stays as it is. */
export type Play<C, S extends Tree> = {
  id: string
  /** Without it, online. */
  family?: Family
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  spaces: readonly SpaceKind[]
  recipes: readonly Recipe<C>[]
  equations: Method<C, Tree>['equations']
  needs: Method<C, Tree>['needs']
  check?(config: C, problem: Problem): Issue[]
  init(run: Run<C>, seed: number): S
  ask(run: Run<C>, own: S): Move
  /** Takes an answer of status ok; one that makes no sense is asked for again by leaving `own` as it is. */
  learn(run: Run<C>, own: S, observation: Observation): void
  /** Why nothing more is asked. */
  finished?(own: S): string | undefined
  estimate(run: Run<C>, own: S): Estimate
}

export type PlayState<S> = { own: S; open: string | null; asked: number }

export const itemsOf = (problem: Problem): ItemsSpace['items'] => (problem.space as ItemsSpace).items
export const itemPoint = (problem: Problem, index: number): Point => ({
  kind: 'item',
  item: itemsOf(problem)[index].id,
})

export function playMethod<C, S extends Tree>(preset: Play<C, S>): Method<C, PlayState<S> & Tree> {
  const { id, family = 'online', title, summary, references, config, spaces, recipes, equations, needs } = preset
  type State = PlayState<S> & Tree

  function query(run: Run<C>, state: State): Query {
    const { round, ...move } = preset.ask(run, state.own)
    state.open = `q${state.asked++}`
    return { id: state.open, sampleKey: `round-${round}`, ...move }
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
    facts: { spaces, objectives: 'one', constraints: false, parallel: false, unsolicited: 'reject', invariances: [] },
    needs,
    check: (parsed, problem) => (spaces.includes(problem.space.kind) ? (preset.check?.(parsed, problem) ?? []) : []),
    init: (run, seed) => ({ own: preset.init(run, seed), open: null, asked: 0 }) as State,
    step(run, state, events: readonly Event[]): Outcome<State> {
      let capacity = 0
      for (const event of events) {
        if (event.type === 'capacity') capacity += event.count
        if (event.type !== 'observation' || event.query.id !== state.open) continue
        state.open = null
        if (event.observation.status === 'ok') preset.learn(run, state.own, event.observation)
      }
      const reason = preset.finished?.(state.own)
      if (reason) return { state, queries: [], status: { phase: 'done', reason } }
      const queries = state.open === null ? [query(run, state)] : []
      const short = { reason: 'the next round waits for the answer of this one', until: 'tell' } as const
      return { state, queries, status: { phase: 'running' }, short: queries.length < capacity ? short : undefined }
    },
    estimate: (run, { own }) => preset.estimate(run, own),
  })
}
