/**
 * A text refined until two successive answers agree: fixed-point iteration of a language model, T(s) being its revision of s.
 * J. Fein-Ashley, "Iterate to Accelerate: A Unified Framework for Iterative Reasoning and Feedback Convergence", 2025
 * (arXiv:2502.03787), section 4; texts have no averages, so that steps are whole.
 *
 * A step asks for a critique, which is the feedback state, where that is wanted; for a revision with the purpose `revise`;
 * and for the distance of the new text, the second point of the query, from the old, the first: the residual.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Message, Observation, Point, Query, Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem, TextSpace } from '../../core/space.js'
import { converse, type Dialogue, type Settled, startDialogue, wellFormed } from './dialogue.js'

const config = z.strictObject({
  critique: field(
    z.boolean().default(false),
    'Asks what is wrong with a text before its revision, which is told of it.',
    {
      source: 'ours',
    },
  ),
  tolerance: field(z.number().min(0).default(0), 'Two texts agree when their distance is at most this.', {
    source: 'ours',
    mutable: true,
  }),
  maxSteps: field(z.int().min(1).default(20), 'Revisions after which the run is done.', {
    source: 'ours',
    mutable: true,
  }),
  temperature: field(z.number().min(0).max(2).default(0), 'Sampling temperature; with 0, a fixed point stays one.', {
    source: 'ours',
    mutable: true,
  }),
  maxTokens: field(z.int().min(1).optional(), 'Longest completion, in tokens.', { advanced: true }),
})
type Config = z.infer<typeof config>

type Job = { critique: string } | { revise: string } | { compare: string }
type Result = string | number
type State = {
  text: string
  feedback: string | null
  residual: number | null
  revisions: number
  dialogue: Dialogue<Job, Result>
}

const component = (problem: Problem) => (problem.space as TextSpace).components[0]
const pointOf = (problem: Problem, text: string): Point => ({ kind: 'text', text: { [component(problem).name]: text } })

const DISTANCE = 'distance of the text from that of the first point of the query; 0 where they say the same'

function messages({ problem }: Run<Config>, { feedback }: State, job: { critique: string } | { revise: string }) {
  const task = problem.task?.description
  const text = 'critique' in job ? job.critique : job.revise
  const request =
    'critique' in job
      ? 'What is wrong with this text? Answer with what should change, or that nothing should.'
      : 'Revise this text. Answer with the whole text and nothing else; where nothing is to be improved, repeat it as it is.'
  const parts = [task && `Task: ${task}`, `<TEXT>\n${text}\n</TEXT>`, feedback && `Critique: ${feedback}`, request]
  return [{ role: 'user', content: parts.filter(Boolean).join('\n\n') }] satisfies Message[]
}

function question(run: Run<Config>, state: State, job: Job): Omit<Query, 'id'> {
  if ('compare' in job) {
    const quantities = [{ name: 'distance', shape: [], description: DISTANCE }]
    const points = [pointOf(run.problem, state.text), pointOf(run.problem, job.compare)]
    return { points, wants: [{ kind: 'quantities', quantities }], purpose: 'compare' }
  }
  const purpose = 'critique' in job ? 'critique' : 'revise'
  const { temperature, maxTokens } = run.config
  const want: Want = {
    kind: 'completion',
    purpose,
    messages: messages(run, state, job),
    count: 1,
    temperature,
    maxTokens,
  }
  if (maxTokens === undefined) delete want.maxTokens
  return { points: [], wants: [want], purpose }
}

/** A revision is cut to the length that the space allows. */
function read({ problem }: Run<Config>, job: Job, { completions, quantities }: Observation): Result | null {
  if ('compare' in job) return quantities?.[1].distance[0] ?? null
  const [reply] = completions ?? []
  if (reply === undefined) return null
  return wellFormed(reply.trim().slice(0, 'revise' in job ? component(problem).maxLength : undefined))
}

const begin = ({ critique }: Config, text: string): Job => (critique ? { critique: text } : { revise: text })

function next({ config }: Run<Config>, state: State, settled: readonly Settled<Job, Result>[]) {
  const [{ job, result } = { job: null, result: null }] = settled
  if (job && 'critique' in job) {
    state.feedback = typeof result === 'string' && result !== '' ? result : null
    return { jobs: [{ revise: state.text }] }
  }
  if (job && 'revise' in job) {
    if (typeof result === 'string') return { jobs: [{ compare: result }] }
    return { done: 'no revision came' }
  }
  if (job && 'compare' in job) {
    state.text = job.compare
    state.feedback = null
    state.residual = typeof result === 'number' ? result : null
    state.revisions++
    if (state.residual !== null && state.residual <= config.tolerance) return { done: 'two successive texts agree' }
  }
  if (state.revisions >= config.maxSteps) return { done: `${state.revisions} revisions are made` }
  return { jobs: [begin(config, state.text)] }
}

export const method = defineMethod<Config, State>({
  id: 'iterate-refine',
  version: 1,
  stateVersion: 1,
  family: 'prompt',
  title: 'Refinement to a fixed point',
  summary:
    'A text that a language model revises, by critiques where wanted, until two successive answers agree; how far apart ' +
    'they are, is told.',
  references: [
    {
      authors: 'J. Fein-Ashley',
      title: 'Iterate to Accelerate: A Unified Framework for Iterative Reasoning and Feedback Convergence',
      year: 2025,
      url: 'https://arxiv.org/abs/2502.03787',
    },
  ],
  config,
  facts: {
    spaces: ['text'],
    objectives: 'one',
    constraints: false,
    parallel: false,
    unsolicited: 'reject',
    invariances: [],
  },
  recipes: [
    { problem: 'keywords', maxEvaluations: 40, target: 1 },
    { problem: 'keywords', config: { critique: true }, maxEvaluations: 60, target: 1 },
  ],
  needs: () => ['completion', 'quantities'],
  check: (_, { space }): Issue[] =>
    space.kind === 'text' && space.components.length > 1
      ? [{ path: 'space.components[1]', message: 'iterate-refine writes one text; further components are not offered' }]
      : [],
  init: ({ config, problem }) => {
    const text = component(problem).initial
    return { text, feedback: null, residual: null, revisions: 0, dialogue: startDialogue([begin(config, text)]) }
  },
  step(run, state, events: readonly Event[]): Outcome<State> {
    const outcome = converse(state.dialogue, events, {
      question: (job) => question(run, state, job),
      read: (job, observation) => read(run, job, observation),
      next: (settled) => next(run, state, settled),
    })
    return { state, ...outcome }
  },
  estimate: ({ problem }, { text, revisions, residual }) => ({
    kind: 'prompt',
    points: [{ point: pointOf(problem, text) }],
    step: revisions,
    ...(residual !== null && { metrics: { residual } }),
  }),
})
