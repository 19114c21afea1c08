/**
 * Bounded perturbations that change a decision, by Bayesian optimization in a low-dimensional space of patterns: an audit
 * of how robust the client's own model is, and an optimizer of few queries for any objective that sees labels alone.
 * S. N. Shukla, A. K. Sahu, D. Willmott, J. Z. Kolter, "Simple and Efficient Hard Label Black-box Adversarial Attacks in
 * Low Query Budget Regimes", KDD 2021, arXiv 2007.07210, algorithm 1.
 *
 * The first query is at the input as it is: it tells what has to change, so that a model of constant output is never
 * reported. While all values are equal, expected improvement is largest where the posterior is widest.
 */
import { defineMethod, type Estimate, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { flatOf } from '../../optimizers/flat.js'
import { signOf } from '../space/progress.js'
import { argmax, type Config, check, config, judge, perturbed, tensorOf, wantsOf } from './attack.js'
import { latentModel } from './latent.js'
import { layoutOf } from './patterns.js'

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
