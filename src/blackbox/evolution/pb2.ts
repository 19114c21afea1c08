/**
 * Population-based bandits (PB2).
 * J. Parker-Holder, V. Nguyen, S. Roberts, "Provably Efficient Online Hyperparameter Optimization with Population-Based
 * Bandits", NeurIPS 2020, arXiv:2002.02518, algorithm 1.
 *
 * Population-based training (training.ts) whose explore step is a Gaussian-process bandit. What an interval gained is a
 * function of its parameters and of time; the next parameters maximize mean + sqrt(beta_t) deviation (equation 8), where
 * intervals in training take part in the deviation (GP-BUCB). beta_t = c1 log(c2 n), as in the authors' code.
 * Categories are perturbed as in `pbt`, and so is everything while there are fewer than three gains.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params } from '../../core/space.js'
import { bestEstimate } from '../space/progress.js'
import { perturbed, perturbFields } from './perturb.js'
import {
  BUSY,
  encodingFor,
  type Member,
  startTraining,
  type Training,
  train,
  trained,
  trainingFields,
} from './training.js'
import { type Hyperparameters, likeliest, posterior, type Sample } from './tv-process.js'

const config = z.strictObject({
  ...trainingFields,
  ...perturbFields,
  nCandidates: field(z.int().min(16).max(10000).default(512), 'Points of the acquisition screening.', {
    source: 'ours',
    advanced: true,
  }),
  window: field(z.int().min(10).max(1000).default(100), 'The latest gains are in the model, so many.', {
    source: 'ours; 1000 in Ray Tune',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>

/** The gain (larger is better) of an interval of training from time t to t + 1. */
type Gain = { u: Float64Array; t: number; gain: number }
type State = Training & { gains: Gain[] }
/** Hyperparameters, and the gains that they were fitted to. */
type Fit = { gains: readonly Gain[]; told: number; theta: Hyperparameters }

const C1 = 0.2
const C2 = 0.4
const MIN_GAINS = 3
/** Rounds of draws around the best candidate, each half as wide. */
const ROUNDS = 5
const DRAWS = 32

function standardized(gains: readonly Gain[]): Float64Array {
  const mean = gains.reduce((sum, { gain }) => sum + gain / gains.length, 0)
  const scale = Math.sqrt(gains.reduce((sum, { gain }) => sum + (gain - mean) ** 2 / gains.length, 0))
  return Float64Array.from(gains, ({ gain }) => (scale > 0 && Number.isFinite(scale) ? (gain - mean) / scale : 0))
}

function explore(run: Run<Config>, state: State, source: Member, member: Member, rng: Rng): Params {
  const encoding = encodingFor(run)
  const start = perturbed(encoding, run.config, source.params!, rng)
  const ordered = encoding.axes.flatMap(({ ordered, size }, i) => (ordered && size > 1 ? [i] : []))
  const { gains, members, progress } = state
  if (gains.length < MIN_GAINS || ordered.length === 0) return start
  const sampleOf = (u: Float64Array, t: number): Sample => ({ x: Float64Array.from(ordered, (i) => u[i]), t })
  const samples = gains.map(({ u, t }) => sampleOf(u, t))
  const pending = members.flatMap(({ task, intervals }) =>
    task ? [sampleOf(encoding.encode(task.params).u, intervals)] : [],
  )
  const y = standardized(gains)
  // Members that explore in one step share the fit.
  let known = run.memo.get('pb2') as Fit | undefined
  if (known?.gains !== gains || known.told !== progress.told) {
    known = { gains, told: progress.told, theta: likeliest(samples, y) }
    run.memo.set('pb2', known)
  }
  const model = posterior(known.theta, samples, y, pending)
  const kappa = Math.sqrt(Math.max(0, C1 * Math.log(C2 * gains.length)))
  const base = encoding.encode(start).u
  let best: { u: Float64Array; bound: number } = { u: base, bound: Number.NEGATIVE_INFINITY }
  const consider = (move: (i: number) => number) => {
    const u = base.slice()
    for (const i of ordered) u[i] = Math.min(Math.max(move(i), 0), 1)
    const { mean, deviation } = model(sampleOf(u, member.intervals))
    if (mean + kappa * deviation > best.bound) best = { u, bound: mean + kappa * deviation }
  }
  for (let c = 0; c < run.config.nCandidates; c++) consider(() => rng.uniform())
  for (let round = 0, width = 0.1; round < ROUNDS; round++, width /= 2) {
    const { u } = best
    for (let c = 0; c < DRAWS; c++) consider((i) => u[i] + width * rng.normal())
  }
  return encoding.decode(best.u)
}

function learn(run: Run<Config>, state: State, member: Member, before: number): void {
  const gain = before - member.value
  if (!Number.isFinite(gain)) return
  const { u } = encodingFor(run).encode(member.params!)
  state.gains.push({ u, t: member.intervals - 1, gain })
  if (state.gains.length > run.config.window) state.gains.shift()
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const queries: Query[] = []
  let capacity = 0
  for (const event of events) {
    if (event.type === 'observation') trained(run, state, event, (member, before) => learn(run, state, member, before))
    if (event.type !== 'capacity') continue
    capacity += event.count
    queries.push(...train(run, state, event.count, (source, member, rng) => explore(run, state, source, member, rng)))
  }
  const short = queries.length < capacity ? BUSY : undefined
  return { state, queries, status: { phase: 'running' }, short }
}

export const method = defineMethod<Config, State>({
  id: 'pb2',
  version: 1,
  stateVersion: 1,
  family: 'evolution',
  title: 'Population-based bandits',
  summary:
    'Population-based training that chooses new parameters by a Gaussian process of what training gained, which forgets with time. For small populations. A trial is an interval of training, and names the trial it goes on from.',
  references: [
    {
      authors: 'J. Parker-Holder, V. Nguyen, S. Roberts',
      title: 'Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits',
      year: 2020,
      url: 'https://arxiv.org/abs/2002.02518',
    },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: [],
    heavy: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 300, target: 1.5 },
    { problem: 'mixed', maxEvaluations: 300, target: 0.15 },
  ],
  equations: () => [
    String.raw`k((x, t), (x', t')) = e^{-|x - x'|^2 / 2 \ell^2} (1 - \epsilon)^{|t - t'| / 2}`,
    String.raw`x_{t+1} = \arg\max_x \; \mu_t(x) + \sqrt{\beta_t} \, \sigma_t(x)`,
  ],
  needs: () => ['value'],
  init: ({ config }, seed) => ({ ...startTraining(config, seed, 'pb2'), gains: [] }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
