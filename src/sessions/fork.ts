/** A session that begins as a copy of another, as that was at a revision. */
import { AsktellError } from '../core/errors.js'
import type { Actor } from './actor.js'
import type { Context } from './context.js'
import { load, openSession, readBirth } from './load.js'
import type { Spec } from './negotiate.js'
import type { Item } from './outbox.js'
import { type Birth, pack, packFrame, unpack } from './record.js'
import type { Session, SessionTree } from './session.js'
import { updateOf } from './update.js'

/** The copy, with `config` changed and nobody at work on its queries, and what the store is to have of it. */
export async function fork(
  context: Context,
  actor: Actor,
  revision: number | undefined,
  config: Record<string, unknown> | undefined,
): Promise<{ session: Session; birth: Birth; item: Item }> {
  const { spec, tree } = await at(context, actor, revision)
  const time = Math.max(context.clock(), tree.updateTime)
  const forkedFrom = { id: actor.id, revision: tree.revision }
  const session = await openSession(context, { ...spec, forkedFrom, createTime: time }, tree.settings, tree)
  try {
    session.releaseLeases()
    const op = config && updateOf(session, { config })
    if (op) await session.apply(op, time)
    const snapshot = { revision: session.revision, bytes: packFrame(await session.toTree()) }
    const birth = { spec: session.spec, settings: session.settings, base: session.revision }
    return { session, birth, item: { snapshot } }
  } catch (error) {
    session.host.close()
    throw error
  }
}

/** A copy of the session as it was at a revision; as it is now when absent. */
async function at(
  context: Context,
  actor: Actor,
  revision: number | undefined,
): Promise<{ spec: Spec; tree: SessionTree }> {
  const copy = async (session: Session) => ({
    revision: session.revision,
    spec: session.spec,
    tree: !revision || revision === session.revision ? unpack<SessionTree>(pack(await session.toTree())) : undefined,
  })
  const now = await actor.read(copy)
  if (now.tree) return { spec: now.spec, tree: now.tree }
  const { base } = await readBirth(context.store, actor.id)
  const wrong = (message: string) =>
    new AsktellError('INVALID_ARGUMENT', `revision: ${message}`, { issues: [{ path: 'revision', message }] })
  if (!Number.isInteger(revision) || revision! > now.revision || revision! < Math.max(1, base))
    throw wrong(`expected ${Math.max(1, base)} to ${now.revision}, got ${revision}`)
  const kept = await context.store.snapshots(actor.id)
  if (now.spec.durability === 'snapshot' && !kept.includes(revision!))
    throw wrong(`with snapshot durability only ${[...kept, now.revision].join(', ')} can be forked`)
  const { session } = await load(context, actor.id, revision)
  try {
    const { tree } = await copy(session)
    if (!tree) throw wrong(`the session cannot be brought to ${revision}`)
    return { spec: session.spec, tree }
  } finally {
    session.host.close()
  }
}
