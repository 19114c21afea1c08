/**
 * What a new session takes over from earlier ones: their completed trials, as points of its own space. They are kept in its
 * spec, so that replay, forks and files need no other session.
 *
 * - A parameter is matched by its name. One that the earlier session did not have is in the middle of its range, on its scale;
 *   one that the new space does not have is left out.
 * - A trial is taken where the point so made is one of the new space, with its ranges, conditions and constraints; and where
 *   no told outcome constraint was broken.
 * - Of more than MOST_TRIALS the best quarter of that number is taken, and of the others evenly spaced ones.
 */
import { subset } from '../blackbox/bayes/data.js'
import { encodingOf } from '../blackbox/space/encoding.js'
import { AsktellError, type Issue, refuse } from '../core/errors.js'
import type { AnyMethod, EarlierSession } from '../core/method.js'
import { checkParams, isActive, type Params, type ParamValue, type Problem, type SearchSpace } from '../core/space.js'
import type { Trial } from './api.js'
import { problemOf } from './edits.js'
import type { Settings, Spec } from './negotiate.js'

/** Earlier sessions of one session, and trials of each. */
export const MOST_SESSIONS = 16
export const MOST_TRIALS = 200

/** Refuses, located, what no earlier session could change. */
export function checkWarmStart(ids: readonly string[] = [], method: AnyMethod, { space, objectives }: Problem): void {
  if (ids.length === 0) return
  const path = 'warmStartFrom'
  const unsuitable = (message: string) => refuse('METHOD_UNSUITABLE', [{ path, message }])
  if (!method.facts.warmStart)
    unsuitable(`${method.id} takes no trials of earlier sessions: those whose facts have warm_start do`)
  if (space.kind !== 'search') unsuitable(`trials are points of search spaces: a ${space.kind} space takes none`)
  if (objectives.length > 1) unsuitable('a session of several objectives takes no trials of earlier sessions')
  const issues: Issue[] = []
  if (ids.length > MOST_SESSIONS)
    issues.push({ path, message: `expected at most ${MOST_SESSIONS} sessions, got ${ids.length}` })
  ids.forEach((id, i) => {
    const first = ids.indexOf(id)
    if (first < i) issues.push({ path: `${path}[${i}]`, message: `"${id}" is ${path}[${first}] already` })
  })
  refuse('INVALID_ARGUMENT', issues)
}

/** The trials of an earlier session that are points of the new problem. Throws, located, where there are none. */
export function takeOver(
  session: string,
  earlier: { problem: Problem; trials: readonly Trial[] },
  problem: Problem,
  path: string,
): EarlierSession {
  const wrong = (message: string) =>
    new AsktellError('INVALID_ARGUMENT', `${path}: ${message}`, { issues: [{ path, message }] })
  const { space, objectives } = earlier.problem
  const own = problem.space as SearchSpace
  if (space.kind !== 'search')
    throw wrong(`"${session}" is over a ${space.kind} space, and this one over a search space`)
  if (objectives.length > 1) throw wrong(`"${session}" has ${objectives.length} objectives, and this session has one`)
  const [{ direction }] = problem.objectives
  if (objectives[0].direction !== direction)
    throw wrong(`"${session}" is to ${objectives[0].direction}, and this session to ${direction}`)
  const shared = space.parameters.filter(({ name }) => own.parameters.some((p) => p.name === name))
  if (shared.length === 0) throw wrong(`"${session}" shares no parameter with the space`)
  const sign = direction === 'maximize' ? -1 : 1
  const completed = earlier.trials.filter(isUsable)
  const found = completed.flatMap(({ params: told, values }) => {
    const params = inSpace(own, told)
    return params ? [{ params, value: sign * values![0] }] : []
  })
  if (found.length === 0)
    throw wrong(`of the ${completed.length} completed trials of "${session}" none is a point of the space`)
  return { session, trials: subset(found, MOST_TRIALS).map(({ params, value }) => ({ params, value: sign * value })) }
}

const isUsable = ({ state, values, constraints = [] }: Trial) =>
  state === 'completed' && Number.isFinite(values?.[0]) && constraints.every((c) => c <= 0)

/** The point of the space that has these values of its parameters, and the middle of the others; undefined where there is none. */
function inSpace(space: SearchSpace, told: Params): Params | undefined {
  const params: Record<string, ParamValue> = {}
  for (const p of space.parameters) {
    if (!isActive(p, params)) continue
    params[p.name] = Object.hasOwn(told, p.name) ? told[p.name] : middleOf(p)
  }
  return checkParams(space, params, '').length > 0 ? undefined : params
}

function middleOf(p: SearchSpace['parameters'][number]): ParamValue {
  const { decode, dimension } = encodingOf({ kind: 'search', parameters: [{ ...p, condition: undefined }] })
  return decode(new Float64Array(dimension).fill(0.5))[p.name]
}

/** The earlier trials of a session as points of its space as it is now. */
export function earlierIn({ earlier, problem }: Spec, settings: Settings): readonly EarlierSession[] | undefined {
  if (!settings.space || !earlier) return earlier
  const space = problemOf({ problem }, settings).space as SearchSpace
  return earlier.map(({ session, trials }) => ({
    session,
    trials: trials.flatMap(({ params: told, value }) => {
      const params = inSpace(space, told)
      return params ? [{ params, value }] : []
    }),
  }))
}

/** What a watch shows of them: whose trials, and how many of each. */
export const describeEarlier = (earlier: readonly EarlierSession[] | undefined): string | undefined =>
  earlier && `begins from ${earlier.map(({ session, trials }) => `${trials.length} trials of ${session}`).join(', ')}`

/** Refuses a spec from elsewhere whose earlier trials are none of its space. */
export function checkEarlier({ earlier = [], problem }: Spec): void {
  const issues: Issue[] = []
  earlier.forEach(({ trials }, i) => {
    const path = `earlier[${i}].trials`
    if (trials.length > MOST_TRIALS)
      issues.push({ path, message: `expected at most ${MOST_TRIALS}, got ${trials.length}` })
    trials.forEach(({ params, value }, j) => {
      issues.push(...checkParams(problem.space as SearchSpace, params, `${path}[${j}].params`))
      if (!Number.isFinite(value))
        issues.push({ path: `${path}[${j}].value`, message: `expected a number, got ${value}` })
    })
  })
  refuse('INVALID_ARGUMENT', issues)
}
