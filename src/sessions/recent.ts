/** The last events of a session, for watchers that keep up: one entry per revision, without a gap. */
import type { WatchEvent } from './api.js'

export type Revision = { revision: number; events: readonly WatchEvent[] }

const PAGE = 64

export class Recent {
  private entries: Revision[] = []

  constructor(private readonly most: number) {}

  push(revision: number, events: readonly WatchEvent[]): void {
    if (this.entries.length > 0 && this.entries[this.entries.length - 1].revision !== revision - 1) this.entries = []
    this.entries.push({ revision, events })
    if (this.entries.length > 2 * this.most) this.entries = this.entries.slice(-this.most)
  }
  clear(): void {
    this.entries = []
  }
  /** The revision before the oldest entry; undefined when there is none. */
  get begin(): number | undefined {
    return this.entries.length > 0 ? this.entries[0].revision - 1 : undefined
  }
  /** Some of the entries after a revision, in order; undefined when the next is not here. */
  after(revision: number): readonly Revision[] | undefined {
    const at = this.begin === undefined ? -1 : revision - this.begin
    if (at < 0 || at >= this.entries.length) return undefined
    return this.entries.slice(at, at + PAGE)
  }
}
