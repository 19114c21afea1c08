/**
 * Scattered Forest Search: a bandit over a forest of texts (programs, prompts, plans) and directions for changing them.
 * J. Light, Y. Wu, Y. Sun, W. Yu, Y. Liu, X. Zhao, Z. Hu, H. Chen, W. Cheng, "Scattered Forest Search: Smarter Code Space
 * Exploration with LLMs", ICLR 2025 (arXiv:2411.05010), section 3.
 *
 * Foresting: each seed is written after a theme of its own. Scattering: of every solution a language model lists several
 * directions of improvement, the arms of a node. Scouting: what an attempt teaches is told in all requests after it.
 * The reward of an arm is the best score at or below the node it leads to; the paper leaves its backup open.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Message, Observation, Point, Query, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem, TextSpace } from '../../core/space.js'
import { converse, type Dialogue, type Settled, startDialogue, wellFormed } from './dialogue.js'
import { type Attempt, bestAttempt, type Node, plant, randomAttempt, record, scatter } from './forest.js'
import { FEEDBACK, feedbackOf, numbered, type Request, requestOf, unfenced } from './forest-requests.js'

const THEMES = [
  'Take the most direct way that could work.',
  'Work recursively: split the problem into smaller ones of the same kind.',
  'Take an iterative approach that builds the answer step by step.',
  'Begin with how the data are best represented; the rest follows from it.',
  'Look for a property of the problem that makes most of the work unnecessary.',
]
/** The direction of a solution for which none were listed. */
const REPAIR = 'Correct what the feedback shows to be wrong.'

const config = z.strictObject({
  baseline: field(
    z.enum(['best-of-n', 'line', 'tree']).optional(),
    'A simpler search in place of the forest. best-of-n: nothing but seeds. line: one seed, always the newest solution in ' +
      'one direction. tree: one seed and no insights. Overrides seeds, directions and insights.',
    { source: 'paper, section 4' },
  ),
  seeds: field(z.int().min(1).default(5), 'Solutions to begin with, each after its own theme.', { source: 'ours' }),
  themes: field(
    z.array(z.string().min(1)).min(1).default(THEMES),
    'Themes of the seeds, in their order; used again where there are more seeds.',
    { source: 'ours' },
  ),
  directions: field(z.int().min(1).default(3), 'Directions of improvement per solution.', { source: 'ours' }),
  insights: field(z.boolean().default(true), 'Whether what an attempt teaches is asked, and told in later requests.', {
    source: 'paper, section 3',
  }),
  insightsKept: field(z.int().min(1).default(10), 'Insights that are told: the last ones, of all trees.', {
    source: 'ours',
    advanced: true,
    mutable: true,
  }),
  selection: field(
    z.enum(['ucb', 'random']).default('ucb'),
    'How directions are chosen: by their upper confidence bounds, or at random whatever the scores.',
    { source: 'paper, section 3' },
  ),
  exploration: field(z.number().min(0).default(1), 'c of Q + c sqrt(ln n / n_d).', { source: 'ours', mutable: true }),
  maxEvaluations: field(
    z.int().min(1).default(10),
    'Solutions to be scored, the seeds and those that came to nothing included.',
    {
      source: 'paper, section 4',
      mutable: true,
    },
  ),
  target: field(z.number().default(1), 'A score that ends the run.', { source: 'paper', mutable: true }),
  temperature: field(z.number().min(0).max(2).default(0.8), 'Sampling temperature of the completions.', {
    source: 'ours',
    mutable: true,
  }),
  maxTokens: field(z.int().min(1).optional(), 'Longest completion, in tokens.', { advanced: true }),
})
type Config = z.infer<typeof config>

type Job = Request | { kind: 'score'; attempt: Attempt; text: string }
type Scored = { score: number; feedback: string }
type Result = string | string[] | Scored
type State = {
  nodes: Node[]
  insights: string[]
  /** Attempts that are over. */
  attempts: number
  /** Of random selection. */
  rng: RngState | null
  dialogue: Dialogue<Job, Result>
}

/** Of at most so many solutions, score and parent are among the metrics. */
const SHOWN = 32

/** The shape of the search: that of the config, or of a baseline. */
export function shapeOf({ baseline, seeds, directions, insights, maxEvaluations }: Config) {
  if (baseline === 'best-of-n') return { seeds: maxEvaluations, directions, insights: false }
  if (baseline === 'line') return { seeds: 1, directions: 1, insights }
  if (baseline === 'tree') return { seeds: 1, directions, insights: false }
  return { seeds: Math.min(seeds, maxEvaluations), directions, insights }
}

const component = (problem: Problem) => (problem.space as TextSpace).components[0]
const pointOf = (problem: Problem, text: string): Point => ({ kind: 'text', text: { [component(problem).name]: text } })

function themesOf(config: Config): string[] {
  const { themes } = config
  return Array.from({ length: shapeOf(config).seeds }, (_, i) => {
    const again = Math.floor(i / themes.length)
    return themes[i % themes.length] + (again > 0 ? ` Variant ${again + 1}: let it differ from the others.` : '')
  })
}

function question(run: Run<Config>, state: State, job: Job): Omit<Query, 'id'> {
  if (job.kind === 'score')
    return { points: [pointOf(run.problem, job.text)], wants: [{ kind: 'score' }], purpose: 'score' }
  const { temperature, maxTokens } = run.config
  const content = requestOf(run.problem, state, shapeOf(run.config).directions, job)
  const messages: Message[] = [{ role: 'user', content }]
  const want: Want = { kind: 'completion', purpose: job.kind, messages, count: 1, temperature }
  return { points: [], wants: [maxTokens === undefined ? want : { ...want, maxTokens }], purpose: job.kind }
}

/** A solution that is empty or too long for the space is none. */
function read({ config, problem }: Run<Config>, job: Job, observation: Observation): Result | null {
  if (job.kind === 'score') {
    const score = observation.scores?.[0]?.score
    return score === undefined ? null : { score, feedback: feedbackOf(problem, observation) }
  }
  const reply = wellFormed(observation.completions?.[0] ?? '')
  if (job.kind === 'directions') return numbered(reply).slice(0, shapeOf(config).directions)
  if (job.kind === 'insight') return reply.trim().slice(0, FEEDBACK)
  const text = unfenced(reply)
  return text !== '' && text.length <= (component(problem).maxLength ?? Infinity) ? text : null
}

const bestOf = ({ nodes }: State): Node | undefined =>
  nodes.slice(1).reduce<Node | undefined>((best, node) => (best && best.score >= node.score ? best : node), undefined)

/** Takes in the result of a job. Returns the jobs that follow from it alone. */
function absorb({ config }: Run<Config>, state: State, { job, result }: Settled<Job, Result>): Job[] {
  if (job.kind === 'directions') {
    const listed = (result ?? []) as string[]
    scatter(state.nodes[job.node], listed.length > 0 ? listed : [REPAIR])
    return []
  }
  if (job.kind === 'insight') {
    if (result) state.insights = [...state.insights, result as string].slice(-config.insightsKept)
    return []
  }
  if (job.kind !== 'score' && result !== null) return [{ kind: 'score', attempt: job.attempt, text: result as string }]
  state.attempts++
  const found = job.kind === 'score' && result ? { text: job.text, ...(result as Scored) } : null
  const node = record(state.nodes, job.attempt, found)
  if (node === null) return []
  const learn = shapeOf(config).insights && job.attempt.node !== 0
  const insight: Job[] = learn ? [{ kind: 'insight', node }] : []
  return [{ kind: 'directions', node }, ...insight]
}

function next(run: Run<Config>, state: State, settled: readonly Settled<Job, Result>[]) {
  const { baseline, maxEvaluations, target, exploration } = run.config
  const jobs = settled.flatMap((answer) => absorb(run, state, answer))
  const scores = jobs.filter(({ kind }) => kind === 'score')
  if (scores.length > 0) return { jobs }
  const best = bestOf(state)
  if (best && best.score >= target) return { done: `a solution scored ${best.score}` }
  if (state.attempts >= maxEvaluations || baseline === 'best-of-n')
    return { done: `${state.attempts} solutions were tried` }
  if (jobs.length > 0) return { jobs }
  const attempt = state.rng ? randomAttempt(state.nodes, new Rng(state.rng)) : bestAttempt(state.nodes, exploration)
  return { jobs: [{ kind: attempt.node === 0 ? ('seed' as const) : ('improve' as const), attempt }] }
}

function check(_: Config, { space, objectives }: Problem): Issue[] {
  const issues: Issue[] = []
  if (space.kind === 'text' && space.components.length > 1)
    issues.push({
      path: 'space.components[1]',
      message: 'scattered-forest writes one text; further components are not offered',
    })
  if (objectives[0]?.direction === 'minimize')
    issues.push({ path: 'objectives[0].direction', message: 'scattered-forest maximizes a score' })
  return issues
}

function init({ config }: Run<Config>, seed: number): State {
  const nodes = plant(themesOf(config))
  const seeds = nodes[0].directions.map((_, direction): Job => ({ kind: 'seed', attempt: { node: 0, direction } }))
  const rng = config.selection === 'random' ? rngStream(seed, 'walks') : null
  return { nodes, insights: [], attempts: 0, rng, dialogue: startDialogue(seeds) }
}

/** Of each solution its score and the number of its parent; 0 for seeds. */
const treeOf = ({ nodes }: State): { [name: string]: number } =>
  Object.fromEntries(
    nodes.slice(0, SHOWN + 1).flatMap(({ origin, score }, i) =>
      origin
        ? [
            [`solution${i}.score`, score],
            [`solution${i}.parent`, origin.node],
          ]
        : [],
    ),
  )

export const method = defineMethod<Config, State>({
  id: 'scattered-forest',
  version: 1,
  stateVersion: 1,
  family: 'prompt',
  title: 'Scattered forest search',
  summary:
    'Searches texts that are scored by tests: several seeds, several directions of improvement for every solution chosen ' +
    'by their confidence bounds, and insights that all branches share. The message or the outputs told with a score are ' +
    'the feedback that the language model reads.',
  references: [
    {
      authors: 'J. Light, Y. Wu, Y. Sun, W. Yu, Y. Liu, X. Zhao, Z. Hu, H. Chen, W. Cheng',
      title: 'Scattered Forest Search: Smarter Code Space Exploration with LLMs',
      year: 2024,
      url: 'https://arxiv.org/abs/2411.05010',
    },
  ],
  config,
  facts: {
    spaces: ['text'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'reject',
    invariances: [],
  },
  recipes: [
    { problem: 'keywords', config: { seeds: 2, exploration: 0.3, maxEvaluations: 60 }, maxEvaluations: 250, target: 1 },
    { problem: 'keywords', config: { baseline: 'tree', maxEvaluations: 60 }, maxEvaluations: 200, target: 1 },
  ],
  equations: () => [
    String.raw`d^* = \arg\max_d\; Q(d) + c \sqrt{\ln \textstyle\sum_{d'} n(d') / n(d)}`,
    String.raw`n \leftarrow n + 1,\quad Q \leftarrow Q + (r - Q)/n`,
  ],
  needs: () => ['completion', 'score'],
  check,
  init,
  step(run, state, events: readonly Event[]): Outcome<State> {
    const outcome = converse(state.dialogue, events, {
      question: (job) => question(run, state, job),
      read: (job, observation) => read(run, job, observation),
      next: (settled) => next(run, state, settled),
    })
    return { state, ...outcome }
  },
  estimate({ problem }, state) {
    const best = bestOf(state)
    const points = best ? [{ point: pointOf(problem, best.text), values: [best.score] }] : []
    return {
      kind: 'prompt',
      points,
      step: state.attempts,
      metrics: { solutions: state.nodes.length - 1, insights: state.insights.length, ...treeOf(state) },
    }
  },
})
