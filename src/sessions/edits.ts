/** Changes of a session by hand: a new space, a corrected or deleted trial. What is refused, and what becomes of trials. */

import { checkFeasible } from '../blackbox/space/feasible.js'
import { AsktellError, type Issue, refuse } from '../core/errors.js'
import { type AnyMethod, checkSuitable } from '../core/method.js'
import type { Event, Observation, Query } from '../core/query.js'
import {
  checkParams,
  checkSpace,
  contains,
  isActive,
  type Params,
  type Problem,
  type SearchSpace,
} from '../core/space.js'
import type { Trial } from './api.js'
import type { Settings, Spec } from './negotiate.js'
import { endOf, type TrialRecord } from './trials.js'

/** A change that somebody made by hand. */
export type AuditEntry = {
  revision: number
  time: number
  /** Who the caller was, by its key. */
  by: string
  action: 'edit_space' | 'correct_trial' | 'delete_trial' | 'enqueue' | 'update'
  trial?: number
  reason?: string
  before?: Readonly<Record<string, unknown>>
  after?: Readonly<Record<string, unknown>>
}

export type EditOp = {
  op: 'edit'
  space: SearchSpace
  defaults: Params
  /** In: whether trials may be dropped. As recorded: those that are. */
  drop: boolean | readonly number[]
  by: string
  reason: string
}
export type CorrectOp = { op: 'correct'; trial: number; observation: Observation; by: string; reason: string }
export type DeleteOp = { op: 'delete-trial'; trial: number; by: string; reason: string }

/** The problem as it is now: the space may have been edited. */
export const problemOf = ({ problem }: Pick<Spec, 'problem'>, { space }: Pick<Settings, 'space'>): Problem =>
  space ? { ...problem, space } : problem

/** The seed of the generation-th start of the method: the same stream would ask the same points again. */
export const seedOf = (seed: number, generation: number): number => (seed + generation * 0x9e3779b97f4a) % 2 ** 48

/** Of those that were stopped nothing was told. */
const isTold = (trial: TrialRecord) => endOf(trial) !== undefined && trial.state !== 'cancelled'
const isOpen = ({ state }: Trial) => state === 'waiting' || state === 'running'

/** Params with the default of every active parameter that they lack. */
export function filled(space: SearchSpace, defaults: Params, params: Params): Params {
  const whole: Record<string, Params[string]> = { ...params }
  for (const p of space.parameters)
    if (!Object.hasOwn(whole, p.name) && Object.hasOwn(defaults, p.name) && isActive(p, whole))
      whole[p.name] = defaults[p.name]
  return whole
}

/** Throws when a method cannot start anew from the trials. */
export function checkRestart(method: AnyMethod, takesPoints: boolean, lost: number): void {
  const message =
    method.facts.unsolicited !== 'accept' || !takesPoints
      ? `${method.id} takes no points that it did not ask for, so it cannot start anew from the trials`
      : lost > 0
        ? `${lost} answers were to queries of several points, which are no trials: ${method.id} cannot start anew without them`
        : undefined
  if (message) throw new AsktellError('METHOD_UNSUITABLE', message, { issues: [{ path: 'method', message }] })
}

/** The edit as it will be recorded; throws when it cannot be made. */
export function checkEdit(
  op: EditOp,
  method: AnyMethod,
  problem: Problem,
  config: unknown,
  trials: readonly Trial[],
): EditOp {
  const { space, defaults, drop } = op
  const before = problem.space
  const wrong = (message: string) => refuse('SPACE_INVALID', [{ path: 'space', message }])
  if (before.kind !== 'search') return wrong(`a space of kind ${before.kind} cannot be edited`) as never
  if (space.kind !== 'search') return wrong('expected a search space') as never
  refuse('SPACE_INVALID', checkSpace(space))
  refuse('SPACE_INVALID', checkFeasible(space))
  refuse('METHOD_UNSUITABLE', checkSuitable(method, { ...problem, space }))
  refuse('CONFIG_INVALID', method.check?.(config, { ...problem, space }) ?? [])
  const issues: Issue[] = []
  for (const [name, value] of Object.entries(defaults)) {
    const p = space.parameters.find((parameter) => parameter.name === name)
    const path = `defaults.${name}`
    if (!p) issues.push({ path, message: 'is not a parameter of the new space' })
    else if (before.parameters.some((parameter) => parameter.name === name))
      issues.push({ path, message: 'was a parameter before: trials have their own values' })
    else if (!contains(p, value))
      issues.push({ path, message: `${JSON.stringify(value)} is not a value of this parameter` })
  }
  refuse('INVALID_ARGUMENT', issues)
  const dropped: number[] = []
  for (const trial of trials) {
    // What was cancelled or deleted says nothing to the method.
    if (trial.state === 'cancelled' || trial.state === 'deleted') continue
    const found = checkParams(space, filled(space, defaults, trial.params), `trials[${trial.number}].params`)
    if (found.length > 0) dropped.push(trial.number)
    issues.push(...found)
  }
  if (drop !== true && issues.length > 0) {
    const more = `${dropped.length} of ${trials.length} trials are not points of the new space; with dropInvalid they are deleted`
    const [{ path, message }] = issues
    throw new AsktellError('SPACE_INVALID', `${path}: ${message}: ${more}`, { issues: issues.slice(0, 20) })
  }
  return { ...op, drop: dropped }
}

/** The trial, if it is there and has been told. */
export function toldTrial(trials: readonly TrialRecord[], number: number): TrialRecord {
  const trial = anyTrial(trials, number)
  const message = `trial ${number} is ${trial.state}: tell its query, or delete it`
  if (isOpen(trial)) throw new AsktellError('INVALID_ARGUMENT', message, { issues: [{ path: 'trial', message }] })
  return trial
}
export function anyTrial(trials: readonly TrialRecord[], number: number): TrialRecord {
  const trial = trials[number]
  const message = trial ? `trial ${number} was deleted` : `there is no trial ${number}, of ${trials.length}`
  if (!trial || trial.state === 'deleted')
    throw new AsktellError('TRIAL_NOT_FOUND', message, { issues: [{ path: 'trial', message }] })
  return trial
}

/** What a method that starts anew is told, in the order in which it was told. */
export function retold(trials: readonly TrialRecord[]): Event[] {
  return trials
    .filter(isTold)
    .sort((a, b) => (a.endTime ?? 0) - (b.endTime ?? 0) || a.number - b.number)
    .flatMap((trial): Event[] => {
      const { number, queryId, params, parent, intermediates, values, constraints, message, wants, extra } = trial
      const id = `old:${queryId}`
      const query: Query = {
        id,
        points: [{ kind: 'params', params }],
        wants: wants ?? [{ kind: 'value' }],
        trial: number,
        ...(parent !== undefined && { parent }),
      }
      const observation = {
        ...extra,
        queryId: id,
        status: endOf(trial)!,
        ...(values && { values: [values] }),
        ...(constraints && { constraints: [constraints] }),
        ...(message !== undefined && { message }),
      }
      const reports = intermediates.filter(({ value }) => Number.isFinite(value))
      return [
        ...reports.map(({ step, value }) => ({ type: 'report', query, step, value }) as const),
        { type: 'observation', query, observation },
      ]
    })
}

/** What an audit entry shows of a trial. */
export const shown = ({ state, values, constraints, message }: Trial) => ({
  state,
  ...(values && { values }),
  ...(constraints && { constraints }),
  ...(message && { message }),
})
