/**
 * OPRO: a language model proposes solutions after reading earlier ones with their values.
 * C. Yang, X. Wang, Y. Lu, H. Liu, Q. V. Le, D. Zhou, X. Chen, "Large Language Models as Optimizers", ICLR 2024
 * (arXiv:2309.03409), section 2 and appendix C.
 *
 * A step asks for K completions of a meta-prompt that lists the best N solutions, the best one last, and then for the
 * value of every new solution among the replies.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Query } from '../../core/query.js'
import { hashName, Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { converse, type Dialogue, type Settled, startDialogue, wellFormed } from './dialogue.js'
import { type Notation, notationOf, type Solution } from './notation.js'

const config = z.strictObject({
  mode: field(
    z.enum(['instruction', 'numeric', 'permutation']).optional(),
    'What a solution is. Follows from the space (text, search or items); refused where it does not fit.',
  ),
  initial: field(
    z.array(z.union([z.string(), z.record(z.string(), z.number()), z.array(z.int())])).default([]),
    'Solutions to begin with: texts, numbers by name, or orders of item indices.',
  ),
  starts: field(z.int().min(1).default(5), 'Random solutions to begin with where none are given (numbers, orders).', {
    source: 'paper, section 3.1',
  }),
  historySize: field(z.int().min(1).default(20), 'Solutions that the meta-prompt lists: the best ones.', {
    source: 'paper, section 5.1',
    mutable: true,
  }),
  completions: field(z.int().min(1).default(8), 'Completions per step.', {
    source: 'paper, section 5.1',
    mutable: true,
  }),
  temperature: field(z.number().min(0).max(2).default(1), 'Sampling temperature of the proposals.', {
    source: 'paper, section 5.1',
    mutable: true,
  }),
  maxTokens: field(z.int().min(1).optional(), 'Longest completion, in tokens.', { advanced: true }),
  maxSteps: field(z.int().min(1).default(200), 'Steps after which the run is done.', {
    source: 'paper, section 5.1',
    mutable: true,
  }),
  scoreThreshold: field(
    z.number().optional(),
    'Solutions worse than this are not listed: scores below it, or values above it when minimizing.',
    { source: "authors' code" },
  ),
  exemplars: field(z.int().min(0).default(3), 'Examples of the task shown in each meta-prompt for instructions.', {
    source: 'paper, section 5.1',
  }),
  decimals: field(z.int().min(0).max(12).default(0), 'Digits after the point of listed numbers and values.', {
    source: "authors' code",
  }),
  maxLength: field(z.int().min(1).default(500), 'Longest instruction, in characters.', { source: "authors' code" }),
})
type Config = z.infer<typeof config>

/** `step` 0 evaluates the solutions to begin with. */
type Entry = { solution: Solution; value: number; step: number }
type Job = { propose: number } | { evaluate: Solution; step: number }
type Result = number | Solution[]
type State = {
  step: number
  evaluated: number
  /** The best solutions, the best one last. */
  history: Entry[]
  /** Hashes of all solutions that were ever asked. */
  seen: { [hash: string]: true }
  dialogue: Dialogue<Job, Result>
}

const maximizes = (problem: Problem) => problem.objectives[0].direction === 'maximize'
const notation = ({ config, problem }: Pick<Run<Config>, 'config' | 'problem'>) => notationOf(problem, config)

/** What the language model reads at a step, given the best entries so far, the best one last. */
export function metaPrompt(
  run: Pick<Run<Config>, 'config' | 'problem'>,
  history: readonly Entry[],
  step: number,
): string {
  const { historySize, scoreThreshold } = run.config
  const maximize = maximizes(run.problem)
  const words = notation(run)
  const good = ({ value }: Entry) =>
    scoreThreshold === undefined || (maximize ? value >= scoreThreshold : value <= scoreThreshold)
  const listed = history.slice(-historySize).filter(good)
  const values = listed.map(({ value }) => value)
  const entries = listed.map(({ solution, value }) => words.entry(solution, value, values))
  return [words.task(maximize), ...entries, words.interlude(step), words.request(maximize)].filter(Boolean).join('\n\n')
}

/** Adds an entry in its place, and lets go of the worst where there are too many. Later equals come later. */
function remember({ config, problem }: Run<Config>, state: State, entry: Entry) {
  const sign = maximizes(problem) ? 1 : -1
  state.evaluated++
  const at = state.history.findIndex(({ value }) => sign * value > sign * entry.value)
  state.history.splice(at < 0 ? state.history.length : at, 0, entry)
  if (state.history.length > config.historySize) state.history.splice(0, state.history.length - config.historySize)
}

/** Jobs for those solutions that were never asked before. */
function evaluate(state: State, words: Notation, solutions: readonly Solution[]): Job[] {
  const jobs: Job[] = []
  for (const solution of solutions) {
    const hash = hashName(words.key(solution)).join('.')
    if (state.seen[hash]) continue
    state.seen[hash] = true
    jobs.push({ evaluate: solution, step: state.step })
  }
  return jobs
}

function next(run: Run<Config>, state: State, settled: readonly Settled<Job, Result>[]) {
  const words = notation(run)
  const proposals: Solution[] = []
  for (const { job, result } of settled) {
    if ('evaluate' in job) {
      if (typeof result === 'number') remember(run, state, { solution: job.evaluate, value: result, step: job.step })
    } else if (Array.isArray(result)) proposals.push(...result)
  }
  const jobs = evaluate(state, words, proposals)
  if (jobs.length > 0) return { jobs }
  if (state.step >= run.config.maxSteps) return { done: `${state.step} steps are taken` }
  state.step++
  return { jobs: [{ propose: state.step }] }
}

function question(run: Run<Config>, state: State, job: Job): Omit<Query, 'id'> {
  if ('evaluate' in job) {
    const words = notation(run)
    return { points: [words.point(job.evaluate)], wants: [{ kind: words.want }], purpose: 'evaluate' }
  }
  const { completions: count, temperature, maxTokens } = run.config
  const messages = [{ role: 'user' as const, content: metaPrompt(run, state.history, job.propose) }]
  const want = { kind: 'completion' as const, purpose: 'propose', messages, count, temperature }
  return { points: [], wants: [maxTokens === undefined ? want : { ...want, maxTokens }], purpose: 'propose' }
}

function read(words: Notation, job: Job, { completions, values, scores }: Observation): Result | null {
  if ('propose' in job) return (completions ?? []).map((r) => words.parse(wellFormed(r))).filter((s) => s !== undefined)
  const value = scores?.[0]?.score ?? values?.[0]?.[0]
  return value !== undefined && Number.isFinite(value) ? value : null
}

/** Begins with the solutions of the config or, where there are none, those of the space. */
function init(run: Run<Config>, seed: number): State {
  const words = notation(run)
  const given = run.config.initial.map((solution) => words.accept(solution)).filter((s) => s !== undefined)
  const starts = given.length > 0 ? given : words.starts(new Rng(rngStream(seed, 'starts')), run.config.starts)
  const state: State = { step: 0, evaluated: 0, history: [], seen: {}, dialogue: startDialogue() }
  state.dialogue = startDialogue(evaluate(state, words, starts))
  return state
}

/** The best solution so far, those of the open batch included. Of equals the first to be proposed. */
function bestOf({ problem }: Run<Config>, { history, dialogue }: State): Entry | undefined {
  const sign = maximizes(problem) ? 1 : -1
  const open = dialogue.batch.flatMap(({ job, result }) =>
    'evaluate' in job && typeof result === 'number' ? [{ solution: job.evaluate, value: result, step: job.step }] : [],
  )
  const [best] = [...history, ...open].sort((a, b) => sign * (b.value - a.value) || a.step - b.step)
  return best
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const outcome = converse(state.dialogue, events, {
    question: (job) => question(run, state, job),
    read: (job, observation) => read(notation(run), job, observation),
    next: (settled) => next(run, state, settled),
  })
  return { state, ...outcome }
}

const MODES = { text: 'instruction', search: 'numeric', items: 'permutation', tensors: undefined } as const

function check(config: Config, problem: Problem): Issue[] {
  const { space } = problem
  const mode = MODES[space.kind]
  if (!mode) return []
  const issues: Issue[] = []
  if (config.mode && config.mode !== mode)
    issues.push({ path: 'config.mode', message: `a space of ${space.kind} goes with mode ${mode}` })
  if (space.kind === 'text' && space.components.length > 1)
    issues.push({ path: 'space.components[1]', message: 'opro writes one text; further components are not offered' })
  if (space.kind === 'search')
    space.parameters.forEach((p, i) => {
      const grain = 10 ** -config.decimals
      if (p.type === 'float' && Math.floor(p.high / grain) <= Math.ceil(p.low / grain))
        issues.push({
          path: `space.parameters[${i}]`,
          message: `with config.decimals ${config.decimals} fewer than two values lie in its range`,
        })
    })
  const words = notationOf(problem, config)
  config.initial.forEach((solution, i) => {
    if (words.accept(solution) === undefined)
      issues.push({ path: `config.initial[${i}]`, message: `is not a solution of the space (mode ${mode})` })
  })
  return issues
}

export const method = defineMethod<Config, State>({
  id: 'opro',
  version: 1,
  stateVersion: 1,
  family: 'prompt',
  title: 'Optimization by prompting',
  summary: 'A language model proposes instructions, numbers or orders after reading the best ones so far.',
  references: [
    {
      authors: 'C. Yang, X. Wang, Y. Lu, H. Liu, Q. V. Le, D. Zhou, X. Chen',
      title: 'Large Language Models as Optimizers',
      year: 2023,
      url: 'https://arxiv.org/abs/2309.03409',
    },
  ],
  config,
  facts: {
    spaces: ['text', 'search', 'items'],
    parameters: ['float', 'int'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'reject',
    invariances: [],
  },
  recipes: [{ problem: 'keywords', maxEvaluations: 120, target: 1 }],
  needs: (_, problem) => ['completion', problem.space.kind === 'text' ? 'score' : 'value'],
  check,
  init,
  step,
  estimate(run, state) {
    const best = bestOf(run, state)
    const words = notation(run)
    const points = best ? [{ point: words.point(best.solution), values: [best.value] }] : []
    return { kind: words.mode === 'instruction' ? 'prompt' : 'best', points, step: state.step }
  },
})
