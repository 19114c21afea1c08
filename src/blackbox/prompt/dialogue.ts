/**
 * Work in batches: a method hands out a batch of jobs, each job becomes a query, and when all are answered the method
 * makes the next batch of their results. Results are read in the order of the jobs, whatever the order of the answers,
 * so a run does not depend on who answers first.
 */
import type { Outcome } from '../../core/method.js'
import type { Event, Observation, Query } from '../../core/query.js'
import type { Tree } from '../../core/tree.js'

/** How often a job is asked before it is given up. */
export const TRIES = 3

type Entry<J, R> = { job: J; query: string | null; tries: number; settled: boolean; result: R | null }
/** Part of the state of a method; a plain tree when J and R are. */
export type Dialogue<J extends Tree, R extends Tree> = { asked: number; batch: Entry<J, R>[] }
/** A job with its result; null when it was given up. */
export type Settled<J, R> = { job: J; result: R | null }

export type Script<J, R> = {
  question(job: J): Omit<Query, 'id'>
  /** What an ok observation says; null when it says nothing of use. */
  read(job: J, observation: Observation): R | null
  /** All jobs are settled (or none were given out yet): the next batch, or the reason why there is none. */
  next(settled: readonly Settled<J, R>[]): { jobs: J[] } | { done: string }
}

/** A reply as it can be stored: halves of surrogate pairs become U+FFFD. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, '\ufffd')

const entries = <J extends Tree, R extends Tree>(jobs: readonly J[]): Entry<J, R>[] =>
  jobs.map((job) => ({ job, query: null, tries: 0, settled: false, result: null }))

export const startDialogue = <J extends Tree, R extends Tree>(jobs: readonly J[] = []): Dialogue<J, R> => ({
  asked: 0,
  batch: entries(jobs),
})

/** Feeds events to a dialogue and asks what there is capacity for. */
export function converse<J extends Tree, R extends Tree>(
  dialogue: Dialogue<J, R>,
  events: readonly Event[],
  script: Script<J, R>,
): Omit<Outcome<never>, 'state'> {
  let wanted = 0
  for (const event of events) {
    if (event.type === 'capacity') wanted += event.count
    if (event.type !== 'observation') continue
    const { query, observation } = event
    const entry = dialogue.batch.find((e) => e.query === query.id)
    if (!entry || entry.settled) continue
    const again = observation.status === 'failed' || observation.status === 'cancelled'
    if (again && entry.tries < TRIES) entry.query = null
    else {
      entry.settled = true
      entry.result = observation.status === 'ok' ? script.read(entry.job, observation) : null
    }
  }
  while (dialogue.batch.every(({ settled }) => settled)) {
    const next = script.next(dialogue.batch.map(({ job, result }) => ({ job, result })))
    if ('done' in next) return { queries: [], status: { phase: 'done', reason: next.done } }
    dialogue.batch = entries(next.jobs)
  }
  const queries: Query[] = []
  for (const entry of dialogue.batch) {
    if (queries.length >= wanted) break
    if (entry.query !== null) continue
    entry.query = `q${dialogue.asked++}`
    entry.tries++
    queries.push({ id: entry.query, ...script.question(entry.job) })
  }
  const short = { reason: 'what comes next depends on the open queries', until: 'tell' } as const
  return { queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
}
