/** What the lossy encodings have in common. */
export type Values = Float32Array | Float64Array

/**
 * An encoding that keeps part of its values. They are encoded and come back as float32, the same bits in every client, so
 * that each side knows what the other has. Values must be finite as float32.
 */
export type Codec = {
  /** `density` is the share of the values that a sparse encoding keeps, above 0 and up to 1. */
  encode(values: Values, density: number): Uint8Array
  /** What is wrong with bytes that should stand for `length` values. */
  wrong(bytes: Uint8Array, length: number): string | undefined
  /** Writes what `bytes` stand for to `into`, from `at` on. */
  decode(bytes: Uint8Array, into: Values, at: number, length: number): void
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
