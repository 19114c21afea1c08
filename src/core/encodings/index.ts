/** The lossy encodings of tensors on their way, by name. */
import { blockInt8 } from './block-int8.js'
import type { Codec, Values } from './codec.js'
import { sign } from './sign.js'
import { topK } from './top-k.js'

export const ENCODINGS = { 'block-int8': blockInt8, sign, 'top-k': topK } as const satisfies {
  [name: string]: Codec
}
export type Lossy = keyof typeof ENCODINGS
export const LOSSY = Object.keys(ENCODINGS) as readonly Lossy[]
export const isLossy = (name: string): name is Lossy => Object.hasOwn(ENCODINGS, name)

/** Share of the values that `top-k` keeps where nobody says otherwise. */
export const DENSITY = 0.01

/** Elements of a piece: a tensor travels in pieces of its own data, so that no message grows large. */
export const PIECE = 1 << 19

/** A part of a tensor as it travels. */
export type Piece = { offset: number; length: number; data: Uint8Array }

/** An array in pieces. Its values must be finite as float32. */
export function encodePieces(values: Values, name: Lossy, density: number): Piece[] {
  return Array.from({ length: Math.ceil(values.length / PIECE) }, (_, i) => {
    const piece = values.subarray(i * PIECE, (i + 1) * PIECE)
    return { offset: i * PIECE, length: piece.length, data: ENCODINGS[name].encode(piece, density) }
  })
}

/** What pieces stand for, into an array that they cover. */
export function decodePieces(pieces: readonly Piece[], name: Lossy, into: Values): void {
  for (const { offset, length, data } of pieces) ENCODINGS[name].decode(data, into, offset, length)
}
