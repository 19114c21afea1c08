/** One gRPC call on an HTTP/2 stream: messages in and out, and the status that ends it. */
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { AsktellError } from '../../core/errors.js'
import type { Encoded } from '../codec/encoded.js'
import { GONE } from '../pump.js'
import { ENCODINGS, Messages } from './messages.js'
import { OK, type Status, statusOf } from './status.js'

const HEADERS: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': ['identity', ...Object.keys(ENCODINGS)].join(','),
}
const UNITS: { readonly [unit: string]: number } = { H: 3.6e6, M: 6e4, S: 1e3, m: 1, u: 1e-3, n: 1e-6 }
const LONGEST_TIMER = 2 ** 31 - 1
const LINGER_MS = 1000

export class GrpcCall {
  /** Aborts when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal
  /** Who calls, once that is known. */
  principal = ''
  private readonly gone = new AbortController()
  /** Ends the wait of messages that are on their way. */
  private readonly sending = new Set<(error: Error) => void>()
  private readonly messages: Messages
  private timer?: NodeJS.Timeout
  private finished = false

  constructor(
    private readonly stream: ServerHttp2Stream,
    private readonly headers: IncomingHttpHeaders,
    maxMessageBytes: number,
  ) {
    this.signal = this.gone.signal
    this.messages = new Messages(stream, maxMessageBytes, this.encoding)
    stream.on('error', () => {})
    stream.on('close', () => {
      clearTimeout(this.timer)
      if (!this.finished) this.leave()
    })
  }

  /** Lets the caller in. Throws AsktellError when the headers ask for what there is not. */
  open(principal: string): void {
    this.principal = principal
    if (this.encoding !== 'identity' && !ENCODINGS[this.encoding])
      throw new AsktellError('UNSUPPORTED', `messages in ${this.encoding} are not taken`)
    const left = timeout(this.header('grpc-timeout'))
    if (left !== undefined) this.timer = setTimeout(() => this.expire(), Math.min(left, LONGEST_TIMER))
  }

  private get encoding(): string {
    return this.header('grpc-encoding') ?? 'identity'
  }

  /** The text of a header; of several with one name, the first. */
  header(name: string): string | undefined {
    const value = this.headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  /** The next message of the caller; undefined after the last. */
  next(): Promise<Buffer | undefined> {
    return this.messages.next()
  }

  /** The one message of a call that takes one. */
  async only(): Promise<Buffer> {
    const message = await this.next()
    if (!message) throw new AsktellError('MALFORMED', 'expected a message')
    if (await this.next()) throw new AsktellError('MALFORMED', 'expected one message, got more')
    return message
  }

  /** Tells the caller that its call has begun, before there is an answer. */
  begin(): void {
    if (!this.stream.headersSent && !this.stream.destroyed) this.stream.respond(HEADERS, { waitForTrailers: true })
  }

  /** Resolves when the message has been passed on, so that a reader that stops reading stops the sender. */
  send(message: Encoded): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.finished || this.signal.aborted || this.stream.destroyed) {
        message.drop()
        return reject(GONE)
      }
      this.begin()
      this.sending.add(reject)
      message.writeTo(this.stream, (error) => {
        this.sending.delete(reject)
        if (error) reject(error)
        else resolve()
      })
    })
  }

  /** Ends the call; what was sent before goes out first. */
  end(status: Status = OK): void {
    if (this.finished) return
    this.finished = true
    clearTimeout(this.timer)
    const { stream } = this
    if (stream.destroyed) return
    if (!stream.headersSent) stream.respond({ ...HEADERS, ...status }, { endStream: true })
    else {
      stream.on('wantTrailers', () => stream.sendTrailers(status))
      stream.end()
    }
    if (stream.readableEnded) return
    // What else the caller says is dropped, until it has had time to read the status.
    stream.resume()
    setTimeout(() => stream.destroyed || stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS).unref()
  }

  private expire(): void {
    this.end(statusOf(new AsktellError('DEADLINE', 'the deadline of the call has passed')))
    this.leave()
  }

  private leave(): void {
    this.gone.abort(GONE)
    // A stream whose reader went away may never say what became of a write.
    for (const reject of this.sending) reject(GONE)
  }
}

/** Milliseconds of a `grpc-timeout` header. */
function timeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? []
  if (!unit) throw new AsktellError('MALFORMED', `grpc-timeout: expected digits and one of HMSmun, got "${text}"`)
  return Number(digits) * UNITS[unit]
}
