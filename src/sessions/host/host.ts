/** Where a method's state lives: on this thread (inline) or on a worker of the pool. The session can't tell. */
import type { Analysis } from '../../blackbox/analysis/analysis.js'
import type { Loan } from '../../core/loan.js'
import type { Estimate, Run, Status } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import type { Problem } from '../../core/space.js'
import type { Tensors } from '../../core/tensor.js'
import type { Segments } from '../../core/tree.js'
import type { AnalysisTask } from './analyst.js'

/** All that it takes to start a method. */
export type Setup = {
  method: string
  config: unknown
  problem: Problem
  engine: Run<unknown>['engine']
  seed: number
  earlier?: Run<unknown>['earlier']
  /** encodeTree of the state to go on from; a fresh one by `init` when absent. */
  state?: Uint8Array
  /** Layout of `state`; brought along by the method's `migrate` when it is an older one. */
  stateVersion?: number
}
/** An outcome without the state, which stays with the host. */
export type Reaction = {
  queries: readonly Query[]
  status: Status
  short?: { reason: string; until: 'tell' | 'never'; retryAt?: number }
  withdrawn?: readonly string[]
}

/** Arrays to write a gradient into, to be told as them. `end` gives them free. */
export type Landing = { tensors: Tensors; end(): void }

type Maybe<T> = T | Promise<T>

export interface Host {
  step(events: readonly Event[]): Maybe<Reaction>
  /** The config has new values in mutable fields. */
  reconfigure(config: unknown, changed: readonly string[]): Maybe<Reaction>
  /** Forgets the state and begins another life of the method. */
  restart(setup: Setup): Maybe<void>
  estimate(): Maybe<Estimate>
  /** Inline, the arrays are the method's own. */
  view(name: string): Maybe<Tensors>
  /** Room for the gradient of an open query, for one caller at a time, where there is some: inline. */
  land?(queryId: string): Landing | undefined
  /** Where arrays of a view may be read after the call: inline. */
  lend?(bytes: Uint8Array): Loan
  /** encodeTree of the state; inline, in parts that are valid until the next step. */
  state(): Maybe<Segments>
  close(): void
}

export interface Hosts {
  open(setup: Setup): Promise<Host>
  analyze(task: Required<AnalysisTask>): Promise<Analysis>
  close(): Promise<void>
}
