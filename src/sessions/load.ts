/** Brings a session back from the store: the last good snapshot, then the journal. */
import { AsktellError } from '../core/errors.js'
import { type Context, notFound, openHost } from './context.js'
import { problemOf, seedOf } from './edits.js'
import { Damage, Newer } from './frame.js'
import type { Settings, Spec } from './negotiate.js'
import { type Birth, type Entry, entryOf, type Head, intact, unpackFrame } from './record.js'
import { Session, type SessionTree } from './session.js'
import type { Store } from './stores/store.js'
import { earlierIn } from './warm-start.js'

const PAGE = 256

export type Loaded = {
  session: Session
  birth: Birth
  /** Size of the snapshot it began with, and records and bytes replayed since. */
  snapshotBytes: number
  tail: { records: number; bytes: number }
  snapshots: readonly number[]
  /** Of the records that are kept. */
  journalBytes: number
  durableStep?: number
}

/** With snapshot durability: the step that a restart resumes from when this is the last snapshot. */
export const stepOf = async ({ spec, host }: Session): Promise<number | undefined> =>
  spec.durability === 'snapshot' ? (await host.estimate()).step : undefined

/**
 * Throws SESSION_NOT_FOUND, or STORE_CORRUPT when a snapshot or record that is needed is damaged. A damaged last record
 * is cut off. `upTo` stops at a revision and changes nothing in the store.
 */
export async function load(context: Context, id: string, upTo = Infinity): Promise<Loaded> {
  try {
    return await read(context, id, upTo)
  } catch (error) {
    if (error instanceof Damage)
      context.hooks.warn?.('a session is damaged and put aside', { session: id, error: error.message })
    return intact(() => {
      throw error
    }, `session "${id}"`)
  }
}

export async function readBirth(store: Store, id: string): Promise<Birth> {
  const bytes = await store.spec(id)
  if (!bytes) throw notFound(id)
  return intact(() => unpackFrame<Birth>(bytes), `session "${id}"`)
}

async function read(context: Context, id: string, upTo: number): Promise<Loaded> {
  const { store, catalogue } = context
  const birth = await readBirth(store, id)
  const { spec } = birth
  const method = catalogue.method(spec.method)
  const snapshots = await store.snapshots(id)
  const { tree, bytes } = await lastSnapshot(context, id, snapshots, upTo)
  if (!tree && (birth.base > 0 || spec.durability === 'snapshot'))
    throw new Damage('it has no snapshot that can be read')

  const [latest] = await store.records(id, (tree?.revision ?? 0) as number, 1)
  const version = tree?.methodVersion ?? spec.methodVersion
  if (version !== method.version && latest)
    throw new AsktellError(
      'UNSUPPORTED',
      `session "${id}" was written by ${method.id} version ${version} and this is version ${method.version}: ` +
        'stop the old release in order, so that it leaves a snapshot',
    )
  const session = await openSession(context, spec, tree?.settings ?? birth.settings, tree)
  try {
    const { cut, ...tail } = await replay(context, id, session, upTo)
    // What is loaded may be older than what was answered since: whoever holds a query there has gone past it.
    if (spec.durability === 'snapshot') session.releaseLeases()
    // A damaged head is written anew; it says no more than the journal.
    const head = await readHead(store, id).catch(() => undefined)
    const complete = cut || upTo !== Infinity || spec.durability === 'snapshot'
    if (!complete && head && session.revision < head.revision)
      throw new Damage(`its journal ends at revision ${session.revision} and reached ${head.revision}`)
    const journalBytes = head?.journalBytes ?? tail.bytes
    return { session, birth, snapshotBytes: bytes, tail, snapshots, journalBytes, durableStep: await stepOf(session) }
  } catch (error) {
    session.host.close()
    throw error
  }
}

/** A session at its beginning, or at a snapshot of any version of its method's state. */
export async function openSession(
  context: Context,
  spec: Spec,
  settings: Settings,
  tree?: SessionTree,
): Promise<Session> {
  const { engine } = spec
  const seed = seedOf(spec.seed, tree?.generation ?? 0)
  const problem = problemOf(spec, settings)
  const method = context.catalogue.method(spec.method)
  const pruner = spec.pruner && context.catalogue.pruner(spec.pruner.method)
  if (tree && tree.stateVersion !== method.stateVersion && !method.migrate)
    throw new AsktellError(
      'UNSUPPORTED',
      `the state is of another version of ${method.id}, which has no way to read it`,
    )
  const { method: state, stateVersion } = tree ?? {}
  const earlier = earlierIn(spec, settings)
  const setup = { method: method.id, config: settings.config, problem, engine, seed, earlier, state, stateVersion }
  const session = new Session(spec, settings, method, await openHost(context, setup), pruner)
  if (tree) session.restore(tree)
  return session
}

async function lastSnapshot(
  { store, hooks }: Context,
  id: string,
  snapshots: readonly number[],
  upTo: number,
): Promise<{ tree?: SessionTree; bytes: number }> {
  for (const revision of snapshots.filter((r) => r <= upTo).reverse()) {
    const bytes = await store.snapshot(id, revision)
    try {
      if (!bytes) continue
      const tree = unpackFrame<SessionTree>(bytes)
      if (tree.revision !== revision) throw new Damage(`the snapshot is of revision ${tree.revision}`)
      return { tree, bytes: bytes.length }
    } catch (error) {
      if (error instanceof Newer) throw error
      hooks.warn?.('a snapshot is damaged; going back to an older one', { session: id, revision, error: String(error) })
    }
  }
  return { bytes: 0 }
}

async function replay({ store, hooks }: Context, id: string, session: Session, upTo: number) {
  const tail = { records: 0, bytes: 0, cut: false }
  for (;;) {
    const page = await store.records(id, session.revision, PAGE)
    for (const { revision, bytes } of page) {
      if (revision > upTo) return tail
      let entry: Entry
      try {
        entry = entryOf(bytes)
        if (entry.revision !== revision || revision !== session.revision + 1)
          throw new Damage(`expected revision ${session.revision + 1}, got ${entry.revision}`)
      } catch (error) {
        if (!(error instanceof Damage) || upTo !== Infinity || revision !== session.revision + 1) throw error
        if ((await store.records(id, revision, 1)).length > 0)
          throw new Damage(`record ${revision}: ${error.message}, and there are records after it`)
        hooks.warn?.('the last record of a session is damaged and cut off', {
          session: id,
          revision,
          error: error.message,
        })
        await store.write([{ session: id, truncate: session.revision }])
        return { ...tail, cut: true }
      }
      await session.apply(entry.op, entry.time).catch((error) => {
        if (error instanceof AsktellError && error.reason === 'UNAVAILABLE') throw error
        throw new Damage(`revision ${revision} cannot be replayed: ${error.message}`)
      })
      tail.records++
      tail.bytes += bytes.length
    }
    if (page.length < PAGE) return tail
  }
}

/** The head of a session that is not loaded, from the store alone. */
export async function readHead(store: Store, id: string): Promise<Head | undefined> {
  const bytes = await store.head(id)
  return bytes && intact(() => unpackFrame<Head>(bytes), `session "${id}"`)
}
