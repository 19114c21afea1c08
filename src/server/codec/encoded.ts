/** The bytes of a message on their way out. */
import type { Writable } from 'node:stream'
import type { DescMessage } from '@bufbuild/protobuf'
import { borrow, giveBack, loanOf } from './staging.js'
import { encode } from './wire.js'

/** From here on a part is passed on as it lies: a write of its own costs less than the copy. */
const SEPARATE = 16 << 10
/** Lent bytes are copied so many at a time, as they are sent, and so many may be on their way. */
const PIECE = 1 << 20
const AHEAD = 4 * PIECE
/** Bytes before a message of gRPC: a flag, and four of length. */
export const HEADER = 5

function writeHeader(frame: Uint8Array, length: number): Uint8Array {
  frame[0] = 0
  for (let i = HEADER - 1, rest = length; i > 0; i--, rest >>>= 8) frame[i] = rest
  return frame
}

/** The bytes of a message, not yet put together. The parts may be used again once they have been copied or sent. */
export class Encoded {
  private readonly parts: readonly Uint8Array[]
  readonly byteLength: number

  constructor(...parts: readonly Uint8Array[]) {
    this.parts = parts
    this.byteLength = parts.reduce((sum, { length }) => sum + length, 0)
  }

  static of(desc: DescMessage, message: object): Encoded {
    return new Encoded(...encode(desc, message))
  }

  private copy(target: Uint8Array, start: number): void {
    let at = start
    for (const part of this.parts) {
      const loan = loanOf(part)
      if (loan) loan.read(target.subarray(at, at + part.length))
      else target.set(part, at)
      at += part.length
      giveBack(part)
    }
  }

  /** It will not be sent, or not on: nothing is to be copied for it any more. */
  drop(): void {
    for (const part of this.parts) loanOf(part)?.end()
  }

  toBuffer(): Buffer {
    const bytes = Buffer.allocUnsafe(this.byteLength)
    this.copy(bytes, 0)
    return bytes
  }

  /** Writes the message as a frame of gRPC: a flag, four bytes of length, and the bytes. `done` once it is passed on. */
  writeTo(sink: Writable, done: (error?: Error | null) => void): void {
    if (!this.parts.some(({ length }) => length >= SEPARATE)) {
      const length = HEADER + this.byteLength
      const frame = length < Buffer.poolSize >> 1 ? Buffer.allocUnsafe(length) : borrow(length)
      this.copy(writeHeader(frame, this.byteLength), HEADER)
      sink.write(frame, (error) => {
        giveBack(frame)
        done(error)
      })
      return
    }
    const pieces = this.pieces()
    let onTheWay = 0
    let ended = false
    const pump = () => {
      sink.cork()
      while (!ended && onTheWay < AHEAD) {
        const { value: piece } = pieces.next()
        if (!piece) ended = true
        else {
          onTheWay += piece.length
          sink.write(piece, (error) => passed(piece, error))
        }
      }
      sink.uncork()
    }
    const passed = (piece: Uint8Array, error?: Error | null) => {
      giveBack(piece)
      onTheWay -= piece.length
      if (error) {
        ended = true
        this.drop()
        done(error)
      } else if (!ended) pump()
      else if (onTheWay === 0) done()
    }
    pump()
  }

  /** The frame in pieces: small parts together, large ones as they lie, and lent ones copied when they are asked for. */
  private *pieces(): Generator<Uint8Array, undefined> {
    let small: Uint8Array[] = [writeHeader(new Uint8Array(HEADER), this.byteLength)]
    for (const part of this.parts) {
      if (part.length < SEPARATE) {
        small.push(part)
        continue
      }
      // Never an empty piece: http2 lets go of all that was written with it while what is ahead of it is still on its way.
      if (small.length > 0) yield Buffer.concat(small)
      small = []
      const loan = loanOf(part)
      if (!loan) yield part
      else
        for (let left = part.length; left > 0; ) {
          const piece = borrow(Math.min(left, PIECE))
          left -= loan.read(piece)
          yield piece
        }
    }
    if (small.length > 0) yield Buffer.concat(small)
    return undefined
  }
}
