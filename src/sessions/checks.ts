/** What a session refuses of an operation. The checks throw, or leave everything as it is. */
import { AsktellError, type Issue, refuse } from '../core/errors.js'
import type { Point, Query } from '../core/query.js'
import { anyTrial, type CorrectOp, checkEdit, checkRestart, toldTrial } from './edits.js'
import type { Op, Told } from './operations.js'
import type { Open } from './queries.js'
import type { Session } from './session.js'
import { checkObservation, checkPoint, illFormed } from './validate.js'

/** Refuses what cannot be applied; returns the operation as it will be recorded. */
export function checkOp(session: Session, op: Op): Op {
  if (op.op === 'step') return checkStep(session, op)
  if (op.op === 'report') return checkReport(session, op)
  if (op.op === 'edit') {
    checkNewStart(session)
    return checkEdit(op, session.method, session.problem, session.settings.config, session.trials)
  }
  if (op.op === 'correct') return checkCorrection(session, op)
  if (op.op === 'delete-trial') {
    const { endTime, state } = anyTrial(session.trials, op.trial)
    if (endTime !== undefined && state !== 'cancelled') checkNewStart(session)
  }
  return op
}

function checkStep(session: Session, op: Op & { op: 'step' }): Op {
  const issues: Issue[] = illFormed(op.observations, 'observations', [])
  const seen = new Map<string, number>()
  const { problem } = session
  const observations = op.observations.map((told, i): Told => {
    const at = `observations[${i}]`
    if (!told.queryId) {
      if (!told.point) {
        issues.push({ path: `${at}.queryId`, message: 'is missing, and so is a point' })
        return told
      }
      checkOwnPoint(session, told.point, `${at}.point`, issues)
      return { ...checkObservation(session.ownQuery('', told.point), told, problem, at, issues), point: told.point }
    }
    if (seen.has(told.queryId))
      issues.push({
        path: `${at}.queryId`,
        message: `"${told.queryId}" is answered by observations[${seen.get(told.queryId)}] too`,
      })
    seen.set(told.queryId, i)
    return checkObservation(find(session, told.queryId, `${at}.queryId`).query, told, problem, at, issues)
  })
  refuse('OBSERVATION_INVALID', issues)
  illFormed({ enqueue: op.enqueue, worker: op.worker }, '', issues)
  for (const [i, point] of op.enqueue.entries()) checkOwnPoint(session, point, `enqueue[${i}]`, issues)
  refuse('INVALID_ARGUMENT', issues)
  if (session.phase.state === 'done' && (op.enqueue.length > 0 || observations.some(({ queryId }) => !queryId)))
    throw new AsktellError(
      'SESSION_CLOSED',
      `the session takes no new points: ${session.phase.message || 'it is done'}`,
    )
  return { ...op, observations }
}

function checkOwnPoint(session: Session, point: Point, at: string, issues: Issue[]) {
  if (session.method.facts.unsolicited !== 'accept')
    issues.push({ path: at, message: `${session.method.id} takes no points that it did not ask for` })
  else if (!session.ownWant())
    issues.push({ path: at, message: `${session.method.id} learns nothing from a single point` })
  else checkPoint(point, session.problem, at, issues)
}

function checkReport(session: Session, op: Op & { op: 'report' }): Op {
  const { query } = find(session, op.queryId, 'queryId')
  const issues: Issue[] = []
  if (query.trial === undefined)
    issues.push({ path: 'queryId', message: `"${op.queryId}" is no trial: only those take intermediate values` })
  if (!Number.isSafeInteger(op.step) || op.step < 0)
    issues.push({ path: 'step', message: `expected an integer of 0 or more, got ${op.step}` })
  const last = session.lastReport(query)
  if (last && op.step <= last.step)
    issues.push({ path: 'step', message: `expected a step after ${last.step}, got ${op.step}` })
  refuse('OBSERVATION_INVALID', issues)
  return op
}

/** Throws when the method cannot start anew from the trials. */
function checkNewStart(session: Session) {
  const open = session.queries.all().filter(({ trial }) => trial === undefined).length
  checkRestart(session.method, session.ownWant()?.kind === 'value', session.untried + open)
}

function checkCorrection(session: Session, op: CorrectOp): Op {
  checkNewStart(session)
  const { queryId, params, wants = [{ kind: 'value' }] } = toldTrial(session.trials, op.trial)
  const query: Query = { id: queryId, points: [{ kind: 'params', params }], wants }
  const issues: Issue[] = illFormed(op.observation, 'observation', [])
  const observation = checkObservation(query, op.observation, session.problem, 'observation', issues)
  refuse('OBSERVATION_INVALID', issues)
  return { ...op, observation }
}

/** An open query that was handed out. */
function find(session: Session, id: string, path: string): Open {
  const open = session.queries.get(id)
  if (open && open.attempt > 0) return open
  const resolved = session.queries.wasAnswered(id)
  const message = resolved ? `"${id}" has been answered` : `the session never asked "${id}"`
  throw new AsktellError(resolved ? 'QUERY_RESOLVED' : 'QUERY_NOT_FOUND', message, { issues: [{ path, message }] })
}
