/** What a call carries beside its message, and the one place where calls of both transports are run, timed and logged. */
import type { DescMessage, DescMethod, Message, MessageInitShape } from '@bufbuild/protobuf'
import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsktellError } from '../core/errors.js'
import { asError, draining, protocolPath, relocate } from './errors.js'
import { GONE } from './pump.js'
import type { Implementation } from './service.js'
import type { Telemetry } from './telemetry.js'

/** What a transport knows of a call. */
export type Origin = {
  transport: 'grpc' | 'http'
  /** For logs and problem reports; chosen by the client or by the server. */
  requestId: string
  principal: string
  /** W3C Trace Context header. */
  traceparent?: string
  /** Aborts when the caller goes away. */
  signal: AbortSignal
}

export type Call = Origin & {
  /** Aborts when the server begins to drain: nothing new is begun, waits and streams end. */
  draining: AbortSignal
  trace: Context
}

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** The caller's span as a context; the root when there is none or it is malformed (W3C Trace Context, section 3.2). */
export function remoteContext(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (!traceId) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true })
}

type Input = Message | AsyncIterable<Message>
/** A message, or the fields of one: `create` makes it of either. */
export type Output = MessageInitShape<DescMessage>
type Handler = (input: unknown, call: Call) => Promise<Output | AsyncIterable<Output>>

export class Dispatcher {
  private readonly stop = new AbortController()
  /** Calls that have not ended. */
  active = 0
  private onIdle = () => {}

  constructor(
    private readonly implementation: Implementation,
    private readonly telemetry: Telemetry,
  ) {}

  drain(): void {
    this.stop.abort()
  }

  /** Resolves when no call is active. */
  async idle(): Promise<void> {
    if (this.active > 0)
      await new Promise<void>((resolve) => {
        this.onIdle = resolve
      })
  }

  get draining(): AbortSignal {
    return this.stop.signal
  }

  /** Runs one call on what `read` gives. Rejects, and the answer's iteration fails, with AsktellError only. */
  async run(
    method: DescMethod,
    read: () => Input | Promise<Input>,
    origin: Origin,
  ): Promise<Output | AsyncIterable<Output>> {
    const { telemetry } = this
    const started = performance.now()
    const parent = remoteContext(origin.traceparent)
    const span = telemetry.tracer.startSpan(
      `${method.parent.typeName}/${method.name}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          'rpc.system': origin.transport,
          'rpc.service': method.parent.typeName,
          'rpc.method': method.name,
        },
      },
      parent,
    )
    this.active++
    const end = (error?: AsktellError) => {
      this.active--
      if (this.active === 0) this.onIdle()
      const code = error?.reason ?? 'OK'
      telemetry.call(method.name, origin.transport, code, (performance.now() - started) / 1000)
      if (error) span.setStatus({ code: SpanStatusCode.ERROR, message: code })
      span.end()
      const line = {
        rpc: method.name,
        transport: origin.transport,
        code,
        requestId: origin.requestId,
        principal: origin.principal,
      }
      if (error?.reason === 'INTERNAL') telemetry.log.error({ ...line, err: error.cause }, 'call failed')
      else telemetry.log.debug({ ...line, issues: error?.issues }, 'call')
    }
    const failed = (thrown: unknown): AsktellError => {
      let error = asError(relocate(thrown, protocolPath))
      // A wait that the drain cut short looks like a cancelled call from inside.
      if (error.reason === 'CANCELLED' && this.draining.aborted && !origin.signal.aborted) error = draining()
      end(error)
      return error
    }

    let answer: Output | AsyncIterable<Output>
    try {
      if (this.draining.aborted) throw draining()
      const handler = this.implementation[method.localName as keyof Implementation] as Handler
      answer = await handler(await read(), { ...origin, draining: this.draining, trace: trace.setSpan(parent, span) })
    } catch (thrown) {
      throw failed(thrown)
    }
    if (!isStream(answer)) {
      end()
      return answer
    }
    return watched(answer, end, failed)
  }
}

export const isStream = (answer: Output | AsyncIterable<Output>): answer is AsyncIterable<Output> =>
  Symbol.asyncIterator in answer

/** What comes from `source`, with a word on how it ended. By hand: a generator per layer costs more than a small step. */
function watched(
  source: AsyncIterable<Output>,
  end: (error?: AsktellError) => void,
  failed: (thrown: unknown) => AsktellError,
): AsyncIterable<Output> {
  const iterator = source[Symbol.asyncIterator]()
  const watching: AsyncIterator<Output> = {
    async next() {
      try {
        const result = await iterator.next()
        if (result.done) end()
        return result
      } catch (thrown) {
        throw failed(thrown)
      }
    },
    /** Left early: the reader went away. */
    async return() {
      await iterator.return?.()
      end(new AsktellError('CANCELLED', 'the caller went away'))
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => watching }
}

/**
 * A signal that aborts with the first of several. `release` lets go of them: AbortSignal.any would leave something behind
 * in a signal that lives as long as the server.
 */
export function linked(...signals: AbortSignal[]): { signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  const abort = () => controller.abort(GONE)
  for (const signal of signals) {
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
  }
  return {
    signal: controller.signal,
    release() {
      for (const signal of signals) signal.removeEventListener('abort', abort)
    },
  }
}

/** What comes from `source` until `signal` aborts; then fails with `reason()`, also in the middle of a wait. */
export function until<T>(source: AsyncIterable<T>, signal: AbortSignal, reason: () => Error): AsyncIterableIterator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let stop = () => {}
  const abort = () => stop()
  signal.addEventListener('abort', abort)
  const leave = () => {
    signal.removeEventListener('abort', abort)
    // Not awaited: a source that is still waiting would hold back the end.
    void iterator.return?.()?.catch(() => {})
  }
  const next = () =>
    // No Promise.race with one promise for all rounds: that would keep every item until the end of the stream.
    new Promise<IteratorResult<T>>((resolve, reject) => {
      const fail = (error: unknown) => {
        leave()
        reject(error)
      }
      stop = () => fail(reason())
      if (signal.aborted) return stop()
      iterator.next().then((result) => {
        if (result.done) leave()
        resolve(result)
      }, fail)
    })
  return {
    next,
    async return() {
      leave()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
