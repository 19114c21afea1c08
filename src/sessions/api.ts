/** What the server calls: sessions in domain types, no transport and no proto. Implemented by SessionManager. */
import type { Analysis } from '../blackbox/analysis/analysis.js'
import type { AnalysisRequest } from '../blackbox/analysis/request.js'
import type { Lossy } from '../core/encodings/index.js'
import type { Loan } from '../core/loan.js'
import type { Estimate } from '../core/method.js'
import type { Observation, Point, Query, Usage } from '../core/query.js'
import type { Params, Problem, SearchSpace } from '../core/space.js'
import type { Tensors } from '../core/tensor.js'
import type { Copies } from './copies.js'
import type { AuditEntry } from './edits.js'
import type { Landing } from './host/host.js'

export type Durability = 'journal' | 'snapshot'
export type SessionState = 'running' | 'paused' | 'done'
/** Zero or absent: no limit. */
export type Budget = { maxEvaluations?: number; maxCalls?: number; maxTokens?: number; maxMoney?: number }

/**
 * Lossy encodings that a session takes for gradients, and gives for deltas of parameters. `density` is the share of the
 * elements that `top-k` keeps of a delta, 0.01 when absent.
 */
export type Encodings = { gradients?: readonly Lossy[]; parameters?: readonly Lossy[]; density?: number }

/** What a client decides when it creates a session. */
export type SessionSpec = {
  displayName?: string
  method: string
  config?: unknown
  problem: Problem
  pruner?: { method: string; config?: unknown }
  budget?: Budget
  durability?: Durability
  /** Completion queries are answered by the server, through this endpoint of the operator. */
  resolver?: { endpoint: string; model?: string }
  seed?: number
  /** Seconds. */
  lease?: number
  labels?: Record<string, string>
  /** Kinds of want the client can answer; unchecked when absent. */
  offers?: readonly string[]
  encodings?: Encodings
  /** Suggestions made ahead, while workers evaluate; none when absent. */
  prefetch?: number
  /** Ids of earlier sessions, whose completed trials the method begins from. */
  warmStartFrom?: readonly string[]
}

export type SessionInfo = SessionSpec & {
  id: string
  /** With every default filled in. */
  config: unknown
  seed: number
  lease: number
  durability: Durability
  state: SessionState
  statusMessage: string
  revision: number
  configHash: string
  /** Milliseconds since the epoch. Display only: nothing depends on them. */
  createTime: number
  updateTime: number
  counts: { asked: number; told: number; open: number; failed: number; pruned: number }
  usage: Required<Usage>
  forkedFrom?: { id: string; revision: number }
  stateHash: string
}

export type Mutation = {
  requestId?: string
  expectedRevision?: number
  /** Who calls, for the audit trail. */
  by?: string
}

export type StepInput = Mutation & {
  observations?: readonly (Observation & { point?: Point })[]
  /** Queries wanted; 0 for none. */
  count: number
  /** Milliseconds to wait for a query when there is none. */
  wait?: number
  enqueue?: readonly Point[]
  worker?: string
  signal?: AbortSignal
}
/** `repeats`: the first trial that was told at the same parameters. */
export type LeasedQuery = Query & { leaseUntil: number; attempt: number; repeats?: number }
export type StepResult = {
  revision: number
  queries: readonly LeasedQuery[]
  short?: { reason: string; retryAfter?: number }
  state: SessionState
  statusMessage: string
  repeated: boolean
  durableStep?: number
  metrics?: Readonly<Record<string, number>>
  /** The arrays of what was told are the caller's again. */
  released: boolean
}

/** `defaults` are for parameters that were not there before; trials that are no points of the space are refused, or dropped. */
export type SpaceEdit = { space: SearchSpace; defaults?: Params; dropInvalid?: boolean; reason?: string }

export type ReportInput = Mutation & { queryId: string; step: number; value: number }
export type ReportResult = { prune: boolean; reason: string; revision: number }

export type TrialState =
  | 'waiting'
  | 'running'
  | 'completed'
  | 'failed'
  | 'infeasible'
  | 'pruned'
  | 'cancelled'
  | 'deleted'
export type Trial = {
  number: number
  queryId: string
  state: TrialState
  params: Params
  /** The trial whose checkpoint it went on from. */
  parent?: number
  values?: readonly number[]
  constraints?: readonly number[]
  intermediates: readonly { step: number; value: number }[]
  createTime: number
  endTime?: number
  message?: string
}

export type WatchEvent = {
  revision: number
  time: number
  type:
    | 'created'
    | 'asked'
    | 'told'
    | 'reported'
    | 'reconfigured'
    | 'expired'
    | 'edited'
    | 'corrected'
    | 'deleted'
    | 'done'
  queryId?: string
  trial?: number
  status?: string
  values?: readonly number[]
  best?: number
  metrics?: Readonly<Record<string, number>>
  message?: string
  /** Further events of the same revision follow: a watch that resumes after it would miss them. */
  more?: boolean
}

export type Patch = {
  displayName?: string
  labels?: Record<string, string>
  budget?: Budget
  state?: SessionState
  config?: Record<string, unknown>
}

export type Page<T> = { items: readonly T[]; nextPageToken: string }

/** Every call rejects with AsktellError. Mutations with a request id are applied once; a repeat gets the stored answer. */
export type { Landing }

/** Lends bytes of a view for longer than the call, where the method runs on this thread. */
export type Lend = (bytes: Uint8Array) => Loan

export interface Sessions {
  create(spec: SessionSpec, options?: Mutation & { id?: string }): Promise<SessionInfo>
  /** Hashing the state reads all of it: without `stateHash` the answer comes at once, with an empty hash. */
  get(id: string, options?: { stateHash?: boolean }): Promise<SessionInfo>
  list(options: { pageSize?: number; pageToken?: string; filter?: string }): Promise<Page<SessionInfo>>
  update(id: string, patch: Patch, options?: Mutation): Promise<SessionInfo>
  delete(id: string, options?: Mutation): Promise<void>
  step(id: string, input: StepInput): Promise<StepResult>
  /**
   * What `read` makes of the tensors of a `view` point; it must not keep the arrays, which are the session's own. With the
   * id of the point's query: undefined when that has been answered, and the tensors may be others.
   */
  view<T>(
    id: string,
    name: string,
    read: (tensors: Tensors, lend?: Lend) => T,
    queryId?: string,
  ): Promise<T | undefined>
  /** Room in the session for the gradient of an open query, where it has some that nobody uses. */
  land(id: string, queryId: string): Promise<Landing | undefined>
  /** What clients of the session hold. Another one after the session has left memory. */
  copies(id: string): Promise<Copies>
  report(id: string, input: ReportInput): Promise<ReportResult>
  estimate(id: string): Promise<Estimate & { revision: number }>
  /** Figures of a session over a search space, from its trials. Computed off this thread. */
  analyze(id: string, request: AnalysisRequest): Promise<Analysis & { revision: number }>
  trials(id: string, options: { pageSize?: number; pageToken?: string; filter?: string }): Promise<Page<Trial>>
  /** Gives the session another search space, and starts the method anew from the trials. */
  editSpace(id: string, edit: SpaceEdit, options?: Mutation): Promise<SessionInfo>
  /** Replaces what was told of a trial. */
  correctTrial(
    id: string,
    correction: { trial: number; observation: Observation; reason?: string },
    options?: Mutation,
  ): Promise<Trial>
  /** Ends an open trial; makes the method forget one that was told. */
  deleteTrial(id: string, deletion: { trial: number; reason?: string }, options?: Mutation): Promise<Trial>
  /** What was changed by hand, oldest first. */
  audit(id: string, options: { pageSize?: number; pageToken?: string }): Promise<Page<AuditEntry>>
  watch(id: string, afterRevision: number, signal: AbortSignal): AsyncIterable<WatchEvent>
  fork(
    id: string,
    options: Mutation & { revision?: number; id?: string; config?: Record<string, unknown> },
  ): Promise<SessionInfo>
  export(id: string): AsyncIterable<Uint8Array>
  import(chunks: AsyncIterable<Uint8Array>, options?: Mutation & { id?: string }): Promise<SessionInfo>
  /** Whether the store takes writes; the reason when not. */
  ready(): Promise<{ ready: boolean; reason?: string }>
  /** Finishes what is in flight and closes the store. */
  close(): Promise<void>
}
