/**
 * Events of a session in order: what the journal holds from a revision on, then as they happen. Nothing is buffered for a
 * reader: it is always served from the journal, or from the last events in memory, from where it stands.
 */
import { AsktellError } from '../core/errors.js'
import type { Actor } from './actor.js'
import type { WatchEvent } from './api.js'
import { type Context, notFound } from './context.js'
import { readBirth } from './load.js'
import { eventsOf } from './record.js'

const PAGE = 64

/** From the event after `after` on; only new ones when -1. Ends when the signal aborts. */
export async function* watch(
  { store }: Context,
  actor: Actor,
  after: number,
  signal: AbortSignal,
): AsyncIterable<WatchEvent> {
  let wake: (() => void) | undefined
  let changed = false
  const notify = () => {
    changed = true
    wake?.()
  }
  const off = actor.onChange(notify)
  signal.addEventListener('abort', notify)
  try {
    const { revision } = await actor.read((session) => session)
    const { base, spec } = await readBirth(store, actor.id)
    const volatile = spec.durability === 'snapshot'
    let at = after < 0 ? revision : Math.max(after, volatile ? actor.eventsBegin : base)
    while (!signal.aborted) {
      changed = false
      if (actor.deleted) throw notFound(actor.id)
      if (actor.closed) throw new AsktellError('UNAVAILABLE', 'the server is stopping', { retryAfter: 1 })
      let entries = actor.recentAfter(at)
      if (!entries) {
        if (volatile)
          throw new AsktellError(
            'OVERLOADED',
            `the events after revision ${at} are no longer kept: watch from ${actor.head?.revision} on`,
          )
        const records = await store.records(actor.id, at, PAGE)
        entries = records.map(({ revision, bytes }) => ({ revision, events: eventsOf(bytes) }))
      }
      for (const entry of entries) {
        const last = entry.events.length - 1
        for (const [i, event] of entry.events.entries()) {
          if (signal.aborted) return
          yield i < last ? { ...event, more: true } : event
        }
        at = entry.revision
      }
      if (entries.length === 0 && !changed && !signal.aborted)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    off()
    signal.removeEventListener('abort', notify)
  }
}
