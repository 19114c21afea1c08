/** The call that tells and asks, as a mutation of the session. */
import { type Tree, treeBytes } from '../core/tree.js'
import type { Actor, Work } from './actor.js'
import type { LeasedQuery, StepResult } from './api.js'
import type { Applied, Op, Session } from './session.js'

export type Step = Omit<StepResult, 'repeated'>

export function stepWork(actor: Actor, op: Op & { op: 'step' }): Work<Step> {
  const answer = (session: Session, { queries = [], short, metrics }: Partial<Applied>): Step => ({
    revision: session.revision,
    queries,
    short,
    state: session.phase.state,
    statusMessage: session.phase.message,
    durableStep: session.spec.durability === 'snapshot' ? (actor.durableStep ?? 0) : undefined,
    metrics,
  })
  return {
    prepare: (session, time) => {
      if (!session.isIdle(op, time)) return { op: session.check(op) }
      return { answer: answer(session, { short: op.count > 0 ? session.short(op, time) : undefined }) }
    },
    answer,
    stored: (step) => ({ ...step, queries: step.queries.map(slim) }),
  }
}

/** Points with more bulk than this are not stored with an answer: the session has them as long as the query is open. */
const BULK = 1 << 16
type Slim = Omit<LeasedQuery, 'points'> & { points: LeasedQuery['points'] | null }

const slim = (query: LeasedQuery): Slim =>
  treeBytes(query.points as unknown as Tree) > BULK ? { ...query, points: null } : query

/** A query of a stored answer as it was; none when it has been answered since. */
export function unslim(session: Session, query: Slim): LeasedQuery[] {
  const points = query.points ?? session.query(query.id)?.points
  return points ? [{ ...query, points }] : []
}
