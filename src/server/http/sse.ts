/** A server stream as server-sent events (WHATWG HTML, section 9.2): `id` is the revision to resume after. */
import { create, type DescMethod, toJson } from '@bufbuild/protobuf'
import type { Response } from 'express'
import type { Output } from '../call.js'
import { asError, problem } from '../errors.js'
import { pump, write } from '../pump.js'

export const EVENTS = 'text/event-stream'
const KEEP_ALIVE_MS = 15_000

export async function sendEvents(
  method: DescMethod,
  events: AsyncIterable<Output>,
  res: Response,
  gone: AbortSignal,
): Promise<void> {
  res.set({ 'content-type': EVENTS, 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  res.flushHeaders()
  // A comment, so that proxies do not take a quiet stream for a dead one; not on top of bytes that nobody reads.
  const keepAlive = setInterval(() => {
    if (!res.writableNeedDrain) res.write(':\n\n')
  }, KEEP_ALIVE_MS)
  try {
    await pump(lines(method, events), res, gone)
  } catch (error) {
    if (!gone.aborted)
      await write(res, `event: error\ndata: ${JSON.stringify(problem(asError(error), res.locals.requestId))}\n\n`, gone)
  } finally {
    clearInterval(keepAlive)
    res.end()
  }
}

async function* lines(method: DescMethod, events: AsyncIterable<Output>): AsyncGenerator<string> {
  for await (const event of events) {
    const { revision, more } = event as { revision?: bigint; more?: boolean }
    // Without an id of its own an event leaves the last one standing: resuming repeats a revision rather than skip it.
    const id = revision === undefined || more ? '' : `id: ${revision}\n`
    yield `${id}data: ${JSON.stringify(toJson(method.output, create(method.output, event), { alwaysEmitImplicit: true }))}\n\n`
  }
}
