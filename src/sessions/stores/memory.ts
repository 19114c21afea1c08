/** A store that forgets at exit: for tests, trials and sessions that need no durability. */
import type { Stamped, Store, Write } from './store.js'

type Entry = {
  spec?: Uint8Array
  head?: Uint8Array
  records: Stamped[]
  snapshots: Map<number, Uint8Array>
  requests: Map<string, Uint8Array>
}

export class MemoryStore implements Store {
  private readonly sessions = new Map<string, Entry>()
  private sorted: string[] | undefined

  async write(writes: readonly Write[]): Promise<void> {
    for (const write of writes) this.apply(write)
  }
  private apply(write: Write) {
    if (write.remove && this.sessions.delete(write.session)) this.sorted = undefined
    const adds = write.spec || write.head || write.records?.length || write.snapshot || write.requests?.length
    let entry = this.sessions.get(write.session)
    if (!entry) {
      if (!adds) return
      entry = { records: [], snapshots: new Map(), requests: new Map() }
      this.sessions.set(write.session, entry)
      this.sorted = undefined
    }
    if (write.truncate !== undefined) {
      const keep = write.truncate
      while (entry.records.length && entry.records[entry.records.length - 1].revision > keep) entry.records.pop()
    }
    if (write.forget !== undefined)
      entry.records = entry.records.slice(firstAfter(entry.records, write.forget, ({ revision }) => revision))
    if (write.spec) entry.spec = write.spec
    if (write.head) entry.head = write.head
    if (write.records) entry.records.push(...write.records)
    if (write.snapshot) entry.snapshots.set(write.snapshot.revision, write.snapshot.bytes)
    for (const revision of write.dropSnapshots ?? []) entry.snapshots.delete(revision)
    for (const id of write.dropRequests ?? []) entry.requests.delete(id)
    for (const { id, bytes } of write.requests ?? []) entry.requests.set(id, bytes)
  }
  async spec(session: string) {
    return this.sessions.get(session)?.spec
  }
  async head(session: string) {
    return this.sessions.get(session)?.head
  }
  async heads(after: string, limit: number) {
    this.sorted ??= [...this.sessions.keys()].sort()
    const found: { session: string; head: Uint8Array }[] = []
    for (let i = firstAfter(this.sorted, after, (id) => id); i < this.sorted.length && found.length < limit; i++) {
      const head = this.sessions.get(this.sorted[i])?.head
      if (head) found.push({ session: this.sorted[i], head })
    }
    return found
  }
  async records(session: string, after: number, limit: number) {
    const records = this.sessions.get(session)?.records ?? []
    const from = firstAfter(records, after, ({ revision }) => revision)
    return records.slice(from, from + limit)
  }
  async snapshots(session: string) {
    return [...(this.sessions.get(session)?.snapshots.keys() ?? [])].sort((a, b) => a - b)
  }
  async snapshot(session: string, revision: number) {
    return this.sessions.get(session)?.snapshots.get(revision)
  }
  async request(session: string, id: string) {
    return this.sessions.get(session)?.requests.get(id)
  }
  async *requests(session: string) {
    for (const [id, bytes] of [...(this.sessions.get(session)?.requests ?? [])]) yield { id, bytes }
  }
  async probe() {}
  async close() {}
}

/** Index of the first element of a sorted list whose key is greater. */
function firstAfter<T, K extends string | number>(sorted: readonly T[], key: K, keyOf: (item: T) => K): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (keyOf(sorted[middle]) <= key) low = middle + 1
    else high = middle
  }
  return low
}
