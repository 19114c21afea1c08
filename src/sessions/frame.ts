/**
 * Everything stored or exported is framed: length, CRC32C, version. A flipped bit or a cut end is found before a byte is
 * believed. Layout, little-endian: u32 length of the payload, u32 CRC32C of version and payload, u8 version, payload.
 */
import { crc32c } from '@node-rs/crc32'

const VERSION = 1
const HEADER = 9
const LONGEST = 2 ** 32 - 1

/** Bytes that do not hold what was written: a wrong length, checksum or structure. */
export class Damage extends Error {}
/** Bytes written by a newer release. */
export class Newer extends Error {}

export function frame(...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((n, part) => n + part.length, 0)
  if (length > LONGEST) throw new RangeError(`a frame holds at most ${LONGEST} bytes, got ${length}`)
  const bytes = new Uint8Array(HEADER + length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, length, true)
  bytes[8] = VERSION
  let at = HEADER
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  view.setUint32(4, crc32c(bytes.subarray(8)), true)
  return bytes
}

/** Bytes of the whole frame that begins here, or undefined when even its length is not there yet. */
export function frameLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER) return undefined
  return HEADER + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
}

/** The payload of a frame. Throws Damage or Newer. */
export function unframe(bytes: Uint8Array): Uint8Array {
  const length = frameLength(bytes)
  if (length === undefined || bytes.length !== length)
    throw new Damage(`expected a frame of ${length ?? 'at least 9'} bytes, got ${bytes.length}`)
  const sum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true)
  if (crc32c(bytes.subarray(8)) !== sum) throw new Damage('the checksum does not match')
  if (bytes[8] !== VERSION)
    throw new Newer(`written in format ${bytes[8]}; this release reads ${VERSION}: use a newer release`)
  return bytes.subarray(HEADER)
}
