/** The trials of a session: which parameters were asked, what was told of them, and which came again. */
import { type Observation, type ObservationStatus, type Query, STATUSES, type Want } from '../core/query.js'
import type { Params } from '../core/space.js'
import type { Trial, TrialState } from './api.js'
import { ToldPoints } from './told-points.js'

/** A trial with what else was told of it, of which the method is told again when it starts anew. */
export type TrialRecord = Trial & {
  /** What the query wanted, when that was not just a value. */
  wants?: readonly Want[]
  extra?: Omit<Observation, 'queryId' | 'status'>
}

const STATES: { readonly [status in ObservationStatus]: TrialState } = {
  ok: 'completed',
  failed: 'failed',
  infeasible: 'infeasible',
  pruned: 'pruned',
  cancelled: 'cancelled',
}

/** How a trial ended; undefined while it is open, and of one that is deleted. */
export const endOf = ({ state }: TrialRecord): ObservationStatus | undefined =>
  STATUSES.find((status) => STATES[status] === state)

/** Parameters of a query that is a trial. One of several points, such as a ranking, has no value of its own and is none. */
export function paramsOf({ points: [point, ...others] }: Query): Params | undefined {
  return point?.kind === 'params' && others.length === 0 ? point.params : undefined
}

function write(trial: TrialRecord, { queryId: _, status, usage: _usage, ...told }: Observation): void {
  trial.state = STATES[status]
  const { values, constraints, message, ...extra } = told
  if (values) trial.values = values[0]
  if (constraints) trial.constraints = constraints[0]
  if (message) trial.message = message
  if (Object.keys(extra).length > 0) trial.extra = extra
}

export class Trials {
  all: TrialRecord[] = []
  private readonly told = new ToldPoints()

  /** Takes over those of a snapshot, or what became of them by hand. */
  restore(all: TrialRecord[]): void {
    this.all = all
    this.told.rebuild(all)
  }

  /** The trial of a query, which nobody has yet. */
  begin({ id: queryId, parent, wants }: Query, params: Params, time: number): void {
    this.all.push({
      number: this.all.length,
      queryId,
      state: 'waiting',
      params,
      intermediates: [],
      createTime: time,
      ...(parent !== undefined && { parent }),
      ...(wants.some(({ kind }) => kind !== 'value') && { wants }),
    })
  }

  report(trial: TrialRecord, step: number, value: number): void {
    ;(trial.intermediates as { step: number; value: number }[]).push({ step, value })
  }

  end(trial: TrialRecord, observation: Observation, time: number): void {
    trial.endTime = time
    write(trial, observation)
    this.told.add(trial)
  }

  /** What was told is replaced. */
  correct(trial: TrialRecord, observation: Observation): void {
    for (const field of ['values', 'constraints', 'message', 'extra'] as const) delete trial[field]
    write(trial, observation)
  }

  /** The number of the trial that was told first at the same parameters. */
  repeated(number: number): number | undefined {
    return this.told.find(this.all[number].params)
  }
}
