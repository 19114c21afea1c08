/**
 * Makes a method of one that goes in rounds: a round is a number of jobs, each the values at a few points on one sample,
 * and the method steps when all jobs are answered. Jobs may be answered in any order, by any number of clients.
 *
 * What a round draws at random is a function of the session's seed, the round and the job (the words of a Philox
 * counter), so that directions are drawn again where they are needed, and the state holds none.
 */
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Method, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Query } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Flat, flatOf, spaceOf } from '../../optimizers/flat.js'
import type { Described } from '../../optimizers/turns.js'

export type Round = {
  key0: number
  key1: number
  /** Rounds completed. */
  index: number
  /** Queries made, and values received, so far. */
  asked: number
  evaluations: number
  /** Jobs that no open query stands for, the next one last. */
  waiting: number[]
  /** Jobs by the id of their open query. */
  open: { [queryId: string]: number }
  /** Values of a loss to minimize, job by job; NaN until told, and for good where a job was found infeasible. */
  told: Float64Array
}

export type RoundsState<S> = { round: Round; own: S }

/** What a round asks: `jobs` queries of `points` points each. */
export type Plan = { jobs: number; points: number }

/** The answers of a round. */
export type Answers = {
  /** The values of a job, in the order of its points; undefined where its points have none. */
  of(job: number): Float64Array | undefined
  /** Jobs that have values. */
  count: number
}

/** A method in rounds as data. Between the ask and the answer of a round, `own` stays as it is. */
export type Rounds<C, S extends Tree> = Omit<Described<C, S>, 'needs'> & {
  plan(run: Run<C>, flat: Flat, own: S, round: Round): Plan
  /** The points of a job, as fresh vectors: they are moved into the box of the space. */
  points(run: Run<C>, flat: Flat, own: S, round: Round, job: number): readonly Float64Array[]
  /** What a query is for, and on which sample it is answered: each its own by default. */
  label(run: Run<C>, own: S, round: Round, job: number): { purpose: string; sampleKey?: string }
  /** Takes the answers (at worst none, all jobs being infeasible) and moves on. */
  learn(run: Run<C>, flat: Flat, own: S, round: Round, answers: Answers): void
}

/** The random numbers of a job in a round, the present one by default: the same whenever they are drawn. */
export const jobRng = ({ key0, key1, index }: Round, job: number, at = index): Rng =>
  new Rng({ key0, key1, counter: [0, 0, job, at], used: 4 })

export function roundsMethod<C, S extends Tree>(preset: Rounds<C, S>): Method<C, RoundsState<S> & Tree> {
  const { id, title, summary, references, config, recipes, equations, invariances = [] } = preset
  type State = RoundsState<S> & Tree

  function begin(run: Run<C>, flat: Flat, { own, round }: State) {
    const { jobs, points } = preset.plan(run, flat, own, round)
    round.waiting = Array.from({ length: jobs }, (_, i) => jobs - 1 - i)
    round.told = new Float64Array(jobs * points).fill(Number.NaN)
  }

  function ask(run: Run<C>, flat: Flat, { own, round }: State): Query {
    const job = round.waiting.pop() as number
    const queryId = `v${round.asked++}`
    round.open[queryId] = job
    return {
      id: queryId,
      points: preset
        .points(run, flat, own, round, job)
        .map((x) => ({ kind: 'tensors', tensors: flat.tensors(flat.clamp(x)) })),
      wants: [{ kind: 'value' }],
      sampleKey: `s${round.index}.${job}`,
      ...preset.label(run, own, round, job),
    }
  }

  function observe(run: Run<C>, flat: Flat, state: State, { queryId, status, values }: Observation) {
    const { own, round } = state
    const job = round.open[queryId]
    delete round.open[queryId]
    if (status === 'failed' || status === 'cancelled' || (status === 'ok' && !values)) {
      round.waiting.push(job) // These points are asked again.
      return
    }
    const { points } = preset.plan(run, flat, own, round)
    if (status === 'ok') {
      const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
      values!.forEach(([value], i) => {
        round.told[job * points + i] = sign * value
      })
      round.evaluations += points
    }
    if (round.waiting.length > 0 || Object.keys(round.open).length > 0) return
    const of = (j: number) => {
      const told = round.told.subarray(j * points, (j + 1) * points)
      return Number.isNaN(told[0]) ? undefined : told
    }
    const jobs = Array.from({ length: round.told.length / points }, (_, j) => j)
    const count = jobs.filter((j) => of(j)).length
    preset.learn(run, flat, own, round, { of, count })
    round.index++
    begin(run, flat, state)
  }

  function step(run: Run<C>, state: State, events: readonly Event[]): Outcome<State> {
    const flat = flatOf(run.problem)
    const queries: Query[] = []
    let wanted = 0
    for (const event of events) {
      if (event.type === 'observation' && Object.hasOwn(state.round.open, event.query.id))
        observe(run, flat, state, event.observation)
      if (event.type !== 'capacity') continue
      wanted += event.count
      for (let i = 0; i < event.count && state.round.waiting.length > 0; i++) queries.push(ask(run, flat, state))
    }
    const short = { reason: 'the next round depends on the values of the open one', until: 'tell' } as const
    return { state, queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
  }

  function check(parsed: C, problem: Problem): Issue[] {
    if (problem.space.kind !== 'tensors') return []
    const { initial = {}, low = -Infinity, high = Infinity } = spaceOf(problem)
    const outside = Object.entries(initial).filter(([, values]) => values.some((v) => v < low || v > high))
    const issues = outside.map(([name]) => ({
      path: `space.initial.${name}`,
      message: `expected values from ${low} to ${high}`,
    }))
    return [...issues, ...(preset.check?.(parsed, problem) ?? [])]
  }

  return defineMethod<C, State>({
    id,
    version: 1,
    stateVersion: 1,
    family: 'zeroth',
    title,
    summary,
    references,
    config,
    recipes,
    equations,
    facts: {
      spaces: ['tensors'],
      objectives: 'one',
      constraints: false,
      parallel: true,
      unsolicited: 'reject',
      invariances,
    },
    needs: () => ['value'],
    check,
    init(run, seed) {
      const flat = flatOf(run.problem)
      const { key0, key1 } = rngStream(seed, 'directions')
      const state = {
        round: { key0, key1, index: 0, asked: 0, evaluations: 0, waiting: [], open: {}, told: new Float64Array(0) },
        own: preset.init(run, flat, seed),
      } as State
      begin(run, flat, state)
      return state
    },
    step,
    estimate(run, { own, round }) {
      const { x, kind, step, metrics } = preset.estimate(run, own)
      return {
        kind,
        points: [{ point: { kind: 'tensors', tensors: flatOf(run.problem).tensors(x) } }],
        step,
        metrics: { evaluations: round.evaluations, rounds: round.index, ...metrics },
      }
    },
  })
}
