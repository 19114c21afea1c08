/**
 * Memory for bulk that passes through: messages under assembly, gradients until their step, answers until they are sent.
 * It is used again, because fresh memory of such a size costs more than the copy into it, in page faults and in
 * collections that it brings about.
 */
import type { Loan } from '../../core/loan.js'

const LEAST = 4 << 10
const MOST_BYTES = 192 << 20

const free: ArrayBuffer[] = []
const lent = new WeakSet<ArrayBufferLike>()
let kept = 0

/** Bytes to be filled by the caller, at the beginning of a buffer of their own. What never comes back is collected. */
export function borrow(size: number): Uint8Array<ArrayBuffer> {
  if (size < LEAST) return new Uint8Array(size)
  const at = free.findLastIndex(({ byteLength }) => byteLength === size)
  const buffer = at < 0 ? new ArrayBuffer(size) : free.splice(at, 1)[0]
  if (at >= 0) kept -= size
  lent.add(buffer)
  return new Uint8Array(buffer)
}

/**
 * The bytes will not be read again, nor anything else in their buffer, all of which is then lent anew. Others than
 * borrowed ones are left alone.
 */
export function giveBack({ buffer }: ArrayBufferView): void {
  if (!lent.delete(buffer)) return
  free.push(buffer as ArrayBuffer)
  for (kept += buffer.byteLength; kept > MOST_BYTES; ) kept -= (free.shift() as ArrayBuffer).byteLength
}

const loans = new WeakMap<Uint8Array, Loan>()

/** Marks bytes of a message as lent: what they are is read from the loan. */
export function markLent(bytes: Uint8Array, loan: Loan): Uint8Array {
  loans.set(bytes, loan)
  return bytes
}
export const loanOf = (bytes: Uint8Array): Loan | undefined => loans.get(bytes)
