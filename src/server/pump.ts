import type { Writable } from 'node:stream'

/** Why a signal aborts when the caller goes away. One for all: making an exception per call would cost more. */
export const GONE = Object.assign(new Error('the caller went away'), { name: 'AbortError' })

/**
 * Writes what comes from `source`, one item at a time: the next is written when the sink has passed the last on, so a
 * reader that stops reading stops the source, and nothing but one item waits for it. Rejects once `gone` aborts: a
 * sink whose reader went away may never say what became of a write.
 */
export async function pump(source: AsyncIterable<unknown>, sink: Writable, gone: AbortSignal): Promise<void> {
  let written: Promise<void> = Promise.resolve()
  for await (const item of source) {
    await written
    written = write(sink, item, gone)
    // Awaited in the next round; a failure in between must not count as unhandled.
    written.catch(() => {})
  }
  await written
}

export const write = (sink: Writable, item: unknown, gone: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const leave = () => reject(GONE)
    if (gone.aborted) return leave()
    gone.addEventListener('abort', leave, { once: true })
    sink.write(item, (error) => {
      gone.removeEventListener('abort', leave)
      if (error) reject(error)
      else resolve()
    })
  })
