/**
 * The messages of one direction of a gRPC call, put together from the bytes of its HTTP/2 stream: a flag, four bytes of
 * length, and the message (gRPC over HTTP/2, "Length-Prefixed-Message").
 */
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { AsktellError } from '../../core/errors.js'
import { HEADER } from '../codec/encoded.js'
import { borrow } from '../codec/staging.js'
import { GONE } from '../pump.js'

/** Unread messages beyond which the stream is not read on: the sender's window then closes. */
const MOST_WAITING = 16
const MOST_WAITING_BYTES = 64 << 10

type Inflate = (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>
/** Encodings of messages by the name that `grpc-encoding` has for them. */
export const ENCODINGS: { readonly [encoding: string]: Inflate | undefined } = {
  gzip: promisify(gunzip) as Inflate,
  deflate: promisify(inflate) as Inflate,
}

export class Messages {
  private readonly waiting: { bytes: Buffer; compressed: boolean }[] = []
  private waitingBytes = 0
  /** The beginning of a header that is not whole. */
  private head: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  /** The message under way, and how much of it is there. */
  private partial?: { bytes: Buffer; compressed: boolean }
  private filled = 0
  private ended = false
  private error?: Error
  private wake?: () => void

  /** `encoding`: what compressed messages are compressed with. */
  constructor(
    private readonly stream: Readable,
    private readonly maxBytes: number,
    private readonly encoding: string,
  ) {
    stream.on('data', (chunk: Buffer) => this.take(chunk))
    stream.on('end', () => this.end())
    stream.on('aborted', () => this.fail(GONE))
    stream.on('close', () => this.fail(GONE))
  }

  /** The next message; undefined after the last. Rejects when the caller goes away before the end of a message. */
  async next(): Promise<Buffer | undefined> {
    while (this.waiting.length === 0) {
      if (this.error) throw this.error
      if (this.ended) return undefined
      if (this.stream.isPaused()) this.stream.resume()
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    const { bytes, compressed } = this.waiting.shift()!
    this.waitingBytes -= bytes.length
    return compressed ? this.expand(bytes) : bytes
  }

  private take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.error) {
      if (this.partial) {
        const count = Math.min(chunk.length - at, this.partial.bytes.length - this.filled)
        chunk.copy(this.partial.bytes, this.filled, at, at + count)
        this.filled += count
        at += count
        if (this.filled === this.partial.bytes.length) {
          this.add(this.partial)
          this.partial = undefined
        }
        continue
      }
      const missing = HEADER - this.head.length
      if (chunk.length - at < missing) {
        this.head = Buffer.concat([this.head, chunk.subarray(at)])
        break
      }
      const header = this.head.length > 0 ? Buffer.concat([this.head, chunk.subarray(at, at + missing)]) : chunk
      at += missing
      this.begin(header, this.head.length > 0 ? 0 : at - HEADER, chunk, at)
      this.head = this.head.subarray(0, 0)
      if (this.partial || this.error) continue
      at += this.waiting[this.waiting.length - 1].bytes.length
    }
    if (this.waiting.length > MOST_WAITING || this.waitingBytes > MOST_WAITING_BYTES) this.stream.pause()
  }

  /** A header has come: the message is taken as it lies in the chunk, or room is made for what comes after. */
  private begin(header: Buffer, offset: number, chunk: Buffer, at: number): void {
    const flag = header[offset]
    const length = header.readUInt32BE(offset + 1)
    if (flag > 1) return this.fail(new AsktellError('MALFORMED', `a message begins with flag ${flag}, expected 0 or 1`))
    if (length > this.maxBytes) {
      const message = `a message has ${length} bytes, at most ${this.maxBytes} are taken`
      return this.fail(new AsktellError('MESSAGE_TOO_LARGE', message))
    }
    const compressed = flag === 1
    if (chunk.length - at >= length) return this.add({ bytes: chunk.subarray(at, at + length), compressed })
    const { buffer } = borrow(length)
    this.partial = { bytes: Buffer.from(buffer, 0, length), compressed }
    this.filled = 0
  }

  private add(message: { bytes: Buffer; compressed: boolean }): void {
    this.waiting.push(message)
    this.waitingBytes += message.bytes.length
    this.wake?.()
  }

  private async expand(bytes: Buffer): Promise<Buffer> {
    const inflate = ENCODINGS[this.encoding]
    if (!inflate) throw new AsktellError('MALFORMED', 'a message is compressed, and the call names no grpc-encoding')
    try {
      return await inflate(bytes, { maxOutputLength: this.maxBytes })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
        throw new AsktellError('MESSAGE_TOO_LARGE', `a message inflates to more than ${this.maxBytes} bytes`)
      throw new AsktellError('MALFORMED', `a message is not ${this.encoding}: ${(error as Error).message}`)
    }
  }

  private end(): void {
    if (this.partial || this.head.length > 0)
      this.fail(new AsktellError('MALFORMED', 'the stream ends inside a message'))
    this.ended = true
    this.wake?.()
  }

  private fail(error: Error): void {
    if (this.ended) return
    this.error ??= error
    this.wake?.()
  }
}
