/**
 * What a session needs of a disk. Values are opaque bytes. A store is written by one process; `write` is the only
 * mutation. A third store joins by passing test/sessions/stores.conformance.ts.
 */

/** One value at a revision: a journal record or a snapshot. */
export type Stamped = { revision: number; bytes: Uint8Array }

/** Changes to one session. `remove` goes first, then `truncate` and `forget`, then what is put. */
export type Write = {
  session: string
  /** Drops everything of the session. */
  remove?: boolean
  /** Drops records of later revisions. */
  truncate?: number
  /** Drops records up to this revision. */
  forget?: number
  /** What never changes after creation. */
  spec?: Uint8Array
  /** What a list shows: small, rewritten with every batch. */
  head?: Uint8Array
  records?: readonly Stamped[]
  snapshot?: Stamped
  /** Revisions of snapshots to drop. */
  dropSnapshots?: readonly number[]
  requests?: readonly { id: string; bytes: Uint8Array }[]
  dropRequests?: readonly string[]
}

/** The session that owns request ids of calls that create or delete sessions. Its id is no valid session id. */
export const LEDGER = ''

export interface Store {
  /**
   * Applies all writes or none. Resolves when they are on disk; rejects with STORAGE_FULL, or with STORE_FAILED after
   * which nothing is known of later writes.
   */
  write(writes: readonly Write[]): Promise<void>
  spec(session: string): Promise<Uint8Array | undefined>
  head(session: string): Promise<Uint8Array | undefined>
  /** Ids and heads in the order of the ids, from the one after `after`. */
  heads(after: string, limit: number): Promise<readonly { session: string; head: Uint8Array }[]>
  /** Records after a revision, in order, at most `limit`. */
  records(session: string, after: number, limit: number): Promise<readonly Stamped[]>
  /** Revisions that have a snapshot, oldest first. */
  snapshots(session: string): Promise<readonly number[]>
  snapshot(session: string, revision: number): Promise<Uint8Array | undefined>
  request(session: string, id: string): Promise<Uint8Array | undefined>
  /** Ids of requests, in no particular order. */
  requests(session: string): AsyncIterable<{ id: string; bytes: Uint8Array }>
  /** Rejects when the store takes no writes. */
  probe(): Promise<void>
  close(): Promise<void>
}
