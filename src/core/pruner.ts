/** Pruners judge a running trial by its intermediate values. Pure state machines, like methods. */
import type { z } from 'zod'
import type { Reference } from './method.js'
import type { Direction } from './space.js'
import type { Tree } from './tree.js'

export type PrunerRun<C> = { readonly config: C; readonly direction: Direction }
export type PrunerEvent =
  | { type: 'report'; trial: number; step: number; value: number }
  /** The trial ended with this status and, when ok, this value. */
  | { type: 'finished'; trial: number; status: 'ok' | 'failed' | 'infeasible' | 'pruned' | 'cancelled'; value?: number }
export type Decision = { prune: boolean; reason: string }

export type PrunerFacts = {
  /** What a trial is judged by: other trials of the session, its own earlier reports, or limits that the config sets. */
  judgedBy: 'trials' | 'itself' | 'limits'
}

export interface Pruner<C, S extends Tree> {
  id: string
  version: number
  title: string
  summary: string
  references: readonly Reference[]
  facts: PrunerFacts
  config: z.ZodType<C>
  /** A config under which it stops bad trials, where the defaults stop none: the conformance suite runs it. */
  recipe?: Partial<C>
  /** What is wrong across the fields of a config: a field and a message. */
  check?(config: C): readonly { field: string; message: string }[]
  init(run: PrunerRun<C>): S
  /** The decision is for the event's trial; of a `finished` event it is ignored. */
  step(run: PrunerRun<C>, state: S, event: PrunerEvent): { state: S; decision: Decision }
}
// biome-ignore lint/suspicious/noExplicitAny: the registry holds pruners of every config and state type.
export type AnyPruner = Pruner<any, any>
export const definePruner = <C, S extends Tree>(pruner: Pruner<C, S>): Pruner<C, S> => pruner
