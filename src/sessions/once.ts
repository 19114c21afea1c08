/** Idempotency: a request id is answered once, and every repeat gets that answer. */
import { AsktellError } from '../core/errors.js'
import type { Context } from './context.js'
import { intact, type Stamp, stampOf, unpackAnswer } from './record.js'

const LONGEST_ID = 128

export class Once {
  private readonly running = new Map<string, { digest: string; result: Promise<{ answer: unknown }> }>()

  /** `stored` finds the answer of an earlier request. */
  constructor(
    private readonly stored: (requestId: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  ) {}

  /**
   * Runs a call unless its request id was seen: then its stored answer comes back, or that of the call that is still
   * running. Throws REQUEST_ID_REUSED when that one had another body. `call` must store its answer. `resume` goes on with
   * what a stored answer left undone, or gives undefined.
   */
  async run<A>(
    requestId: string | undefined,
    digest: string,
    call: () => Promise<A>,
    resume?: (stored: A) => Promise<A> | undefined,
  ): Promise<{ answer: A; repeated: boolean }> {
    if (!requestId) return { answer: await call(), repeated: false }
    if (requestId.length > LONGEST_ID) {
      const message = `expected at most ${LONGEST_ID} characters, got ${requestId.length}`
      throw new AsktellError('INVALID_ARGUMENT', `requestId: ${message}`, { issues: [{ path: 'requestId', message }] })
    }
    const first = this.running.get(requestId)
    if (first) {
      if (first.digest !== digest) throw reused(requestId)
      return { answer: (await first.result).answer as A, repeated: true }
    }
    const result = this.lookUp(requestId, digest, call, resume)
    this.running.set(requestId, { digest, result })
    try {
      return await result
    } finally {
      this.running.delete(requestId)
    }
  }

  private async lookUp<A>(
    requestId: string,
    digest: string,
    call: () => Promise<A>,
    resume?: (stored: A) => Promise<A> | undefined,
  ) {
    const bytes = await this.stored(requestId)
    if (!bytes) return { answer: await call(), repeated: false }
    const answered = intact(() => unpackAnswer(bytes), `the answer to request "${requestId}"`)
    if (answered.digest !== digest) throw reused(requestId)
    const stored = answered.answer as A
    return { answer: (await resume?.(stored)) ?? stored, repeated: true }
  }
}

/**
 * Request ids whose answers are both old and many requests ago, how many others there are, and when the oldest of those
 * is old. Reads all of them.
 */
export async function forgettable({ store, limits }: Context, session: string, now: number) {
  const all: ({ id: string } & Stamp)[] = []
  for await (const { id, bytes } of store.requests(session)) all.push({ id, ...stampOf(bytes) })
  all.sort((a, b) => b.time - a.time || b.revision - a.revision)
  const old = all.slice(limits.requests).filter(({ time }) => time < now - limits.requestAge)
  const kept = all.length - old.length
  return { dropRequests: old.map(({ id }) => id), kept, nextTime: (all[kept - 1]?.time ?? now) + limits.requestAge }
}

const reused = (requestId: string): AsktellError =>
  new AsktellError('REQUEST_ID_REUSED', `request id "${requestId}" was used before with another body`)
