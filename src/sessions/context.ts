/** What all sessions of a process share. */
import { AsktellError } from '../core/errors.js'
import type { Host, Hosts, Setup } from './host/host.js'
import type { Catalogue } from './negotiate.js'
import type { Store } from './stores/store.js'

export type Limits = {
  /** Calls that may wait for one session. */
  mailbox: number
  /** Queries of one ask. */
  queries: number
  /** A snapshot is due after this many records... */
  snapshotRecords: number
  /** ...or this many bytes of journal, or as many as the last snapshot had if that is more... */
  snapshotBytes: number
  /** ...or when replay would take this long, in milliseconds. */
  snapshotMillis: number
  /** With snapshot durability: steps between snapshots, and milliseconds, whatever takes longer. */
  snapshotSteps: number
  snapshotPause: number
  /** Bytes of journal per session above which its oldest part is given up, back to a snapshot: no forks from before. */
  journalBytes: number
  /** Milliseconds without a call after which a session leaves memory. */
  idle: number
  /** Bytes of sessions in memory, by the size of their snapshots, above which the longest unused leave. */
  memory: number
  /** Stored answers that are kept at least, and how long (milliseconds). */
  requests: number
  requestAge: number
  /** Records whose events stay in memory for watchers. */
  events: number
  /** Bytes of one set of a session's tensors. A method holds several, and a snapshot of all of them is one frame of 4 GiB. */
  tensorBytes: number
  /** Bytes of an imported file. */
  importBytes: number
}
export const LIMITS: Limits = {
  mailbox: 4096,
  queries: 10_000,
  snapshotRecords: 2000,
  snapshotBytes: 4 << 20,
  snapshotMillis: 2000,
  snapshotSteps: 100,
  snapshotPause: 200,
  journalBytes: 4 * 2 ** 30,
  idle: 10 * 60_000,
  memory: 2 ** 30,
  requests: 10_000,
  requestAge: 24 * 3_600_000,
  events: 1024,
  tensorBytes: 2 ** 30,
  importBytes: 2 ** 32,
}

export type Hooks = {
  /** Something an operator should know: a damaged record, a session put aside. */
  warn?(message: string, fields: Record<string, unknown>): void
  /** The disk no longer keeps its promises: the process must stop. */
  fatal?(error: Error): void
}

export type Context = {
  store: Store
  clock: () => number
  catalogue: Catalogue
  inline: Hosts
  pool: Hosts
  limits: Limits
  hooks: Hooks
}

/** A host for a method: heavy ones go to the pool. */
export const openHost = ({ catalogue, inline, pool }: Context, setup: Setup): Promise<Host> =>
  (catalogue.method(setup.method).facts.heavy ? pool : inline).open(setup)

/** `path`: of the field that named it. */
export function notFound(id: string, path?: string): AsktellError {
  const message = `there is no session "${id}"`
  return new AsktellError('SESSION_NOT_FOUND', message, { issues: path ? [{ path, message }] : [] })
}
