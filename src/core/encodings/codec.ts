/** What the lossy encodings have in common. */
import { bring, PART, type Places, placesFor } from './kernels.js'

export type Values = Float32Array | Float64Array

/** Values that are computed as they are encoded. */
export type Flow = {
  length: number
  /** Puts so many elements from `at` on to `places.a`. */
  bring(at: number, length: number, places: Places): void
  /** Is shown at `places.c` what these come back as. */
  came(at: number, length: number, places: Places): void
}

/**
 * An encoding that keeps part of its values. They are encoded and come back as float32, the same bits in every client, so
 * that each side knows what the other has. Values must be finite as float32.
 */
export type Codec = {
  /** `density` is the share of the values that a sparse encoding keeps, above 0 and up to 1. */
  encode(values: Values | Flow, density: number): Uint8Array
  /** What is wrong with bytes that should stand for `length` values. */
  wrong(bytes: Uint8Array, length: number): string | undefined
  /** Writes what `bytes` stand for to `into`, from `at` on, or adds it to what is there. */
  decode(bytes: Uint8Array, into: Values, at: number, length: number, added?: boolean): void
}

/** Values that have a scale of their own. */
export const BLOCK = 256
export const blocksOf = (length: number): number => Math.ceil(length / BLOCK)

/** What is wrong with a number of bytes. */
export const wrongSize = ({ length }: Uint8Array, expected: number): string | undefined =>
  length === expected ? undefined : `expected ${expected} bytes, got ${length}`

/** Bytes may lie at any offset, where no typed array can. */
export const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength)

/** Values or what is computed, part by part: each is at `places.a` when `encode` is called. */
export function eachPart(
  source: Values | Flow,
  part: number,
  encode: (at: number, length: number, places: Places) => void,
  decode: (length: number, places: Places) => void,
): void {
  const places = placesFor(Math.min(part, source.length))
  for (let at = 0; at < source.length; at += part) {
    const length = Math.min(part, source.length - at)
    if (ArrayBuffer.isView(source)) bring(source, at, length, places.a)
    else source.bring(at, length, places)
    encode(at, length, places)
    if (ArrayBuffer.isView(source)) continue
    decode(length, places)
    source.came(at, length, places)
  }
}

/** Calls back for each part of so many elements. */
export function partsOf(length: number, work: (at: number, length: number, places: Places) => void): void {
  const places = placesFor(Math.min(PART, length))
  for (let at = 0; at < length; at += PART) work(at, Math.min(PART, length - at), places)
}
