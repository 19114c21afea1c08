/**
 * The embedded store: one LMDB environment per data directory. Writes of all sessions that arrive while a transaction is
 * being flushed go into the next one together, and are acknowledged when it is on disk.
 */
import { mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { AsktellError } from '../../core/errors.js'
import { lockDirectory } from './lock.js'
import type { Stamped, Store, Write } from './store.js'

/** [session, kind, revision or id]; the kinds sort apart. */
type Key = readonly [session: string, kind: string, at?: number | string]
const SPEC = 'b'
const RECORD = 'j'
const REQUEST = 'r'
const SNAPSHOT = 's'
/** Heads lie together, so that a list reads nothing else. */
const HEADS = '\u0001heads'

type Waiting = { writes: readonly Write[]; bytes: number; done(): void; fail(error: unknown): void }

const FULL = /ENOSPC|EDQUOT|No space|Disk quota|MDB_MAP_FULL/i
const SLACK = 1 << 20

export class LmdbStore implements Store {
  private readonly db: RootDatabase<Uint8Array, string[]> & Database
  private readonly unlock: () => void
  private waiting: Waiting[] = []
  private committing?: Promise<void>
  /** Set for good when the disk failed in a way after which nothing it says can be believed. */
  private broken?: AsktellError

  constructor(
    private readonly path: string,
    private readonly options: { fatal?: (error: Error) => void; mapSize?: number } = {},
  ) {
    mkdirSync(path, { recursive: true })
    this.unlock = lockDirectory(path)
    try {
      this.db = open({
        path: join(path, 'sessions.mdb'),
        encoding: 'binary',
        mapSize: options.mapSize,
        // A commit returns when it is on disk, and reports what went wrong with it.
        overlappingSync: false,
        eventTurnBatching: false,
      }) as never
    } catch (error) {
      this.unlock()
      throw new AsktellError('STORE_FAILED', `the store at ${path} cannot be opened: ${(error as Error).message}`)
    }
  }

  write(writes: readonly Write[]): Promise<void> {
    if (this.broken) return Promise.reject(this.broken)
    return new Promise((done, fail) => {
      this.waiting.push({ writes, bytes: writes.reduce((sum, write) => sum + sizeOf(write), 0), done, fail })
      this.commit()
    })
  }

  private commit() {
    if (this.committing || this.waiting.length === 0) return
    const group = this.waiting
    this.waiting = []
    this.committing = this.transact(group.flatMap(({ writes }) => writes))
      .then(
        () => {
          for (const { done } of group) done()
        },
        async (error) => {
          const failure = await this.classify(
            error,
            group.reduce((sum, { bytes }) => sum + bytes, 0),
          )
          for (const { fail } of group) fail(failure)
        },
      )
      .finally(() => {
        this.committing = undefined
        this.commit()
      })
  }

  private async transact(writes: readonly Write[]): Promise<void> {
    let changes = 0
    const committed = this.db.batch(() => {
      for (const write of writes) changes += this.put(write)
    })
    if (changes > 0) await committed
  }

  /** Adds a write to the transaction; returns how many changes it is. */
  private put({ session, ...write }: Write): number {
    let changes = 0
    const put = (key: Key, bytes: Uint8Array) => {
      changes++
      void this.db.put(key as never, bytes)
    }
    const remove = (key: Key) => {
      changes++
      void this.db.remove(key as never)
    }
    if (write.remove) {
      for (const key of this.keys([session])) remove(key)
      remove([HEADS, session])
    }
    if (write.truncate !== undefined) for (const key of this.keys([session, RECORD], write.truncate + 1)) remove(key)
    if (write.forget !== undefined) for (const key of this.keys([session, RECORD], 0, write.forget + 1)) remove(key)
    if (write.spec) put([session, SPEC], write.spec)
    if (write.head) put([HEADS, session], write.head)
    for (const { revision, bytes } of write.records ?? []) put([session, RECORD, revision], bytes)
    if (write.snapshot) put([session, SNAPSHOT, write.snapshot.revision], write.snapshot.bytes)
    for (const revision of write.dropSnapshots ?? []) remove([session, SNAPSHOT, revision])
    for (const id of write.dropRequests ?? []) remove([session, REQUEST, id])
    for (const { id, bytes } of write.requests ?? []) put([session, REQUEST, id], bytes)
    return changes
  }

  /** Keys that begin with a prefix, with `from` to `to` (exclusive) in the next place. */
  private keys(prefix: readonly string[], from?: number, to: number | string = '\uffff'): Key[] {
    const start = from === undefined ? prefix : [...prefix, from]
    return [...this.db.getKeys({ start: start as never, end: [...prefix, to] as never })] as unknown as Key[]
  }

  /** Full disks pass; anything else that fails a commit ends the store. */
  private async classify(error: unknown, bytes: number): Promise<AsktellError> {
    const cause = await causeOf(error)
    if (FULL.test(`${cause.code} ${cause.message}`) || this.room() < SLACK + 2 * bytes)
      return new AsktellError('STORAGE_FULL', 'the disk that holds the store is full', { cause })
    const message = `the store at ${this.path} could not be written: ${cause.message}`
    this.broken = new AsktellError('STORE_FAILED', message, { cause })
    this.options.fatal?.(this.broken)
    return this.broken
  }

  /** Free bytes on the disk. LMDB reports a write that the disk had room for only in part as an input/output error. */
  private room(): number {
    try {
      const { bavail, bsize } = statfsSync(this.path)
      return bavail * bsize
    } catch {
      return Infinity
    }
  }

  private get(key: Key): Uint8Array | undefined {
    return this.db.getBinary(key as never)
  }
  async spec(session: string) {
    return this.get([session, SPEC])
  }
  async head(session: string) {
    return this.get([HEADS, session])
  }
  async heads(after: string, limit: number) {
    const range = this.db.getRange({ start: [HEADS, after], end: [HEADS, '\uffff'], limit: limit + 1 })
    const found: { session: string; head: Uint8Array }[] = []
    for (const { key, value } of range as unknown as Iterable<{ key: string[]; value: Uint8Array }>)
      if (key[1] !== after && found.length < limit) found.push({ session: key[1], head: value })
    return found
  }
  async records(session: string, after: number, limit: number) {
    const range = this.db.getRange({
      start: [session, RECORD, after + 1] as never,
      end: [session, RECORD, '\uffff'] as never,
      limit,
    })
    const found: Stamped[] = []
    for (const { key, value } of range as unknown as Iterable<{ key: Key; value: Uint8Array }>)
      found.push({ revision: key[2] as number, bytes: value })
    return found
  }
  async snapshots(session: string) {
    return this.keys([session, SNAPSHOT]).map((key) => key[2] as number)
  }
  async snapshot(session: string, revision: number) {
    return this.get([session, SNAPSHOT, revision])
  }
  async request(session: string, id: string) {
    return this.get([session, REQUEST, id])
  }
  async *requests(session: string) {
    for (const key of this.keys([session, REQUEST])) {
      const bytes = this.get(key)
      if (bytes) yield { id: key[2] as string, bytes }
    }
  }
  /** Writes a byte: room and permission are only known by trying. */
  async probe() {
    await this.write([
      { session: '\u0001probe', head: new Uint8Array(1) },
      { session: '\u0001probe', remove: true },
    ])
  }
  async close() {
    while (this.committing) await this.committing
    await this.db.close()
    this.unlock()
  }
}

const sizeOf = ({ spec, head, records = [], snapshot, requests = [] }: Write): number =>
  [spec, head, snapshot?.bytes, ...records.map(({ bytes }) => bytes), ...requests.map(({ bytes }) => bytes)].reduce(
    (sum, bytes) => sum + (bytes?.length ?? 0),
    0,
  )

/** lmdb hides what went wrong behind a promise of the error. */
async function causeOf(error: unknown): Promise<Error & { code?: unknown }> {
  const { commitError } = error as { commitError?: Promise<never> }
  const late = new Promise<never>((_, reject) => setTimeout(reject, 1000, error))
  return (await Promise.race([commitError ?? Promise.reject(error), late]).catch((cause) => cause)) as Error
}
