/** The call that tells and asks, as a mutation of the session, and what of its answer is stored. */
import { type Tree, treeBytes } from '../core/tree.js'
import type { Actor, Work } from './actor.js'
import type { LeasedQuery, StepInput, StepResult } from './api.js'
import type { Applied, Op, Short } from './operations.js'
import type { Session } from './session.js'

const SHORTEST_RETRY = 100
const LONGEST_TIMER = 2 ** 31 - 1

export type Step = Omit<StepResult, 'repeated' | 'released'>

/** `told`: the metrics of a tell whose call goes on with this. */
export function stepWork(actor: Actor, op: Op & { op: 'step' }, told?: Step['metrics']): Work<Step> {
  const answer = (session: Session, { queries = [], short, metrics = told }: Partial<Applied>): Step => ({
    revision: session.revision,
    queries,
    short,
    state: session.phase.state,
    statusMessage: session.phase.message,
    durableStep: actor.durableStep,
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

/** A step that waits as long as there is nothing to hand out, as its input says. */
export function stepOrWait(
  actor: Actor,
  input: StepInput,
  op: Op & { op: 'step' },
  body: string,
  told?: Step['metrics'],
): Promise<Step> {
  if (!input.wait) return actor.mutate<Step>(input, body, stepWork(actor, op, told))
  return wait(actor, input, performance.now() + input.wait, op, body, told)
}

async function wait(
  actor: Actor,
  input: StepInput,
  until: number,
  op: Op & { op: 'step' },
  body: string,
  told?: Step['metrics'],
): Promise<Step> {
  let wake: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined
  let changed = false
  const notify = () => {
    changed = true
    wake?.()
  }
  const off = actor.onChange(notify)
  input.signal?.addEventListener('abort', notify)
  try {
    let answer = await actor.mutate<Step>(input, body, stepWork(actor, op, told))
    const again = stepWork(actor, { ...op, observations: [], enqueue: [] }, answer.metrics)
    while (op.count > 0 && answer.queries.length === 0 && answer.state !== 'done') {
      const left = until - performance.now()
      if (left <= 0 || input.signal?.aborted) break
      const lease = Math.max(SHORTEST_RETRY, (answer.short?.retryAfter ?? Infinity) * 1000)
      if (!changed)
        await new Promise<void>((resolve) => {
          wake = resolve
          timer = setTimeout(resolve, Math.min(left, lease, LONGEST_TIMER))
        })
      clearTimeout(timer)
      changed = false
      if (input.signal?.aborted) break
      answer = await actor.mutate<Step>({ requestId: input.requestId, quiet: true }, body, again)
    }
    return answer
  } finally {
    off()
    input.signal?.removeEventListener('abort', notify)
  }
}

/** Points with more bulk than this are not stored with an answer: the session has them as long as the query is open. */
const BULK = 1 << 16
type Slim = Omit<LeasedQuery, 'points'> & { points: LeasedQuery['points'] | null }

const slim = (query: LeasedQuery): Slim =>
  treeBytes(query.points as unknown as Tree) > BULK ? { ...query, points: null } : query

/**
 * A stored answer with its points. Left out are queries that have been answered since, if their points were not stored or
 * were views of the state that they were asked at.
 */
export function unslim(session: Session, step: Omit<Step, 'queries'> & { queries: readonly Slim[] }): Step {
  const queries = step.queries.flatMap((query): LeasedQuery[] => {
    const open = session.query(query.id)
    const points = query.points ?? open?.points
    return points && (open || !points.some(({ kind }) => kind === 'view')) ? [{ ...query, points }] : []
  })
  return { ...step, queries, short: shortOf(step, queries.length) }
}

/** Why an answer has fewer queries than were wanted, when only some of its own can still be handed over. */
export function shortOf({ queries, short }: { queries: readonly unknown[]; short?: Short }, left: number) {
  if (left === queries.length) return short
  const gone = queries.length - left
  return { reason: `${gone} of ${queries.length} queries have been answered since, and their points are gone` }
}
