/** How sessions are laid out in bytes: spec, head, journal records and stored answers, each in a frame. */
import { hash } from 'node:crypto'
import { crc32c } from '@node-rs/crc32'
import { AsktellError } from '../core/errors.js'
import { decodeTree, encodeParts, encodeTree, type Tree } from '../core/tree.js'
import type { SessionInfo, WatchEvent } from './api.js'
import { Damage, frame, Newer, unframe } from './frame.js'
import type { Settings, Spec } from './negotiate.js'
import type { Op } from './operations.js'
import type { Session } from './session.js'

/** Encodes any plain data; optional fields that are undefined are left out. */
export const pack = (data: unknown): Uint8Array => encodeTree(data as Tree)
export const unpack = <T>(bytes: Uint8Array): T => {
  try {
    return decodeTree(bytes) as unknown as T
  } catch (error) {
    throw new Damage((error as Error).message)
  }
}
/** As `pack`, of what a client sent: text that is not well-formed is the client's error. */
export function packInput(data: unknown): Uint8Array {
  try {
    return pack(data)
  } catch (error) {
    if (error instanceof TypeError) throw new AsktellError('INVALID_ARGUMENT', error.message, { cause: error })
    throw error
  }
}
export const packFrame = (data: unknown): Uint8Array => frame(...encodeParts(data as Tree))
export const unpackFrame = <T>(bytes: Uint8Array): T => unpack<T>(unframe(bytes))

/** Reads something stored; damage becomes STORE_CORRUPT, a newer format UNSUPPORTED. */
export function intact<T>(read: () => T, what: string): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Damage)
      throw new AsktellError('STORE_CORRUPT', `${what} is damaged: ${error.message}`, { cause: error })
    if (error instanceof Newer) throw new AsktellError('UNSUPPORTED', `${what}: ${error.message}`, { cause: error })
    throw error
  }
}

/** The unchanging part, with the settings that the session began with and the revision its journal begins after. */
export type Birth = { spec: Spec; settings: Settings; base: number }

/** What lists show of a session, and how many bytes its journal has. */
export type Head = Pick<SessionInfo, 'revision' | 'state' | 'statusMessage' | 'updateTime' | 'counts' | 'usage'> & {
  settings: Settings
  journalBytes: number
}
export const headOf = (session: Session, journalBytes: number): Head => ({
  journalBytes,
  revision: session.revision,
  state: session.phase.state,
  statusMessage: session.phase.message,
  updateTime: session.updateTime,
  counts: { ...session.counts, open: session.openCount },
  usage: { ...session.usage },
  settings: session.settings,
})

export type Entry = { revision: number; time: number; op: Op }

/** A journal record: u32 length of the operation, the operation, and the events it led to (for watchers; replay makes its own). */
export function packRecord(entry: Uint8Array, events: readonly WatchEvent[]): Uint8Array {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, entry.length, true)
  return frame(length, entry, pack(events))
}
function split(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  const payload = unframe(bytes)
  if (payload.length < 4) throw new Damage('the record is cut short')
  const length = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true)
  return [payload.subarray(4, 4 + length), payload.subarray(4 + length)]
}
export const entryOf = (bytes: Uint8Array): Entry => unpack(split(bytes)[0])
export const eventsOf = (bytes: Uint8Array): WatchEvent[] => unpack(split(bytes)[1])

/** The stored answer to a request. */
export type Answered = { digest: string; time: number; revision: number; answer: unknown }
export type Stamp = Pick<Answered, 'time' | 'revision'>

const STAMP_BYTES = 16

/** An answer: f64 time and f64 revision, which are read of all answers, and the rest. */
export function packAnswer({ time, revision, ...rest }: Answered): Uint8Array {
  const stamp = new Uint8Array(STAMP_BYTES)
  const view = new DataView(stamp.buffer)
  view.setFloat64(0, time, true)
  view.setFloat64(8, revision, true)
  return frame(stamp, pack(rest))
}
function stampIn(payload: Uint8Array): Stamp {
  if (payload.length < STAMP_BYTES) throw new Damage('the answer is cut short')
  const view = new DataView(payload.buffer, payload.byteOffset)
  return { time: view.getFloat64(0, true), revision: view.getFloat64(8, true) }
}
export const stampOf = (bytes: Uint8Array): Stamp => stampIn(unframe(bytes))
export function unpackAnswer(bytes: Uint8Array): Answered {
  const payload = unframe(bytes)
  return { ...stampIn(payload), ...unpack<Omit<Answered, keyof Stamp>>(payload.subarray(STAMP_BYTES)) }
}

/** A hash of a request's body. Bulk arrays enter by their CRC32C, which costs no time next to reading them. */
export const digest = (kind: string, body: unknown): string => hash('sha256', kind + canonical(body), 'base64')

/** Plain data as text, the same whatever the order of fields. Strings have their lengths before them and need no quotes. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `${value.length}"${value}`
  if (value === null || typeof value !== 'object') return String(value)
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    return `${value.constructor.name} ${value.byteLength} ${crc32c(bytes)}`
  }
  let text = ''
  if (Array.isArray(value)) {
    for (const item of value) text += `${canonical(item)},`
    return `[${text}]`
  }
  const fields = value as Record<string, unknown>
  const given = Object.keys(fields).filter((key) => fields[key] !== undefined)
  for (const key of given.sort()) text += `${key.length}"${key}${canonical(fields[key])},`
  return `{${text}}`
}
