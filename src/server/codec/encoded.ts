/** The bytes of a message on their way out. */
import type { Writable } from 'node:stream'
import type { DescMessage, Message } from '@bufbuild/protobuf'
import { giveBack } from './staging.js'
import { encode } from './wire.js'

/** From here on a part is passed on as it lies: a write of its own costs less than the copy. */
const SEPARATE = 16 << 10

/** The bytes of a message, not yet put together. The parts may be used again once they have been copied or sent. */
export class Encoded {
  private readonly parts: readonly Uint8Array[]
  readonly byteLength: number

  constructor(...parts: readonly Uint8Array[]) {
    this.parts = parts
    this.byteLength = parts.reduce((sum, { length }) => sum + length, 0)
  }

  static of(desc: DescMessage, message: Message): Encoded {
    return new Encoded(...encode(desc, message))
  }

  private copy(target: Uint8Array, start: number): void {
    let at = start
    for (const part of this.parts) {
      target.set(part, at)
      at += part.length
      giveBack(part)
    }
  }

  toBuffer(): Buffer {
    const bytes = Buffer.allocUnsafe(this.byteLength)
    this.copy(bytes, 0)
    return bytes
  }

  /** Writes the message as a frame of gRPC: a flag, four bytes of length, and the bytes. `done` once it is passed on. */
  writeTo(sink: Writable, done: (error?: Error | null) => void): void {
    if (!this.parts.some(({ length }) => length >= SEPARATE)) {
      const frame = Buffer.allocUnsafe(5 + this.byteLength)
      frame[0] = 0
      frame.writeUInt32BE(this.byteLength, 1)
      this.copy(frame, 5)
      sink.write(frame, done)
      return
    }
    const header = Buffer.alloc(5)
    header.writeUInt32BE(this.byteLength, 1)
    const pieces: Uint8Array[] = []
    let small: Uint8Array[] = [header]
    const join = () => {
      // Never an empty piece: http2 lets go of all that was written with it while what is ahead of it is still on its way.
      if (small.length > 0) pieces.push(Buffer.concat(small))
      small = []
    }
    for (const part of this.parts) {
      if (part.length < SEPARATE) {
        small.push(part)
        continue
      }
      join()
      pieces.push(part)
    }
    join()
    sink.cork()
    for (const [i, piece] of pieces.entries())
      sink.write(piece, (error) => {
        giveBack(piece)
        if (i === pieces.length - 1) done(error)
      })
    sink.uncork()
  }
}
