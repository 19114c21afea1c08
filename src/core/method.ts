/**
 * The one contract that every optimizer fulfils, from SGD to prompt evolution: events in, queries out.
 * A method is a pure state machine. It has no clock, no network and no randomness but the streams in its state.
 */
import type { z } from 'zod'
import type { Issue } from './errors.js'
import type { Event, Point, Query, WantKind } from './query.js'
import type { Parameter, Params, Problem, SpaceKind } from './space.js'
import type { Tensors } from './tensor.js'
import type { Tree } from './tree.js'

export type Family =
  | 'gradient'
  | 'zeroth'
  | 'evolution'
  | 'bayes'
  | 'sampling'
  | 'ranking'
  | 'prompt'
  | 'online'
  | 'bandit'

/** Invariances that a method claims, and the conformance suite tests. */
export type Invariance =
  /** The same run when every told value goes through an increasing function. */
  | 'monotone-values'
  /** The same run when every told gradient is multiplied by a power of two. */
  | 'gradient-scale'
  /** The same run, shifted, when the problem is shifted. */
  | 'translation'

export type Facts = {
  spaces: readonly SpaceKind[]
  /**
   * For search spaces: the parameter types it takes; conditional parameters need 'conditional', spaces with constraints
   * 'constrained'.
   */
  parameters?: readonly (Parameter['type'] | 'conditional' | 'constrained')[]
  objectives: 'one' | 'many'
  constraints: boolean
  /** Whether several queries may be open at once. */
  parallel: boolean
  /** What it does with an observation of a point it did not ask for. */
  unsolicited: 'accept' | 'reject'
  invariances: readonly Invariance[]
  /** Tensors that it is told are read within the step and not kept: their memory may then be used for something else. */
  transient?: boolean
  /** Steps may take milliseconds: run it in the worker pool. */
  heavy?: boolean
  /** Whether it begins from trials of earlier sessions, where `run.earlier` has some. */
  warmStart?: boolean
}

export type Reference = { authors: string; title: string; year: number; url?: string }

/** A problem of the test suite (test/problems) that the method must solve: the estimate's value reaches `target`. */
export type Recipe<C> = {
  problem: string
  config?: Partial<C>
  maxEvaluations: number
  target: number
}

/** What can compute a rule. The engine of a session is part of what decides its future. */
export const ENGINES = ['wasm', 'interpreter', 'tensorflow', 'webgpu'] as const
export type EngineId = (typeof ENGINES)[number]

/** Completed trials of an earlier session, as points of this session's space, with the values that were told of them. */
export type EarlierSession = { session: string; trials: readonly { params: Params; value: number }[] }

/** What a method is given beside its state. The same for the whole life of a session, but for mutable config fields. */
export type Run<C> = {
  readonly config: C
  readonly problem: Problem
  readonly engine: EngineId
  /** What is known of similar tasks, each a session: one objective, of the same direction, over a search space. */
  readonly earlier?: readonly EarlierSession[]
  /** Things derived from config, problem or state that need not survive: compiled kernels, factors. Empty after a restart. */
  readonly memo: Map<string, unknown>
}

export type Status = { phase: 'running' } | { phase: 'done'; reason: string }

export type Outcome<S> = {
  state: S
  /** New queries. Those of earlier outcomes stay open until observed. */
  queries: readonly Query[]
  status: Status
  /**
   * Why fewer queries came than the capacity asked for, and what to wait for. There may be more at `retryAt`, in milliseconds
   * since the epoch, although nothing is told.
   */
  short?: { reason: string; until: 'tell' | 'never'; retryAt?: number }
  /** Earlier queries that nobody is to answer any more. */
  withdrawn?: readonly string[]
}

export type Estimate = {
  kind: 'iterate' | 'average' | 'best' | 'pareto' | 'prompt'
  /** One point, or a Pareto front; empty while nothing is known. */
  points: readonly { point: Point; values?: readonly number[]; trial?: number }[]
  /** Steps taken (gradient methods) or observations used. */
  step: number
  /** Plain numbers worth a curve: learning rate, step size, gradient norm. */
  metrics?: { readonly [name: string]: number }
}

export interface Method<C, S extends Tree> {
  id: string
  /** Rises when the same seed gives another trajectory. */
  version: number
  /** Rises when the layout of the state changes; `migrate` brings older states along. */
  stateVersion: number
  family: Family
  title: string
  summary: string
  references: readonly Reference[]
  config: z.ZodType<C>
  facts: Facts
  recipes: readonly Recipe<C>[]
  /** Equations as LaTeX, one per line of the rule; shown by `describe`. */
  equations?(config: C): readonly string[]
  /** The kinds of want it will issue. Queries may ask for nothing else. */
  needs(config: C, problem: Problem): readonly WantKind[]
  /** Rules across fields, or between config and problem, that a schema cannot say. */
  check?(config: C, problem: Problem): Issue[]
  init(run: Run<C>, seed: number): S
  /**
   * The caller gives up `state`: arrays in it may be reused. Must not throw on any event that the session has validated
   * against the query. With no event of capacity it may still return queries (gradient drivers do).
   */
  step(run: Run<C>, state: S, events: readonly Event[]): Outcome<S>
  estimate(run: Run<C>, state: S): Estimate
  /** Tensors in the state by name, without a copy. Gradient methods resolve their `view` points here. */
  view?(run: Run<C>, state: S, name: string): Tensors
  /**
   * Arrays that the gradient of an open query may be written into as it comes, to be told as these arrays. They are no part of
   * the state, and other calls of `step` may overwrite them only where they resolve that query.
   */
  landing?(run: Run<C>, state: S, queryId: string): Tensors | undefined
  migrate?(from: number, state: Tree): S
}

/** A method whose config and state types are forgotten: what registries and sessions hold. */
// biome-ignore lint/suspicious/noExplicitAny: the registry holds methods of every config and state type.
export type AnyMethod = Method<any, any>

/** Declares a method; the types of config and state are checked here and erased by the registry. */
export const defineMethod = <C, S extends Tree>(method: Method<C, S>): Method<C, S> => method

/** Refuses problems that the method cannot handle; the reasons are located in the request. */
export function checkSuitable(method: AnyMethod, problem: Problem): Issue[] {
  const { facts } = method
  const issues: Issue[] = []
  const { space } = problem
  if (!facts.spaces.includes(space.kind))
    issues.push({ path: 'space', message: `${method.id} works on ${facts.spaces.join(' or ')}, not on ${space.kind}` })
  else if (space.kind === 'search' && facts.parameters) {
    space.parameters.forEach((p, i) => {
      const path = `space.parameters[${i}]`
      if (!facts.parameters?.includes(p.type))
        issues.push({ path: `${path}.type`, message: `${method.id} does not take ${p.type} parameters` })
      if (p.condition && !facts.parameters?.includes('conditional'))
        issues.push({ path: `${path}.condition`, message: `${method.id} does not take conditional parameters` })
    })
    if (space.constraints?.length && !facts.parameters.includes('constrained'))
      issues.push({ path: 'space.constraints', message: `${method.id} does not take constraints on parameters` })
  }
  if (problem.objectives.length > 1 && facts.objectives === 'one')
    issues.push({ path: 'objectives[1]', message: `${method.id} takes one objective` })
  if (problem.constraints?.length && !facts.constraints)
    issues.push({ path: 'constraints', message: `${method.id} takes no outcome constraints` })
  return issues
}
