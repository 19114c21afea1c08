/**
 * Buffers for large answers, between the session's arrays and the frame that is sent: used again, because fresh memory
 * of such a size costs more than the copy into it, in page faults and in collections that it brings about.
 */
const LARGE = 64 << 10
const MOST_BYTES = 64 << 20

const free: Uint8Array<ArrayBuffer>[] = []
const lent = new WeakSet<Uint8Array>()
let kept = 0

/** Bytes to be filled by the caller. Those that never come back are collected like any others. */
export function borrow(size: number): Uint8Array<ArrayBuffer> {
  const at = free.findLastIndex(({ length }) => length === size)
  const bytes = at < 0 ? new Uint8Array(size) : free.splice(at, 1)[0]
  if (at >= 0) kept -= size
  if (size >= LARGE) lent.add(bytes)
  return bytes
}

/** The bytes were copied and will not be read again. Others than borrowed ones are left alone. */
export function giveBack(bytes: Uint8Array): void {
  if (!lent.delete(bytes)) return
  free.push(bytes as Uint8Array<ArrayBuffer>)
  for (kept += bytes.length; kept > MOST_BYTES; ) kept -= (free.shift() as Uint8Array).length
}
