/**
 * APO (ProTeGi): prompts are criticized on examples they get wrong, edited against the criticism, paraphrased, and
 * selected into a beam.
 * R. Pryzant, D. Iter, J. Li, Y. T. Lee, C. Zhu, M. Zeng, "Automatic Prompt Optimization with 'Gradient Descent' and
 * Beam Search", EMNLP 2023 (arXiv:2305.03495), algorithms 1 and 2.
 *
 * A round: predict a minibatch with each prompt of the beam; critique groups of errors ("textual gradients"); edit the
 * prompt against each critique; paraphrase; keep a few expansions of each prompt; select the new beam.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem, TextSpace } from '../../core/space.js'
import { requestOf, tagged, type Wrong } from './critique.js'
import { converse, type Dialogue, type Settled, startDialogue, wellFormed } from './dialogue.js'
import { type Arms, EVALUATORS, nextPulls, rankArms, recordScore, startArms } from './evaluators.js'

const paper = 'paper, section 3.2'
const code = "authors' code"
const config = z.strictObject({
  beamSize: field(z.int().min(1).default(4), 'Prompts that survive a round.', { source: paper }),
  rounds: field(z.int().min(1).default(6), 'Rounds after which the run is done.', { source: paper, mutable: true }),
  minibatchSize: field(z.int().min(1).default(64), 'Examples on which errors are looked for.', { source: paper }),
  nGradients: field(z.int().min(0).default(4), 'Groups of errors criticized per prompt; 0 for paraphrases alone.', {
    source: code,
  }),
  errorsPerGradient: field(z.int().min(1).default(4), 'Most errors per group.', { source: paper }),
  gradientsPerError: field(z.int().min(1).default(1), 'Reasons asked for per group.', { source: code }),
  stepsPerGradient: field(z.int().min(1).default(1), 'Edited prompts asked for per reason.', { source: code }),
  mcSamples: field(z.int().min(0).default(2), 'Paraphrases of each prompt, old or edited.', { source: paper }),
  maxExpansion: field(z.int().min(1).default(8), 'Expansions kept of each prompt of the beam.', { source: paper }),
  keep: field(
    z.enum(['random', 'errors']).default('random'),
    'Which expansions are kept: random ones, or the best on the examples that their parent got wrong.',
    { source: code },
  ),
  evaluator: field(z.enum(EVALUATORS).default('ucb'), 'How the new beam is selected.', { source: paper }),
  c: field(z.number().min(0).default(1), 'Width of the confidence bounds of ucb and ucb-e.', { source: code }),
  samplesPerEval: field(z.int().min(1).default(32), 'Examples per evaluation of a prompt.', { source: code }),
  evalRounds: field(z.int().min(1).default(8), 'Evaluations per selection, each of several prompts.', { source: code }),
  promptsPerRound: field(z.int().min(1).default(8), 'Prompts per evaluation.', { source: code }),
  temperature: field(z.number().min(0).max(2).default(0.7), 'Sampling temperature of the completions.', {
    source: code,
    mutable: true,
  }),
  maxTokens: field(z.int().min(1).optional(), 'Longest completion, in tokens.', { advanced: true }),
  errorThreshold: field(z.number().default(0.5), 'An example with a lower score counts as wrong.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

/** `prompt` is the one of the beam that a job is about; `text`, where there is one, was made from it. */
type Job =
  | { kind: 'predict'; prompt: string; examples: number[] }
  | { kind: 'critique'; prompt: string; errors: Wrong[] }
  | { kind: 'edit'; prompt: string; errors: Wrong[]; gradient: string }
  | { kind: 'paraphrase'; prompt: string; text: string }
  | { kind: 'screen'; prompt: string; text: string; examples: number[] }
  | { kind: 'pull'; arm: number; text: string; examples: number[] }
type Result = Wrong[] | string[] | number

/** The phases of a round, in their order; each gives out jobs of its own kind. */
const PHASES = ['predict', 'critique', 'edit', 'paraphrase', 'screen', 'pull'] as const
type Phase = (typeof PHASES)[number]

/** What comes of one prompt of the beam in a round. */
type Family = {
  prompt: string
  wrong: Wrong[]
  gradients: { errors: Wrong[]; gradient: string }[]
  texts: string[]
  /** Scores of the texts on the examples that the prompt got wrong, where they were asked. */
  screened: { text: string; score: number }[]
}
type State = {
  rng: RngState
  round: number
  /** The phase whose jobs are made next. */
  phase: Phase
  beam: { prompt: string; score: number | null }[]
  families: Family[]
  candidates: string[]
  arms: Arms | null
  /** The latest critiques, for whoever audits a run. */
  transcript: { round: number; prompt: string; gradient: string }[]
  /** A score came without the scores of its examples. */
  blind: boolean
  dialogue: Dialogue<Job, Result>
}

const TRANSCRIPT = 100
/** Characters of a wrong answer that a critique is shown. */
const OUTPUT = 1000

const componentOf = ({ space }: Problem) => (space as TextSpace).components[0]
const examplesOf = ({ task }: Problem) => task?.examples ?? []
const unique = <T>(items: readonly T[]): T[] => [...new Set(items)]

function question(run: Run<Config>, job: Job): Omit<Query, 'id'> {
  if (job.kind === 'predict' || job.kind === 'screen' || job.kind === 'pull') {
    const text = job.kind === 'predict' ? job.prompt : job.text
    const point = { kind: 'text' as const, text: { [componentOf(run.problem).name]: text } }
    return { points: [point], wants: [{ kind: 'score', examples: job.examples }], purpose: job.kind }
  }
  const { temperature, maxTokens, mcSamples } = run.config
  const want = {
    kind: 'completion' as const,
    purpose: job.kind,
    messages: [{ role: 'user' as const, content: requestOf(run.config, run.problem, job) }],
    count: job.kind === 'paraphrase' ? mcSamples : 1,
    temperature,
  }
  return { points: [], wants: [maxTokens === undefined ? want : { ...want, maxTokens }], purpose: job.kind }
}

function read({ config }: Run<Config>, state: State, job: Job, observation: Observation): Result | null {
  const replies = (observation.completions ?? []).map(wellFormed)
  const told = observation.scores?.[0]
  switch (job.kind) {
    case 'predict':
      if (!told?.examples) {
        state.blind = true
        return null
      }
      return job.examples
        .map((example, i) => ({ example, score: told.examples?.[i] ?? 1, output: told.outputs?.[i] ?? '' }))
        .filter(({ score }) => score < config.errorThreshold)
        .map(({ example, output }) => ({ example, output: wellFormed(output.slice(0, OUTPUT)) }))
    case 'critique':
      return replies.flatMap(tagged).slice(0, config.gradientsPerError)
    case 'edit':
      return replies.flatMap(tagged).slice(0, config.stepsPerGradient)
    case 'paraphrase':
      // Models that were just told of tags may use them here too.
      return replies.map((reply) => tagged(reply)[0] ?? (/<START>|<END>/.test(reply) ? '' : reply.trim()))
    default:
      return told && Number.isFinite(told.score) ? told.score : null
  }
}

/** So many examples without repeats; all of them in order when there are not more. */
function sample(run: Run<Config>, state: State, count: number): number[] {
  const all = examplesOf(run.problem).map((_, i) => i)
  return count >= all.length ? all : new Rng(state.rng).shuffle(all).slice(0, count)
}

/** Takes in the result of a job. */
function absorb(run: Run<Config>, state: State, { job, result }: Settled<Job, Result>) {
  if (result === null) return
  if (job.kind === 'pull') return recordScore(state.arms!, job.arm, result as number, job.examples.length)
  const family = state.families.find(({ prompt }) => prompt === job.prompt)!
  if (job.kind === 'predict') family.wrong = result as Wrong[]
  else if (job.kind === 'screen') family.screened.push({ text: job.text, score: result as number })
  else if (job.kind === 'critique')
    for (const gradient of result as string[]) {
      family.gradients.push({ errors: job.errors, gradient })
      state.transcript = [...state.transcript, { round: state.round, prompt: job.prompt, gradient }].slice(-TRANSCRIPT)
    }
  else {
    const { maxLength = Infinity } = componentOf(run.problem)
    const known = new Set(state.beam.map(({ prompt }) => prompt))
    const fit = (result as string[]).filter((text) => text && text.length <= maxLength && !known.has(text))
    family.texts = unique([...family.texts, ...fit])
  }
}

/** The jobs of each phase. */
const JOBS: Record<Phase, (run: Run<Config>, state: State) => Job[]> = {
  predict(run, state) {
    state.round++
    state.families = state.beam.map(({ prompt }) => ({ prompt, wrong: [], gradients: [], texts: [], screened: [] }))
    if (run.config.nGradients === 0) return []
    const examples = sample(run, state, run.config.minibatchSize)
    return state.beam.map(({ prompt }) => ({ kind: 'predict', prompt, examples }))
  },
  critique({ config }, state) {
    const rng = new Rng(state.rng)
    return state.families
      .filter(({ wrong }) => wrong.length > 0)
      .flatMap(({ prompt, wrong }) =>
        Array.from({ length: config.nGradients }, (): Job => {
          const errors = rng.shuffle(wrong).slice(0, config.errorsPerGradient)
          return { kind: 'critique', prompt, errors }
        }),
      )
  },
  edit: (_, { families }) =>
    families.flatMap(({ prompt, gradients }) => gradients.map((about): Job => ({ kind: 'edit', prompt, ...about }))),
  paraphrase: ({ config }, { families }) =>
    config.mcSamples === 0
      ? []
      : families.flatMap(({ prompt, texts }) =>
          [prompt, ...texts].map((text): Job => ({ kind: 'paraphrase', prompt, text })),
        ),
  /** Of too many texts random ones are kept, or all are scored on the errors of their prompt first. */
  screen({ config }, state) {
    const rng = new Rng(state.rng)
    return state.families.flatMap((family) => {
      const { prompt, texts, wrong } = family
      if (texts.length <= config.maxExpansion) return []
      if (config.keep === 'errors' && wrong.length > 0)
        return texts.map((text): Job => ({ kind: 'screen', prompt, text, examples: wrong.map((w) => w.example) }))
      family.texts = rng.shuffle(texts).slice(0, config.maxExpansion)
      return []
    })
  },
  /** Called again after every batch of pulls; without jobs the selection is over and the new beam stands. */
  pull(run, state) {
    state.arms ??= enter(run, state)
    for (let pulls = nextPulls(state.arms, run.config); pulls; pulls = nextPulls(state.arms, run.config)) {
      if (pulls.samples <= 0) continue
      const examples = sample(run, state, pulls.samples)
      return pulls.arms.map((arm) => ({ kind: 'pull', arm, text: state.candidates[arm], examples }))
    }
    const { samples, means } = state.arms
    const best = rankArms(state.arms)
      .filter((arm) => samples[arm] > 0)
      .slice(0, run.config.beamSize)
    if (best.length > 0) state.beam = best.map((arm) => ({ prompt: state.candidates[arm], score: means[arm] }))
    state.arms = null
    return []
  },
}

/** The candidates of a selection. The old beam comes first: of equal scores the older prompt stays. */
function enter({ config }: Run<Config>, state: State): Arms {
  const kept = state.families.flatMap(({ texts, screened }) => {
    const score = (text: string) => screened.find((s) => s.text === text)?.score ?? -Infinity
    return [...texts].sort((a, b) => (score(a) === score(b) ? 0 : score(b) - score(a))).slice(0, config.maxExpansion)
  })
  state.candidates = unique([...state.beam.map(({ prompt }) => prompt), ...kept])
  return startArms(state.candidates.length)
}

function next(run: Run<Config>, state: State, settled: readonly Settled<Job, Result>[]) {
  for (const answer of settled) absorb(run, state, answer)
  if (state.blind) return { done: 'a score came without the scores of its examples, which tell apo what is wrong' }
  for (;;) {
    const { phase } = state
    if (phase === 'predict' && state.round >= run.config.rounds) return { done: `${state.round} rounds are over` }
    const jobs = JOBS[phase](run, state)
    if (phase !== 'pull' || jobs.length === 0) state.phase = PHASES[(PHASES.indexOf(phase) + 1) % PHASES.length]
    if (jobs.length > 0) return { jobs }
  }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const outcome = converse(state.dialogue, events, {
    question: (job) => question(run, job),
    read: (job, observation) => read(run, state, job, observation),
    next: (settled) => next(run, state, settled),
  })
  return { state, ...outcome }
}

function check(_: Config, problem: Problem): Issue[] {
  const issues: Issue[] = []
  if (problem.space.kind === 'text' && problem.space.components.length > 1)
    issues.push({ path: 'space.components[1]', message: 'apo writes one text; further components are not offered' })
  if (examplesOf(problem).length === 0)
    issues.push({ path: 'task.examples', message: 'expected examples: critiques show those that a prompt gets wrong' })
  if (problem.objectives[0]?.direction === 'minimize')
    issues.push({ path: 'objectives[0].direction', message: 'apo maximizes a score' })
  return issues
}

export const method = defineMethod<Config, State>({
  id: 'apo',
  version: 1,
  stateVersion: 1,
  family: 'prompt',
  title: 'Automatic prompt optimization (ProTeGi)',
  summary:
    'Criticizes a prompt on examples it gets wrong, edits it against the criticism, and keeps a beam of the best.',
  references: [
    {
      authors: 'R. Pryzant, D. Iter, J. Li, Y. T. Lee, C. Zhu, M. Zeng',
      title: "Automatic Prompt Optimization with 'Gradient Descent' and Beam Search",
      year: 2023,
      url: 'https://arxiv.org/abs/2305.03495',
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
    { problem: 'keywords', config: { beamSize: 2, mcSamples: 1, evalRounds: 4 }, maxEvaluations: 500, target: 1 },
  ],
  needs: ({ nGradients, mcSamples }) => (nGradients === 0 && mcSamples === 0 ? ['score'] : ['completion', 'score']),
  check,
  init: ({ problem }, seed) => ({
    rng: rngStream(seed, 'samples'),
    round: 0,
    phase: 'predict',
    beam: [{ prompt: componentOf(problem).initial, score: null }],
    families: [],
    candidates: [],
    arms: null,
    transcript: [],
    blind: false,
    dialogue: startDialogue(),
  }),
  step,
  estimate: ({ problem }, { beam, round }) => ({
    kind: 'prompt',
    points: beam.map(({ prompt, score }) => ({
      point: { kind: 'text', text: { [componentOf(problem).name]: prompt } },
      ...(score === null ? {} : { values: [score] }),
    })),
    step: round,
  }),
})
