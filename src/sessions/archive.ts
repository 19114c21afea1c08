/**
 * A session as one file: a magic word, then frames: what it is, its snapshots, its journal, and an end that counts them.
 * Every frame has its own checksum; a file that is cut, damaged or newer is refused as a whole.
 */
import { AsktellError } from '../core/errors.js'
import type { Actor } from './actor.js'
import type { Context } from './context.js'
import { problemOf } from './edits.js'
import { Damage, frameLength } from './frame.js'
import { load, readBirth } from './load.js'
import { negotiate } from './negotiate.js'
import { type Birth, type Head, headOf, packFrame, unpackFrame } from './record.js'
import { MemoryStore } from './stores/memory.js'
import type { Stamped } from './stores/store.js'
import { checkEarlier } from './warm-start.js'

const MAGIC = new TextEncoder().encode('ASKTELL\n')
const PAGE = 256

type Part =
  | { part: 'session'; id: string; birth: Birth; head: Head }
  | ({ part: 'snapshot' } & Stamped)
  | ({ part: 'record' } & Stamped)
  | { part: 'end'; parts: number }

/** The session as it is when the export begins. */
export async function* exportFile({ store }: Context, actor: Actor): AsyncIterable<Uint8Array> {
  const { head, snapshots } = await actor.read(async (session) => {
    const head = headOf(session, 0)
    const tree = session.spec.durability === 'snapshot' && packFrame(await session.toTree())
    if (tree) return { head, snapshots: [{ revision: head.revision, bytes: tree }] }
    // The first is where the journal begins when it isn't whole; the last saves most of the replay.
    const revisions = await store.snapshots(actor.id)
    const snapshots: Stamped[] = []
    for (const revision of new Set([revisions.at(0), revisions.at(-1)])) {
      const bytes = revision !== undefined && (await store.snapshot(actor.id, revision))
      if (bytes) snapshots.push({ revision: revision!, bytes })
    }
    return { head, snapshots }
  })
  const stored = await readBirth(store, actor.id)
  const journaled = stored.spec.durability === 'journal'
  const birth = journaled ? stored : { ...stored, base: head.revision }
  yield MAGIC
  yield packFrame({ part: 'session', id: actor.id, birth, head } satisfies Part)
  let parts = 1
  for (const snapshot of snapshots) {
    yield packFrame({ part: 'snapshot', ...snapshot } satisfies Part)
    parts++
  }
  for (let at = birth.base; journaled && at < head.revision; ) {
    const page = (await store.records(actor.id, at, PAGE)).filter(({ revision }) => revision <= head.revision)
    if (page.length === 0) throw new AsktellError('STORE_CORRUPT', `session "${actor.id}" lacks revision ${at + 1}`)
    for (const record of page) {
      yield packFrame({ part: 'record', ...record } satisfies Part)
      parts++
    }
    at = page[page.length - 1].revision
  }
  yield packFrame({ part: 'end', parts } satisfies Part)
}

type Parts = { birth: Birth; head: Head; snapshots: Stamped[]; records: Stamped[] }
export type Imported = Parts & { stateHash: string }

/** Reads a file and proves that the session in it can be brought to life. Throws INVALID_ARGUMENT that says what is wrong. */
export async function importFile(context: Context, chunks: AsyncIterable<Uint8Array>): Promise<Imported> {
  try {
    const imported = await readParts(chunks, context.limits.importBytes)
    return { ...imported, ...(await tryOut(context, imported)) }
  } catch (error) {
    if (error instanceof AsktellError && error.reason !== 'STORE_CORRUPT') throw error
    throw refused((error as Error).message)
  }
}

/** What the session is when it is loaded. Whoever wrote the file, it passes the checks of a new one. */
async function tryOut(context: Context, { birth, head, snapshots, records }: Parts) {
  const { spec, settings } = birth
  const problem = problemOf(spec, settings)
  const warmStartFrom = spec.earlier?.map(({ session }) => session)
  negotiate({ ...spec, ...settings, problem, warmStartFrom }, context, spec, spec.createTime)
  checkEarlier(spec)
  const store = new MemoryStore()
  await store.write([{ session: 'trial', spec: packFrame(birth), head: packFrame(head), records }])
  for (const snapshot of snapshots) await store.write([{ session: 'trial', snapshot }])
  const { session } = await load({ ...context, store, hooks: {} }, 'trial')
  try {
    if (session.revision !== head.revision)
      throw new Damage(`it ends at revision ${session.revision} and should end at ${head.revision}`)
    const journalBytes = records.reduce((sum, { bytes }) => sum + bytes.length, 0)
    return { head: headOf(session, journalBytes), stateHash: await session.hash() }
  } finally {
    session.host.close()
  }
}

async function readParts(chunks: AsyncIterable<Uint8Array>, most: number): Promise<Parts> {
  let imported: Parts | undefined
  let parts = 0
  let ended = false
  for await (const bytes of frames(chunks, most)) {
    const part = unpackFrame<Part>(bytes)
    if (ended) throw new Damage('there are bytes after the end')
    if (part.part === 'session') imported = { birth: part.birth, head: part.head, snapshots: [], records: [] }
    else if (!imported) throw new Damage('it does not begin with a session')
    else if (part.part === 'snapshot') imported.snapshots.push({ revision: part.revision, bytes: part.bytes })
    else if (part.part === 'record') imported.records.push({ revision: part.revision, bytes: part.bytes })
    else {
      if (part.parts !== parts) throw new Damage(`it has ${parts} parts and should have ${part.parts}`)
      ended = true
    }
    parts++
  }
  if (!imported || !ended) throw new Damage('it is cut short')
  return imported
}

/** Cuts a stream of chunks into frames. */
async function* frames(chunks: AsyncIterable<Uint8Array>, most: number): AsyncIterable<Uint8Array> {
  let buffer = new Uint8Array(0)
  let filled = 0
  let total = 0
  let begun = false
  for await (const chunk of chunks) {
    total += chunk.length
    if (total > most) throw new AsktellError('MESSAGE_TOO_LARGE', `the file has more than ${most} bytes`)
    if (filled + chunk.length > buffer.length) {
      const grown = new Uint8Array(Math.max(2 * buffer.length, filled + chunk.length))
      grown.set(buffer.subarray(0, filled))
      buffer = grown
    }
    buffer.set(chunk, filled)
    filled += chunk.length
    let at = 0
    if (!begun && filled >= MAGIC.length) {
      if (MAGIC.some((byte, i) => buffer[i] !== byte)) throw new Damage('it is no exported session')
      begun = true
      at = MAGIC.length
    }
    while (begun) {
      const length = frameLength(buffer.subarray(at, filled))
      if (length === undefined || at + length > filled) break
      yield buffer.slice(at, at + length)
      at += length
    }
    buffer.copyWithin(0, at, filled)
    filled -= at
  }
  if (total === 0) throw new Damage('it is empty')
  if (filled > 0) throw new Damage('it is cut short')
}

const refused = (why: string): AsktellError => {
  const message = `the file cannot be imported: ${why}`
  return new AsktellError('INVALID_ARGUMENT', message, { issues: [{ path: 'data', message }] })
}
