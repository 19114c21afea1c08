// Copied from src/core/encodings by scripts/generate-client.mjs.
/** The lossy encodings of tensors on their way, by name. */
import { blockInt8 } from './block-int8.js'
import type { Codec, Flow, Values } from './codec.js'
import { bring, kernels, padded, take } from './kernels.js'
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
  return piecesOf(values.length, (at, end) => ENCODINGS[name].encode(values.subarray(at, end), density))
}

/** What pieces stand for, into an array that they cover. */
export function decodePieces(pieces: readonly Piece[], name: Lossy, into: Values): void {
  for (const { offset, length, data } of pieces) ENCODINGS[name].decode(data, into, offset, length)
}

/**
 * Encodes values and what was left out of those before them, and puts into `left` what is left out of both. Undefined when
 * a sum is no finite float32; `left` is then of no use.
 */
export function encodeWithRest(
  values: Values,
  rest: Values,
  left: Values,
  name: Lossy,
  density: number,
): Piece[] | undefined {
  if (values instanceof Float32Array && rest instanceof Float32Array)
    return encodeFlow(values.length, name, density, (start) => ({
      bring(at, length, { a, b }) {
        bring(rest, start + at, length, a)
        bring(values, start + at, length, b)
        kernels.plus(a, b, padded(length), a)
      },
      came(at, length, { a, c }) {
        kernels.minus(a, c, padded(length), a)
        take(a, length, left, start + at)
      },
    }))
  for (let i = 0; i < left.length; i++) left[i] = rest[i] + values[i]
  const pieces = encodeFinite(left, name, density)
  const came = pieces && decoded(pieces, name, left.length)
  if (came) for (let i = 0; i < left.length; i++) left[i] -= came[i]
  return pieces
}

/**
 * Encodes what a copy lacks of values, and adds to the copy what of this arrives. Undefined when a difference is no finite
 * float32; the copy is then of no use.
 */
export function encodeLacking(values: Values, copy: Values, name: Lossy, density: number): Piece[] | undefined {
  if (values instanceof Float32Array && copy instanceof Float32Array)
    return encodeFlow(values.length, name, density, (start) => ({
      bring(at, length, { a, b }) {
        bring(values, start + at, length, a)
        bring(copy, start + at, length, b)
        kernels.minus(a, b, padded(length), a)
      },
      came(at, length, { b, c }) {
        kernels.plus(b, c, padded(length), c)
        take(c, length, copy, start + at)
      },
    }))
  const delta = new Float64Array(values.length)
  for (let i = 0; i < delta.length; i++) delta[i] = values[i] - copy[i]
  const pieces = encodeFinite(delta, name, density)
  for (const { offset, length, data } of pieces ?? []) ENCODINGS[name].decode(data, copy, offset, length, true)
  return pieces
}

function piecesOf(length: number, encode: (at: number, end: number) => Uint8Array): Piece[] {
  return Array.from({ length: Math.ceil(length / PIECE) }, (_, i) => {
    const offset = i * PIECE
    const end = Math.min(length, offset + PIECE)
    return { offset, length: end - offset, data: encode(offset, end) }
  })
}

class NotFinite extends Error {}

/** Pieces of what `flow` computes from an element on. */
function encodeFlow(
  length: number,
  name: Lossy,
  density: number,
  flow: (start: number) => Omit<Flow, 'length'>,
): Piece[] | undefined {
  try {
    return piecesOf(length, (start, end) => {
      const { bring, came } = flow(start)
      const checked: Flow['bring'] = (at, n, places) => {
        bring(at, n, places)
        if (!kernels.finite(places.a, padded(n))) throw new NotFinite()
      }
      return ENCODINGS[name].encode({ length: end - start, bring: checked, came }, density)
    })
  } catch (error) {
    if (error instanceof NotFinite) return undefined
    throw error
  }
}

function encodeFinite(values: Values, name: Lossy, density: number): Piece[] | undefined {
  return values.every((value) => Number.isFinite(Math.fround(value))) ? encodePieces(values, name, density) : undefined
}

function decoded(pieces: readonly Piece[], name: Lossy, length: number): Float32Array {
  const values = new Float32Array(length)
  decodePieces(pieces, name, values)
  return values
}
