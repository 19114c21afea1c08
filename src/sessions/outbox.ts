/** What a session has to write, in order: grouped while the last group is under way, and written or lost as a whole. */
import type { WatchEvent } from './api.js'
import { type Head, packFrame } from './record.js'
import { LEDGER, type Stamped, type Store, type Write } from './stores/store.js'

export type Request = { id: string; bytes: Uint8Array }

export type Item = {
  record?: Stamped
  snapshot?: Stamped & { durableStep?: number }
  /** The session's unchanging part. */
  birth?: Uint8Array
  /** All of the session goes. */
  remove?: boolean
  /** Records up to this revision are given up. */
  forget?: number
  head?: Head
  events?: readonly WatchEvent[]
  requests?: readonly Request[]
  dropRequests?: readonly string[]
  /** An answer that must outlive the session. */
  ledger?: Request
  /** Nothing is lost when it can't be written. */
  spare?: boolean
}
type Staged = Item & { done(): void; fail(error: unknown): void }

const ITEMS_PER_WRITE = 512

export class Outbox {
  private staged: Staged[] = []
  private writing?: Promise<void>

  constructor(
    private readonly session: string,
    private readonly store: Store,
    private readonly on: {
      /** Snapshots that one of this revision makes useless. */
      outdated(revision: number): readonly number[]
      written(item: Item): void
      /** Something was lost: everything that was staged is refused. */
      lost(error: unknown): void
      spared(error: unknown): void
    },
  ) {}

  get busy(): boolean {
    return this.writing !== undefined
  }

  /** Resolves when the item is on disk. */
  stage(item: Item): Promise<void> {
    const written = new Promise<void>((done, fail) => this.staged.push({ ...item, done, fail }))
    written.catch(() => {})
    this.pump()
    return written
  }

  /** Waits until nothing is left to write. */
  async settled(): Promise<void> {
    while (this.writing) await this.writing
  }

  private pump() {
    if (this.writing || this.staged.length === 0) return
    const group = this.staged.splice(0, ITEMS_PER_WRITE)
    this.writing = this.store
      .write(this.toWrites(group))
      .then(
        () => this.written(group),
        (error) => this.failed(group, error),
      )
      .finally(() => {
        this.writing = undefined
        this.pump()
      })
  }

  private toWrites(group: readonly Staged[]): Write[] {
    const ledger = group.flatMap((item) => item.ledger ?? [])
    const writes: Write[] = ledger.length > 0 ? [{ session: LEDGER, requests: ledger }] : []
    if (group.some(({ remove }) => remove)) return [{ session: this.session, remove: true }, ...writes]
    const head = group.findLast((item) => item.head)?.head
    const snapshot = group.findLast((item) => item.snapshot)?.snapshot
    const requests = new Map(group.flatMap((item) => item.requests ?? []).map((request) => [request.id, request]))
    writes.push({
      session: this.session,
      spec: group.findLast(({ birth }) => birth)?.birth,
      forget: group.findLast((item) => item.forget)?.forget,
      head: head && packFrame(head),
      records: group.flatMap(({ record }) => record ?? []),
      snapshot,
      dropSnapshots: snapshot && this.on.outdated(snapshot.revision),
      requests: [...requests.values()],
      dropRequests: group.flatMap((item) => item.dropRequests ?? []),
    })
    return writes
  }

  private written(group: readonly Staged[]) {
    for (const item of group) {
      this.on.written(item)
      item.done()
    }
  }

  private failed(group: readonly Staged[], error: unknown) {
    const lost = group.some(({ spare }) => !spare)
    if (lost) this.on.lost(error)
    else this.on.spared(error)
    for (const { fail } of [...group, ...(lost ? this.staged.splice(0) : [])]) fail(error)
  }
}
