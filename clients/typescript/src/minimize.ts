import type { JsonObject } from '@bufbuild/protobuf'
import { SingleBar } from 'cli-progress'
import { Client, type CreateOptions } from './client.js'
import type { Query } from './query.js'
import type { Session, Trial } from './session.js'
import type { Params, SearchSpace } from './space.js'

/** Thrown by an objective to end its trial early. */
export class TrialPruned extends Error {}

/** What an objective may do beside returning a number. */
export type RunningTrial = {
  readonly number: number
  /** Tells an intermediate value; throws TrialPruned when the pruner says stop. */
  report(step: number, value: number): Promise<void>
}

export type MinimizeOptions = Omit<CreateOptions, 'space' | 'method' | 'direction' | 'objectives'> & {
  maxEvaluations: number
  method?: string
  config?: JsonObject
  /** Evaluations at the same time. */
  workers?: number
  client?: Client
  /** A progress bar on a terminal. */
  progress?: boolean
}

export type Result = { params: Params; value: number; session: Session; trials: Trial[] }

type Objective = (params: Params, trial: RunningTrial) => number | Promise<number>

async function optimize(
  direction: 'minimize' | 'maximize',
  f: Objective,
  space: SearchSpace,
  options: MinimizeOptions,
): Promise<Result> {
  const {
    maxEvaluations,
    method = 'tpe',
    workers = 1,
    client = new Client(),
    progress = process.stderr.isTTY,
    ...rest
  } = options
  const session = await client.createSession({
    ...rest,
    method,
    space,
    direction,
    budget: { ...rest.budget, maxEvaluations },
  })
  const bar = progress
    ? new SingleBar({ format: ' {bar} {value}/{total}  best {best}  {eta_formatted}', hideCursor: true })
    : undefined
  let best = direction === 'minimize' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  bar?.start(maxEvaluations, 0, { best: '-' })

  const evaluate = async (query: Query) => {
    const trial: RunningTrial = {
      number: query.trial ?? -1,
      report: async (step, value) => {
        const { shouldPrune, reason } = await session.report(query, step, value)
        if (shouldPrune) throw new TrialPruned(reason)
      },
    }
    try {
      const value = await f(query.points[0].params ?? {}, trial)
      if (direction === 'minimize' ? value < best : value > best) best = value
      return { queryId: query.id, values: [value] }
    } catch (error) {
      const status = error instanceof TrialPruned ? ('pruned' as const) : ('failed' as const)
      return { queryId: query.id, status, message: error instanceof Error ? error.message : String(error) }
    } finally {
      bar?.increment(1, { best: best.toPrecision(6) })
    }
  }
  const work = async (worker: number) => {
    // A stream of its own: half the time of a call per trial, and sent again when the connection breaks.
    const stream = session.stream()
    const asked = { wait: 30, worker: `worker-${worker}` }
    try {
      let { queries, state } = await stream.step(asked)
      for (;;) {
        if (queries.length === 0 && state !== 'running') return
        const observations = await Promise.all(queries.map(evaluate))
        ;({ queries, state } = await stream.step({ observations, ...asked }))
      }
    } finally {
      stream.close()
    }
  }
  try {
    await Promise.all(Array.from({ length: workers }, (_, i) => work(i)))
  } finally {
    bar?.stop()
  }
  const trials: Trial[] = []
  for await (const trial of session.trials()) trials.push(trial)
  const [winner] = (await session.estimate()).points
  if (!winner) throw new Error(`no trial of ${session.name} succeeded`)
  return { params: winner.point.params ?? {}, value: winner.values[0], session, trials }
}

/** Minimizes `f` over a search space, `workers` evaluations at a time. A throw of `f` is a failed trial. */
export const minimize = (f: Objective, space: SearchSpace, options: MinimizeOptions) =>
  optimize('minimize', f, space, options)
/** As minimize, for the largest value. */
export const maximize = (f: Objective, space: SearchSpace, options: MinimizeOptions) =>
  optimize('maximize', f, space, options)
