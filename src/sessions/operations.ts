/** What goes into a session and what comes out: its operations, as the journal records them, and what each has brought about. */
import type { Estimate } from '../core/method.js'
import type { Decision } from '../core/pruner.js'
import type { Observation, Point } from '../core/query.js'
import type { LeasedQuery, SessionState, WatchEvent } from './api.js'
import type { CorrectOp, DeleteOp, EditOp } from './edits.js'
import type { Settings } from './negotiate.js'

export type Told = Observation & { point?: Point }

/** The inputs of a mutation, as the journal records them. */
export type Op =
  | { op: 'create' }
  | { op: 'step'; observations: readonly Told[]; enqueue: readonly Point[]; count: number; worker: string; by?: string }
  | { op: 'prefetch' }
  | { op: 'report'; queryId: string; step: number; value: number }
  | { op: 'update'; settings: Partial<Settings>; changed: readonly string[]; state?: SessionState; by?: string }
  | EditOp
  | CorrectOp
  | DeleteOp

export type Short = { reason: string; retryAfter?: number }
export type Applied = {
  events: WatchEvent[]
  queries: LeasedQuery[]
  short?: Short
  decision?: Decision
  /** After a tell, of methods whose estimate is a view of their state. */
  metrics?: Estimate['metrics']
}
