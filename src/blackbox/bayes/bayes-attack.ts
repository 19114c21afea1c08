/**
 * Bounded perturbations that change a decision, by Bayesian optimization in a low-dimensional space of patterns: an audit
 * of how robust the client's own model is, and an optimizer of few queries for any objective that sees labels alone.
 * S. N. Shukla, A. K. Sahu, D. Willmott, J. Z. Kolter, "Simple and Efficient Hard Label Black-box Adversarial Attacks in
 * Low Query Budget Regimes", KDD 2021, arXiv 2007.07210, algorithm 1.
 *
 * The first query is at the input as it is: it tells what has to change, so that a model of constant output is never
 * reported. While all values are equal, expected improvement is largest where the posterior is widest.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Estimate, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Query, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { flatOf, spaceOf } from '../../optimizers/flat.js'
import { signOf } from '../space/progress.js'
import { latentModel } from './latent.js'
import { BASES, layoutOf, patternOf } from './patterns.js'

const config = z.strictObject({
  tensor: field(
    z.string().optional(),
    'The tensor that is perturbed, of one to three lengths; the first when absent.',
    {
      source: 'ours',
    },
  ),
  channelsLast: field(z.boolean().default(false), 'Of three lengths, the last counts channels, and not the first.', {
    source: 'ours',
  }),
  answer: field(
    z.enum(['hard', 'soft', 'value']).default('hard'),
    'hard: the label at an input. soft: log probabilities of all labels. value: an objective of any kind.',
    { source: 'paper, section 3' },
  ),
  target: field(z.int().min(0).optional(), 'The label to be reached; any but the first when absent.', {
    source: 'paper, section 3',
  }),
  norm: field(z.enum(['linf', 'l2']).default('linf'), 'Norm that bounds the perturbation.', { source: 'paper' }),
  eps: field(z.number().positive().default(0.3), 'Bound of the perturbation; 0.05 is usual for colour images.', {
    source: 'paper, section 4',
  }),
  discrete: field(z.boolean().default(true), 'Of linf: eps or -eps in every element, by the sign of the pattern.', {
    source: 'paper, section 3.3',
  }),
  basis: field(z.enum(BASES).default('cosine'), 'Functions that patterns are made of.', {
    source: 'paper, section 3.2',
  }),
  latent: field(
    z.tuple([z.int().min(1).max(64), z.int().min(1).max(64)]).default([4, 4]),
    'Functions along rows and columns; latent numbers per channel are their product.',
    { source: 'paper, section 4' },
  ),
  nInitial: field(z.int().min(1).default(5), 'Random patterns before the model.', { source: 'paper, section 4' }),
  maxQueries: field(z.int().min(2).default(1000), 'Queries before giving up.', { source: 'paper, section 4' }),
  acquisition: field(
    z.enum(['ei', 'mean', 'ucb']).default('ei'),
    'ei: expected improvement. mean: the posterior mean. ucb: mean and two deviations.',
    { source: 'paper, section 4.4' },
  ),
  nCandidates: field(z.int().min(16).max(65536).default(500), 'Points of the screening, half of them signs.', {
    source: 'paper',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  rng: RngState
  asked: number
  answered: number
  /** Label of the clean input; -1 where there are no labels. Null until it is known. */
  clean: number | null
  /** The open query at the clean input. */
  first: string | null
  zs: Float64Array[]
  /** To be maximized. */
  values: number[]
  open: { [queryId: string]: Float64Array }
  best: { z: Float64Array; value: number } | null
  success: boolean
  /** Hyperparameters of the model of unequal values, and how many there were. */
  fit: { rows: number; theta: Float64Array } | null
}

const tensorOf = ({ tensor }: Config, problem: Problem) =>
  spaceOf(problem).tensors.find(({ name }) => name === tensor) ?? spaceOf(problem).tensors[0]

/** The perturbation of latent numbers, within its bound. */
export function perturbation(c: Config, shape: readonly number[], z: ArrayLike<number>): Float64Array {
  const { norm, eps, discrete, basis, latent } = c
  const u = patternOf(basis, layoutOf(shape, c.channelsLast), latent, z)
  if (norm === 'linf') return u.map((v) => (discrete ? eps * Math.sign(v) : Math.min(eps, Math.max(-eps, v))))
  const length = Math.hypot(...u)
  return u.map((v) => v * Math.min(1, eps / Math.max(length, Number.MIN_VALUE)))
}

function perturbed({ config: c, problem }: Run<Config>, z: ArrayLike<number>): Float64Array {
  const flat = flatOf(problem)
  const { name, shape } = tensorOf(c, problem)
  const x = flat.start()
  const [from] = flat.range(name)!
  perturbation(c, shape, z).forEach((v, i) => {
    x[from + i] += v
  })
  return flat.clamp(x)
}

function wantsOf({ answer }: Config): Want[] {
  if (answer === 'value') return [{ kind: 'value' }]
  const quantity =
    answer === 'hard'
      ? { name: 'label', shape: [], description: 'Number of the label that the model gives, from 0.' }
      : { name: 'logProbabilities', shape: [-1], description: 'Logarithm of the probability of every label.' }
  return [{ kind: 'quantities', quantities: [quantity] }]
}

/** Index of the largest, the first of equals. */
const argmax = (values: ArrayLike<number>) => Array.from(values).reduce((top, v, i, all) => (v > all[top] ? i : top), 0)

/** What an answer is worth (0 is success, for labels) and whether the decision has changed; undefined where nothing was told. */
function judge({ config: c, problem }: Run<Config>, clean: number, observation: Observation) {
  const record = observation.quantities?.[0]
  if (c.answer === 'value') {
    const value = observation.values?.[0]?.[0]
    return value === undefined || !Number.isFinite(value)
      ? undefined
      : { value: -signOf(problem) * value, changed: false }
  }
  if (c.answer === 'hard') {
    if (!record) return undefined
    const changed = c.target === undefined ? record.label[0] !== clean : record.label[0] === c.target
    return { value: changed ? 0 : -1, changed }
  }
  if (!record) return undefined
  const logs = record.logProbabilities
  const own = c.target ?? clean
  let other = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logs.length; i++) if (i !== own) other = Math.max(other, logs[i])
  // Ties are not changes: a model of constant output has nothing but ties.
  const lead = c.target === undefined ? other - logs[own] : logs[own] - other
  return Number.isNaN(lead) ? undefined : { value: Math.min(0, lead), changed: lead > 0 }
}

function observe(run: Run<Config>, state: State, { query, observation }: Extract<Event, { type: 'observation' }>) {
  const { status } = observation
  if (query.id === state.first) {
    state.first = null
    if (status !== 'ok') return
    const record = observation.quantities?.[0]
    const { answer } = run.config
    state.answered++
    if (answer === 'value') state.clean = -1
    else state.clean = answer === 'hard' ? (record?.label[0] ?? -1) : argmax(record?.logProbabilities ?? [])
    return
  }
  const z = state.open[query.id]
  if (!z) return
  delete state.open[query.id]
  if (status === 'failed' || status === 'cancelled') return
  state.answered++
  const judged = status === 'ok' ? judge(run, state.clean ?? -1, observation) : undefined
  state.zs.push(z)
  // What cannot be evaluated counts as the worst of the others.
  state.values.push(
    judged?.value ?? state.values.reduce((least, v) => Math.min(least, v), run.config.answer === 'hard' ? -1 : 0),
  )
  if (!judged || (state.best && state.best.value >= judged.value && !judged.changed)) return
  if (state.success) return
  state.best = { z, value: judged.value }
  state.success = judged.changed
}

/** Patterns to try next: random ones first, then where the acquisition is largest, apart from those that are open. */
function propose({ config: c }: Run<Config>, state: State, size: number, count: number, rng: Rng): Float64Array[] {
  const draw = () => Float64Array.from({ length: size }, () => 2 * rng.uniform() - 1)
  const found: Float64Array[] = []
  while (found.length < count && state.zs.length + Object.keys(state.open).length + found.length < c.nInitial)
    found.push(draw())
  if (found.length === count) return found
  if (state.zs.length === 0) return [...found, ...Array.from({ length: count - found.length }, draw)]
  const pending = [...Object.values(state.open), ...found]
  const model = latentModel(state, pending, c.acquisition)
  while (found.length < count) {
    found.push(model.maximize(c.nCandidates, rng))
    if (found.length < count) model.believe(found[found.length - 1])
  }
  return found
}

const target = ({ target: t, answer }: Config, clean: number | null) =>
  answer !== 'value' && t !== undefined && t === clean

/** Why the session ends, if it does. */
function ending(c: Config, state: State): string | undefined {
  if (state.success) return `the decision changed after ${state.answered} queries`
  if (target(c, state.clean)) return 'the input has the target label as it is'
  if (state.answered >= c.maxQueries) return `the decision did not change in ${state.answered} queries`
  return undefined
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const { config: c, problem } = run
  const flat = flatOf(problem)
  const { shape } = tensorOf(c, problem)
  const size = layoutOf(shape, c.channelsLast).channels * c.latent[0] * c.latent[1]
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  let wanted = 0
  const ask = (x: Float64Array, purpose: string) => {
    const id = `q${state.asked++}`
    queries.push({ id, points: [{ kind: 'tensors', tensors: flat.tensors(x) }], wants: wantsOf(c), purpose })
    return id
  }
  for (const event of events) {
    if (event.type === 'observation') observe(run, state, event)
    if (event.type !== 'capacity' || ending(c, state)) continue
    wanted += event.count
    if (state.clean === null) {
      if (state.first === null && event.count > 0) state.first = ask(flat.clamp(flat.start()), 'clean')
      continue
    }
    const left = c.maxQueries - state.answered - Object.keys(state.open).length
    for (const z of propose(run, state, size, Math.min(event.count, Math.max(0, left)), rng))
      state.open[ask(perturbed(run, z), 'perturbation')] = z
  }
  const reason = ending(c, state)
  if (reason) return { state, queries, status: { phase: 'done', reason } }
  const why = state.clean === null ? 'the label of the clean input comes first' : 'all queries of the budget are open'
  const short = queries.length < wanted ? ({ reason: why, until: 'tell' } as const) : undefined
  return { state, queries, status: { phase: 'running' }, short }
}

/** The best input so far, whether it changes the decision, how large its perturbation is and how many queries were used. */
function estimate(run: Run<Config>, { best, success, answered, clean }: State): Estimate {
  const metrics: { [name: string]: number } = { success: success ? 1 : 0, queries: answered }
  if (clean !== null && clean >= 0) metrics.label = clean
  if (!best) return { kind: 'best', points: [], step: answered, metrics }
  const flat = flatOf(run.problem)
  const x = perturbed(run, best.z)
  const start = flat.start()
  const u = x.map((v, i) => v - start[i])
  metrics.norm = run.config.norm === 'l2' ? Math.hypot(...u) : u.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  const values = run.config.answer === 'value' ? { values: [-signOf(run.problem) * best.value] } : {}
  const point = { kind: 'tensors', tensors: flat.tensors(x) } as const
  return { kind: 'best', points: [{ point, ...values }], step: answered, metrics }
}

function check(c: Config, problem: Problem): Issue[] {
  if (problem.space.kind !== 'tensors') return []
  const issues: Issue[] = []
  const { tensors } = problem.space
  if (c.tensor !== undefined && !tensors.some(({ name }) => name === c.tensor))
    return [{ path: 'config.tensor', message: `"${c.tensor}" is not a tensor of the space` }]
  const { shape } = tensorOf(c, problem)
  if (shape.length > 3 || shape.length === 0)
    return [{ path: 'config.tensor', message: `expected one to three lengths, got ${shape.length}` }]
  const { rows, columns } = layoutOf(shape, c.channelsLast)
  ;[rows, columns].forEach((n, i) => {
    if (c.latent[i] > n)
      issues.push({ path: `config.latent[${i}]`, message: `expected at most ${n}, got ${c.latent[i]}` })
  })
  if (c.target !== undefined && c.answer === 'value')
    issues.push({ path: 'config.target', message: 'a value has no label to be reached' })
  return issues
}

export const method = defineMethod<Config, State>({
  id: 'bayes-attack',
  version: 1,
  stateVersion: 1,
  family: 'bayes',
  title: 'Bayesian attack',
  summary:
    'Audits robustness: searches a bounded perturbation of an input that changes a decision, in few queries, by Bayesian optimization over low-frequency patterns.',
  references: [
    {
      authors: 'S. N. Shukla, A. K. Sahu, D. Willmott, J. Z. Kolter',
      title: 'Simple and Efficient Hard Label Black-box Adversarial Attacks in Low Query Budget Regimes',
      year: 2020,
      url: 'https://arxiv.org/abs/2007.07210',
    },
  ],
  config,
  facts: {
    spaces: ['tensors'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'reject',
    invariances: [],
    heavy: true,
  },
  recipes: [
    {
      problem: 'quadratic',
      config: { tensor: 'b', answer: 'value', eps: 2, basis: 'nearest', latent: [2, 2] },
      maxEvaluations: 60,
      target: 11.4,
    },
  ],
  equations: ({ norm, discrete }) => [
    String.raw`x = \mathrm{clip}(x_0 + \Pi(B z)), \quad z \in [-1, 1]^k`,
    norm === 'l2'
      ? String.raw`\Pi(u) = u \min(1, \epsilon / \lVert u \rVert)`
      : discrete
        ? String.raw`\Pi(u) = \epsilon\, \mathrm{sign}(u)`
        : String.raw`\Pi(u) = \mathrm{clip}(u, -\epsilon, \epsilon)`,
    String.raw`z_{n+1} = \arg\max_z \mathrm{EI}_n(z)`,
  ],
  needs: (c) => wantsOf(c).map(({ kind }) => kind),
  check,
  init: (_, seed) => ({
    rng: rngStream(seed, 'bayes-attack'),
    asked: 0,
    answered: 0,
    clean: null,
    first: null,
    zs: [],
    values: [],
    open: {},
    best: null,
    success: false,
    fit: null,
  }),
  step,
  estimate,
})
