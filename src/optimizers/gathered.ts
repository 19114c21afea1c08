/**
 * Lets several clients work on one gradient session, as the config's `gathering` says. The method within still asks one
 * thing at a time; here that becomes a query for each client, and their answers become one.
 *
 * The sum runs in the order in which the queries were made, not in that of arrival: the same answers give the same bits.
 */
import type { Issue } from '../core/errors.js'
import type { Method, Outcome, Run } from '../core/method.js'
import type { Event, Observation, Query, WantKind } from '../core/query.js'
import type { Problem } from '../core/space.js'
import type { Tensors } from '../core/tensor.js'
import { asksGradient } from './answers.js'
import { inner } from './flat.js'
import type { Gathering } from './gathering.js'
import { copyOf, type GradientState } from './machine.js'
import { type Diagnostics, takeNoise } from './step-diagnostics.js'
import type { Common } from './step-program.js'

/** One client's query: its number, and the steps that had been taken when it was made. */
type Asked = { number: number; t: number }
type Gathered = {
  /** What the method within wants now. */
  inner: Query | null
  /** Queries made so far; numbers the next. */
  made: number
  /** Open queries of clients by id. */
  open: { [id: string]: Asked }
  /** Answers to the query within, by number. */
  told: { number: number; observation: Observation }[]
  /** When the first of them came, in milliseconds. */
  since: number | null
  /** Answers that were left out because they were too old. */
  stale: number
}
type State = GradientState & { gathered?: Gathered }

/** What answers of several clients can be the mean of. */
const GATHERED: readonly WantKind[] = ['gradient', 'value', 'hvp']

const gatheringOf = (config: Common) => config.gathering as unknown as Gathering

/** The sum of the tensors, one after another, times a factor. What one of them lacks is zero there. */
function reduce(all: readonly Tensors[], scale: number): Tensors {
  const sum = copyOf(all[0])
  for (const tensors of all.slice(1))
    for (const [name, more] of Object.entries(tensors)) {
      const array = sum[name]
      if (!array) sum[name] = more.slice()
      else for (let i = 0; i < array.length; i++) array[i] += more[i]
    }
  if (scale !== 1) for (const array of Object.values(sum)) for (let i = 0; i < array.length; i++) array[i] *= scale
  return sum
}

/** The answers as one: gradients and products are reduced, values are averaged. */
function joined({ id: queryId }: Query, answers: readonly Observation[], reduction: 'mean' | 'sum'): Observation {
  const n = answers.length
  const scale = reduction === 'mean' ? 1 / n : 1
  const [{ gradients, products, values }] = answers
  return {
    queryId,
    status: 'ok',
    gradients: gradients?.map((_, p) =>
      reduce(
        answers.map((answer) => answer.gradients![p]),
        scale,
      ),
    ),
    products: products?.map((_, p) =>
      reduce(
        answers.map((answer) => answer.products![p]),
        scale,
      ),
    ),
    values: values?.map((point, p) =>
      point.map((_, k) => answers.reduce((sum, answer) => sum + answer.values![p][k] / n, 0)),
    ),
  }
}

/** Compares the gradients of clients at the first point with what they became. */
function measure(
  to: Diagnostics,
  answers: readonly Observation[],
  { gradients }: Observation,
  reduction: 'mean' | 'sum',
) {
  const n = answers.length
  const square = answers.reduce((sum, answer) => sum + inner(answer.gradients![0], answer.gradients![0]) / n, 0)
  const scale = reduction === 'mean' ? 1 : 1 / n ** 2
  takeNoise(to, n, square, scale * inner(gradients![0], gradients![0]))
}

/** An answer that lives on: what was told may lie in memory that is used again. */
const kept = ({ gradients, products, ...rest }: Observation): Observation => ({
  ...rest,
  ...(gradients && { gradients: gradients.map(copyOf) }),
  ...(products && { products: products.map(copyOf) }),
})

/** The method, with the clients that a config gathers; with none, the method itself. */
export function gathered<C extends Common>(method: Method<C, GradientState>): Method<C, GradientState> {
  /** Steps the method within, and keeps what it wants next. */
  function within(run: Run<C>, state: State, own: Gathered, events: readonly Event[]): Outcome<GradientState> {
    const outcome = method.step(run, state, events)
    own.inner = outcome.queries[0] ?? own.inner
    return outcome
  }

  function make({ id }: Gathering, run: Run<C>, state: State, own: Gathered): Query {
    const query = own.inner!
    const number = own.made++
    const made = `${query.id}.${number}`
    own.open[made] = { number, t: state.t }
    const points =
      id === 'barrier'
        ? query.points
        : // The parameters move while it is open.
          query.points.map((point) =>
            point.kind === 'view'
              ? ({ kind: 'tensors', tensors: copyOf(method.view!(run, state, point.name)) } as const)
              : point,
          )
    return { ...query, id: made, points, sampleKey: `${query.sampleKey}/${number}` }
  }

  /** Whether a step is to be made of what was told. */
  function isEnough(gathering: Extract<Gathering, { id: 'barrier' }>, { told, since }: Gathered, time?: number) {
    const { workers, quorum = workers, deadline } = gathering
    if (told.length >= workers) return true
    if (told.length < quorum) return false
    return deadline === undefined || (time !== undefined && since !== null && time >= since + 1000 * deadline)
  }

  function step(run: Run<C>, state: State, events: readonly Event[], gathering: Exclude<Gathering, { id: 'none' }>) {
    const own = (state.gathered ??= { inner: null, made: 0, open: {}, told: [], since: null, stale: 0 })
    const withdrawn: string[] = []
    const queries: Query[] = []
    let outcome = within(
      run,
      state,
      own,
      events.filter(({ type }) => type === 'reconfigure'),
    )
    const advance = (observation: Observation) => {
      outcome = within(run, state, own, [{ type: 'observation', query: own.inner!, observation }])
    }
    let capacity = 0
    let now: number | undefined
    for (const event of events) {
      if (event.type !== 'capacity' && event.type !== 'observation') continue
      now = event.time ?? now
      if (event.type === 'capacity') capacity += event.count
      else {
        const asked = own.open[event.query.id]
        if (!asked) continue
        delete own.open[event.query.id]
        // Of one that failed the same is asked of whoever comes next.
        if (event.observation.status !== 'ok') continue
        if (gathering.id === 'barrier') {
          own.told.push({ number: asked.number, observation: kept(event.observation) })
          own.since ??= now ?? null
        } else if (state.t - asked.t > (gathering.staleness ?? Number.POSITIVE_INFINITY)) own.stale++
        else advance({ ...event.observation, queryId: own.inner!.id })
      }
      if (gathering.id !== 'barrier' || !own.inner || !isEnough(gathering, own, now)) continue
      const answers = own.told.toSorted((a, b) => a.number - b.number).map((told) => told.observation)
      const observation = joined(own.inner, answers, gathering.reduction)
      if (state.diagnostics && asksGradient(state.ask))
        measure(state.diagnostics, answers, observation, gathering.reduction)
      withdrawn.push(...Object.keys(own.open))
      Object.assign(own, { open: {}, told: [], since: null })
      advance(observation)
    }
    const out = () => Object.keys(own.open).length + own.told.length
    while (outcome.status.phase === 'running' && queries.length < capacity && out() < gathering.workers)
      queries.push(make(gathering, run, state, own))
    const waiting = gathering.id === 'barrier' && own.since !== null && gathering.deadline !== undefined
    const short = {
      reason: `${Object.keys(own.open).length} of ${gathering.workers} clients work on this step`,
      until: 'tell' as const,
      ...(waiting && isEnough(gathering, own, Number.POSITIVE_INFINITY)
        ? { retryAt: own.since! + 1000 * gathering.deadline! }
        : {}),
    }
    return { ...outcome, queries, withdrawn, short: capacity > queries.length ? short : undefined }
  }

  function conflicts(config: C, problem: Problem): Issue[] {
    const gathering = gatheringOf(config)
    if (gathering.id === 'none') return []
    const issues: Issue[] = []
    const refuse = (path: string, message: string) => issues.push({ path, message })
    const other = method.needs(config, problem).filter((kind) => !GATHERED.includes(kind))
    if (other.length > 0) refuse('config.gathering', `there is no mean of ${other.join(', ')} of several clients`)
    if (gathering.id === 'barrier') {
      const { workers, quorum, deadline } = gathering
      if (quorum !== undefined && quorum > workers)
        refuse('config.gathering.quorum', `expected at most ${workers}, the number of workers, got ${quorum}`)
      if (deadline !== undefined && quorum === undefined)
        refuse('config.gathering.deadline', 'needs a quorum: without one every answer is waited for')
    } else if (config.driver.id !== 'step')
      refuse('config.driver', `asynchronous clients need the driver "step": "${config.driver.id}" asks step by step`)
    return issues
  }

  return {
    ...method,
    check: (config, problem) => [...(method.check?.(config, problem) ?? []), ...conflicts(config, problem)],
    step(run, state: State, events) {
      const gathering = gatheringOf(run.config)
      return gathering.id === 'none' ? method.step(run, state, events) : step(run, state, events, gathering)
    },
    estimate(run, state: State) {
      const estimate = method.estimate(run, state)
      const { gathered: own } = state
      if (!own) return estimate
      const out = Object.keys(own.open).length
      return { ...estimate, metrics: { ...estimate.metrics, clientsOut: out, staleGradients: own.stale } }
    },
  }
}
