/** A schedule is a pure function of the step: it keeps no state, so it may be changed while a session runs. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Part, PartConfig } from '../parts.js'

export interface Schedule<F extends z.ZodRawShape = z.ZodRawShape> extends Part {
  fields: F
  /** Learning rate of step `t`, from 1, when the configured rate is `peak`. */
  rate(config: PartConfig<F>, peak: number, t: number): number
  /** The cycle of step `t`, from 0. The iterate at the end of a cycle is one to recommend. */
  cycle?(config: PartConfig<F>, t: number): number
  /** What is wrong with the config: a field and a message. */
  check?(config: PartConfig<F>): readonly { field: string; message: string }[]
}

const warmup = {
  warmupSteps: field(
    z.int().min(0).default(0),
    'Steps over which the rate rises linearly to the configured one; the schedule begins after them.',
    { source: 'Goyal et al. 2017, section 2.2' },
  ),
}

/** Declares a schedule, and puts an optional linear warm-up before it. */
export function defineSchedule<F extends z.ZodRawShape>(schedule: Schedule<F>): Schedule {
  const warm = (config: object) => (config as { warmupSteps: number }).warmupSteps
  return {
    ...schedule,
    fields: { ...schedule.fields, ...warmup },
    rate(config, peak, t) {
      const steps = warm(config)
      return t <= steps ? (peak * t) / steps : schedule.rate(config as PartConfig<F>, peak, t - steps)
    },
    cycle: schedule.cycle && ((config, t) => schedule.cycle!(config as PartConfig<F>, Math.max(1, t - warm(config)))),
  }
}

/** What is wrong with steps that should rise. */
export const checkRising = (steps: readonly number[], field: string) =>
  steps.flatMap((step, i) =>
    i > 0 && step <= steps[i - 1] ? [{ field: `${field}[${i}]`, message: `expected more than ${steps[i - 1]}` }] : [],
  )
