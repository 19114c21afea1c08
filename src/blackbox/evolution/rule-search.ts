/**
 * Regularized evolution of update rules: Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier
 * Architecture Search", AAAI 2019, algorithm 1, on programs as in Chen et al., "Symbolic Discovery of Optimization
 * Algorithms", NeurIPS 2023, section 2: warm start, functional hashes, simplification, funnel selection.
 */
import { z } from 'zod'
import { AsktellError, type Issue } from '../../core/errors.js'
import { defineMethod, type Outcome } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem, TextSpace } from '../../core/space.js'
import type { Program } from '../../optimizers/language/program.js'
import { compile, functionalHash, mutate, simplify } from './programs.js'

/** AdamW with its usual constants. */
const ADAMW = `m = 0.9*m + 0.1*g
v = 0.999*v + 0.001*g^2
x = x - lr*((m/(1 - 0.9^t))/(sqrt(v/(1 - 0.999^t)) + 1e-8) + 0.01*x)`

/** Mutations tried for one that is a program and new. */
const TRIES = 1000

const config = z.strictObject({
  population: field(z.int().min(2).default(100), 'Programs that are kept; the oldest goes when one comes.', {
    source: 'ours; the paper has about 1000',
  }),
  tournament: field(z.int().min(1).default(25), 'Programs drawn at random, of which the fittest is varied.', {
    source: 'ours',
  }),
  tasks: field(
    z.array(z.string().min(1)).min(1).default(['proxy']),
    'Names of the tasks on which fitness is asked, the cheapest first; a query says its task as its purpose.',
    { source: 'section 2.3' },
  ),
  maxEvaluations: field(z.int().min(1).default(1000), 'Fitness values asked on the first task, before the funnel.', {
    source: 'ours',
  }),
  keep: field(z.int().min(1).default(10), 'Programs that go on to each harder task.', { source: 'ours' }),
})
type Config = z.output<typeof config>

type Candidate = { text: string; hash: string }
type Pending = Candidate & { task: number; attempts: number }
type State = {
  rng: RngState
  asked: number
  evaluations: number
  /** Index of the task that fitness is asked on now; tasks.length when all is done. */
  task: number
  /** Hashes of the programs alive, oldest first. */
  population: string[]
  /** Text by hash, of every program with a fitness on the task under way. */
  texts: { [hash: string]: string }
  /** Fitness by hash on the task under way; Infinity for what could not be evaluated. Smaller is better. */
  fitness: { [hash: string]: number }
  /** Candidates to ask next: the seed, those of the funnel, those that failed. */
  queue: Pending[]
  pending: { [queryId: string]: Pending }
}

const componentOf = (problem: Problem) => (problem.space as TextSpace).components[0]
const sign = (problem: Problem) => (problem.objectives[0].direction === 'maximize' ? -1 : 1)
const byFitness = (state: State) => (a: string, b: string) => state.fitness[a] - state.fitness[b]
const ranked = (state: State): string[] => Object.keys(state.fitness).sort(byFitness(state))

/** A child of the fittest of a random sample; those whose fitness is known join the population at once. */
function breed(state: State, { tournament }: Config): Pending | undefined {
  const rng = new Rng(state.rng)
  const programs = new Map<string, Program>()
  const inFlight = new Set(Object.values(state.pending).map(({ hash }) => hash))
  for (let tried = 0; tried < TRIES; tried++) {
    const sample = Array.from({ length: tournament }, () => state.population[rng.integer(state.population.length)])
    const parent = sample.reduce((best, hash) => (state.fitness[hash] < state.fitness[best] ? hash : best))
    const program = programs.get(parent) ?? compile(state.texts[parent])
    programs.set(parent, program)
    const text = mutate(program, rng)
    const hash = functionalHash(text)
    if (hash === undefined || inFlight.has(hash)) continue
    if (state.fitness[hash] === undefined) return { text, hash, task: 0, attempts: 0 }
    // A neutral variation: the same function in another text, from which other texts are near.
    state.texts[hash] = text
    programs.delete(hash)
    join(state, hash)
  }
  return undefined
}

function join(state: State, hash: string) {
  state.population.push(hash)
  state.population.shift()
}

/** Takes the fitness of a candidate. */
function settle(state: State, { text, hash }: Candidate, fitness: number, { population }: Config) {
  const first = state.population.length === 0
  state.texts[hash] = text
  state.fitness[hash] = fitness
  if (first) state.population = Array.from({ length: population }, () => hash)
  else if (state.task === 0) join(state, hash)
}

/** Moves the best on to the next task when the one under way is done. */
function funnel(state: State, { tasks, keep, maxEvaluations }: Config) {
  const busy = state.queue.length > 0 || Object.keys(state.pending).length > 0
  if (busy || state.task === tasks.length || (state.task === 0 && state.evaluations < maxEvaluations)) return
  state.task++
  if (state.task === tasks.length) return
  const best = ranked(state).slice(0, keep)
  state.queue = best.map((hash) => ({ hash, text: simplify(state.texts[hash]), task: state.task, attempts: 0 }))
  state.fitness = {}
  state.texts = {}
}

function next(state: State, settings: Config): Pending | undefined {
  const queued = state.queue.shift()
  if (queued || state.task > 0 || state.population.length === 0) return queued
  const searching = Object.keys(state.pending).length + state.evaluations < settings.maxEvaluations
  return searching ? breed(state, settings) : undefined
}

export const method = defineMethod<Config, State>({
  id: 'rule-search',
  version: 1,
  stateVersion: 1,
  family: 'evolution',
  title: 'Search for update rules',
  summary: 'Evolves update rules written in the rule language, by the fitness that clients measure on a proxy task.',
  references: [
    {
      authors: 'X. Chen, C. Liang, D. Huang, E. Real, K. Wang, et al.',
      title: 'Symbolic Discovery of Optimization Algorithms',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.06675',
    },
    {
      authors: 'E. Real, A. Aggarwal, Y. Huang, Q. V. Le',
      title: 'Regularized Evolution for Image Classifier Architecture Search',
      year: 2019,
      url: 'https://arxiv.org/abs/1802.01548',
    },
  ],
  config,
  facts: {
    spaces: ['text'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'reject',
    invariances: ['monotone-values'],
    heavy: true,
  },
  recipes: [{ problem: 'rule-fitness', config: { maxEvaluations: 60 }, maxEvaluations: 60, target: 5 }],
  needs: () => ['value'],
  check(_, problem): Issue[] {
    const { components } = problem.space as TextSpace
    const issues: Issue[] = components
      .slice(1)
      .map((_, i) => ({ path: `space.components[${i + 1}]`, message: 'rule-search takes one component, the rule' }))
    const text = components[0].initial
    if (text.trim() === '') return issues
    try {
      compile(text)
      if (functionalHash(text) === undefined)
        issues.push({ path: 'space.components[0].initial', message: 'the rule leaves the finite numbers' })
    } catch (error) {
      if (!(error instanceof AsktellError)) throw error
      for (const { path, message } of error.issues)
        issues.push({ path: path.replace(/^rule\.text/, 'space.components[0].initial'), message })
    }
    return issues
  },

  init({ problem }, seed) {
    const text = componentOf(problem).initial.trim() || ADAMW
    return {
      rng: rngStream(seed, 'rule-search'),
      asked: 0,
      evaluations: 0,
      task: 0,
      population: [],
      texts: {},
      fitness: {},
      queue: [{ text, hash: functionalHash(text) as string, task: 0, attempts: 0 }],
      pending: {},
    }
  },

  step({ config, problem }, state, events): Outcome<State> {
    let capacity = 0
    for (const event of events) {
      if (event.type === 'capacity') capacity += event.count
      if (event.type === 'observation') observe(state, event, config, problem)
    }
    const queries: Query[] = []
    while (queries.length < capacity) {
      funnel(state, config)
      const candidate = next(state, config)
      if (!candidate) break
      queries.push(ask(state, candidate, config, componentOf(problem).name))
    }
    funnel(state, config)
    const idle = queries.length < capacity && Object.keys(state.pending).length === 0 && state.queue.length === 0
    if (state.task === config.tasks.length || idle) {
      const reason = state.task === config.tasks.length ? 'all tasks are evaluated' : 'no new program is near'
      return { state, queries, status: { phase: 'done', reason } }
    }
    const short = { reason: 'the programs that are out decide what comes next', until: 'tell' as const }
    return { state, queries, status: { phase: 'running' }, ...(queries.length < capacity ? { short } : {}) }
  },

  estimate({ problem, memo }, state) {
    const [best] = ranked(state)
    if (!best) return { kind: 'best', points: [], step: state.evaluations }
    const text = state.texts[best]
    let simplified = memo.get('simplified') as { text: string; rule: string } | undefined
    if (simplified?.text !== text) memo.set('simplified', (simplified = { text, rule: simplify(text) }))
    const point = { kind: 'text' as const, text: { [componentOf(problem).name]: simplified.rule } }
    return {
      kind: 'best',
      points: [{ point, values: [sign(problem) * state.fitness[best]] }],
      step: state.evaluations,
      metrics: { programs: Object.keys(state.fitness).length, task: state.task },
    }
  },
})

function ask(state: State, candidate: Pending, { tasks }: Config, component: string): Query {
  const id = `r${++state.asked}`
  state.pending[id] = candidate
  return {
    id,
    points: [{ kind: 'text', text: { [component]: candidate.text } }],
    wants: [{ kind: 'value' }],
    purpose: tasks[candidate.task],
  }
}

/** A candidate that failed is asked once more; one that fails again, or never can be evaluated, is the least fit. */
function observe(
  state: State,
  { query, observation }: Event & { type: 'observation' },
  config: Config,
  problem: Problem,
) {
  const candidate = state.pending[query.id]
  if (!candidate) return
  delete state.pending[query.id]
  const { status, values } = observation
  const value = values?.[0]?.[0]
  if (status === 'cancelled' || (status === 'failed' && candidate.attempts === 0)) {
    state.queue.push({ ...candidate, attempts: candidate.attempts + Number(status === 'failed') })
    return
  }
  state.evaluations++
  const told = status === 'ok' && value !== undefined && !Number.isNaN(value)
  settle(state, candidate, told ? sign(problem) * value : Number.POSITIVE_INFINITY, config)
}
