/** Reports of running trials, and at which of them a pruner judges: what the pruners of this folder share. */
import { z } from 'zod'
import type { Decision, PrunerEvent } from '../../core/pruner.js'
import { field } from '../../core/schema.js'
import type { Direction } from '../../core/space.js'

export type Report = PrunerEvent & { type: 'report' }
/** What a trial reported, in its order. */
export type Reports = { steps: number[]; values: number[] }
export type Running = { [trial: string]: Reports }

export const proceed = (reason: string): Decision => ({ prune: false, reason })
export const prune = (reason: string): Decision => ({ prune: true, reason })

/** The value to minimize, of a value as it was told, and back. */
export const minimized = (direction: Direction, value: number) => (direction === 'maximize' ? -value : value)

/** The least of the values that are numbers; NaN where none is. */
export function least(values: readonly number[]): number {
  const known = values.filter((x) => !Number.isNaN(x))
  return known.length > 0 ? known.reduce((a, b) => Math.min(a, b)) : Number.NaN
}

/** Adds a report to its trial's. As in Optuna, the first report of a step stands. */
export function record(running: Running, { trial, step, value }: Report): Reports {
  const reports = (running[trial] ??= { steps: [], values: [] })
  if (!reports.steps.includes(step)) {
    reports.steps.push(step)
    reports.values.push(value)
  }
  return reports
}

/** Fields that say at which reports a trial is judged. */
export const judgementFields = {
  nWarmupSteps: field(z.int().min(0).default(0), 'Steps that every trial may take before it is judged.', {
    source: 'Optuna',
  }),
  intervalSteps: field(
    z.int().min(1).default(1),
    'Steps between judgements, from the end of the warm-up; the first report in an interval is judged.',
    { source: 'Optuna' },
  ),
}
type Judgements = { nWarmupSteps: number; intervalSteps: number }

/** Why the report of this step is not judged; undefined where it is. */
export function notJudged({ nWarmupSteps, intervalSteps }: Judgements, { steps }: Reports, step: number) {
  if (step < nWarmupSteps) return 'the trial warms up'
  const interval = Math.floor((step - nWarmupSteps) / intervalSteps) * intervalSteps + nWarmupSteps
  if (steps.some((s) => s !== step && s >= interval)) return 'the interval was judged'
  return undefined
}
