/**
 * A linear bandit whose rounds differ in their noise: H. Zhao, D. Zhou, J. He, Q. Gu, "Optimal Online Generalized Linear
 * Regression with Stochastic Noise and Its Application to Heteroscedastic Bandits", ICML 2023 (arXiv:2202.13603)
 *
 * Arms are the items of the space with their features; or, on a space of one tensor, a query `arms` asks for the features of
 * each round's arms, one a row, and the point of the next query is the row played. The value told of it is the reward (or
 * what it costs, where the objective is minimized); the observation's `noise` is its standard deviation. Quiet rounds count
 * more.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Point, Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { dot, flatOf, spaceOf } from '../../optimizers/flat.js'
import { signOf } from '../space/progress.js'
import { addLabel, type Fit, LINKS, meanOf, startFit, uncertainty } from './glm.js'
import { itemPoint, itemsOf, playMethod } from './play.js'

const config = z.strictObject({
  link: field(z.enum(LINKS).default('identity'), 'Of the rewards: real numbers, 0 and 1, or counts.', {
    source: 'arXiv:2202.13603',
  }),
  weighting: field(
    z.enum(['variance', 'layered', 'none']).default('variance'),
    'Rounds weigh by the inverse of their variance; or those of like noise have a model each, of which the least ' +
      'optimistic counts; or all weigh the same (linear UCB).',
    { source: 'arXiv:2202.13603' },
  ),
  beta: field(z.number().min(0).default(1), 'How much uncertainty is worth.', { source: 'ours', mutable: true }),
  lambda: field(z.number().positive().default(0.1), 'Weight of the regularizer lambda/2 |w|^2.', {
    source: 'ours',
    log: true,
  }),
  noiseFloor: field(z.number().positive().default(0.05), 'Standard deviations below this count as this.', {
    source: 'ours',
  }),
  noise: field(z.number().positive().default(1), 'Standard deviation where none is told.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  /** One model, or one per layer of noise. */
  fits: Fit[]
  /** Features of this round's arms, one a row; null until told. */
  arms: Float64Array | null
  /** The arm to play: its row. */
  chosen: number
  rounds: number
  reward: number
  /** Times each item was played; empty where arms are told. */
  played: number[]
}

/** The model of the values as they are told: with the other sign where they are minimized. */
const theta = (problem: Problem, { w }: Fit) => w.map((wi) => -signOf(problem) * wi)

const dimensionOf = (problem: Problem): number =>
  problem.space.kind === 'items' ? (itemsOf(problem)[0].features?.length ?? 0) : flatOf(problem).dimension

const fixedArms = (problem: Problem): Float64Array | null =>
  problem.space.kind === 'items' ? Float64Array.from(itemsOf(problem).flatMap(({ features = [] }) => features)) : null

/** Layers of noise: layer l (1-based) holds 2^-l < s <= 2^(1-l), the first all above. */
const layerOf = ({ noiseFloor }: Config, s: number) =>
  Math.max(1, 1 + Math.floor(Math.log2(1 / Math.max(s, noiseFloor))))
const layersOf = (config: Config) => layerOf(config, config.noiseFloor)

/** The optimistic mean reward of an arm. */
function index({ link, weighting, beta, lambda }: Config, { fits }: State, x: Float64Array): number {
  if (weighting !== 'layered') return meanOf(link, dot(fits[0].w, x)) + beta * uncertainty(fits[0], x)
  const bounds = fits.map((fit, l) => {
    const radius = 2 ** -(l + 1) * beta + Math.sqrt(lambda)
    return meanOf(link, dot(fit.w, x)) + radius * uncertainty(fit, x)
  })
  return Math.min(...bounds)
}

const row = (arms: Float64Array, i: number, d: number) => arms.subarray(i * d, (i + 1) * d)

/** Chooses the arm with the largest index; of equals the first. */
function choose(config: Config, state: State, d: number): void {
  const arms = state.arms as Float64Array
  let best = Number.NEGATIVE_INFINITY
  for (let i = 0; i * d < arms.length; i++) {
    const value = index(config, state, row(arms, i, d))
    if (value > best) {
      best = value
      state.chosen = i
    }
  }
}

export const method = playMethod<Config, State>({
  id: 'hetero-ucb',
  title: 'UCB for rewards of unequal noise',
  summary: 'A bandit with linear (or logistic, or Poisson) rewards that learns more from the rounds with little noise.',
  references: [
    {
      authors: 'H. Zhao, D. Zhou, J. He, Q. Gu',
      title:
        'Optimal Online Generalized Linear Regression with Stochastic Noise and Its Application to Heteroscedastic Bandits',
      year: 2023,
      url: 'https://arxiv.org/abs/2202.13603',
    },
  ],
  config,
  spaces: ['items', 'tensors'],
  recipes: [
    { problem: 'linear-arms', maxEvaluations: 100, target: -0.9 },
    { problem: 'linear-arms', config: { weighting: 'layered' }, maxEvaluations: 100, target: -0.9 },
    { problem: 'arms-in-rounds', config: { beta: 0.1, noise: 0.05 }, maxEvaluations: 400, target: 0.1 },
  ],
  equations: ({ weighting }) =>
    weighting === 'layered'
      ? [
          String.raw`a_t = \arg\max_a \min_l \mu(\langle w_l, x_a \rangle) + (2^{-l} \beta + \sqrt\lambda) \|x_a\|_{A_l^{-1}}`,
          String.raw`A_l = \lambda I + \sum_{s_t \in (2^{-l}, 2^{1-l}]} x_t x_t^\top`,
        ]
      : [
          String.raw`a_t = \arg\max_a \mu(\langle w_t, x_a \rangle) + \beta \|x_a\|_{A^{-1}}, \quad A = \lambda I + \sum_s c_s x_s x_s^\top`,
          String.raw`w_t = \arg\min_w \frac{\lambda}{2} \|w\|^2 + \sum_s c_s \ell_s(w)`,
          weighting === 'none' ? 'c_s = 1' : String.raw`c_s = (s_{\min} / \max(s_s, s_{\min}))^2`,
        ],
  needs: (_, { space }) => (space.kind === 'items' ? ['value'] : ['quantities', 'value']),
  check({ link }, problem) {
    const issues: Issue[] = []
    if (link !== 'identity' && problem.objectives[0].direction === 'minimize')
      issues.push({ path: 'objectives[0].direction', message: `rewards of the ${link} link are maximized` })
    if (problem.space.kind === 'items') {
      if (dimensionOf(problem) === 0) issues.push({ path: 'space.items[0].features', message: 'expected features' })
      return issues
    }
    const { tensors } = spaceOf(problem)
    if (tensors.length !== 1 || tensors[0].shape.length !== 1)
      issues.push({ path: 'space.tensors', message: 'expected one tensor of shape [features]' })
    return issues
  },
  init({ config, problem }) {
    const d = dimensionOf(problem)
    const count = config.weighting === 'layered' ? layersOf(config) : 1
    const state: State = {
      fits: Array.from({ length: count }, () => startFit(d, config.lambda)),
      arms: fixedArms(problem),
      chosen: 0,
      rounds: 0,
      reward: 0,
      played: problem.space.kind === 'items' ? itemsOf(problem).map(() => 0) : [],
    }
    if (state.arms) choose(config, state, d)
    return state
  },
  ask({ problem }, { arms, chosen, rounds, fits }) {
    const round = rounds + 1
    if (problem.space.kind === 'items')
      return { points: [itemPoint(problem, chosen)], wants: [{ kind: 'value' }], purpose: 'play', round }
    const flat = flatOf(problem)
    const at = (x: Float64Array): Point[] => [{ kind: 'tensors', tensors: flat.tensors(x) }]
    const d = flat.dimension
    if (arms) return { points: at(row(arms, chosen, d)), wants: [{ kind: 'value' }], purpose: 'play', round }
    const description = 'Features of the arms of this round, one a row.'
    const wants: Want[] = [{ kind: 'quantities', quantities: [{ name: 'arms', shape: [-1, d], description }] }]
    return { points: at(theta(problem, fits[0])), wants, purpose: 'arms', round }
  },
  learn({ config, problem }, state, { quantities, values, noise }) {
    const d = dimensionOf(problem)
    if (!state.arms) {
      state.arms = Float64Array.from(quantities![0].arms)
      choose(config, state, d)
      return
    }
    const { link, weighting, lambda, noiseFloor } = config
    const x = row(state.arms, state.chosen, d).slice()
    // Rewards are maximized inside: those of an objective to minimize change their sign.
    const reward = -signOf(problem) * values![0][0]
    const s = noise?.[0]?.[0] ?? config.noise
    if (weighting === 'layered') addLabel(state.fits[layerOf(config, s) - 1], link, lambda, x, reward)
    else {
      const weight = weighting === 'none' ? 1 : (noiseFloor / Math.max(s, noiseFloor)) ** 2
      addLabel(state.fits[0], link, lambda, x, reward, weight)
    }
    state.rounds++
    state.reward += reward
    if (state.played.length > 0) state.played[state.chosen]++
    else state.arms = null
    if (state.arms) choose(config, state, d)
  },
  estimate({ config: { beta }, problem }, { fits, arms, chosen, rounds, reward, played }) {
    const d = dimensionOf(problem)
    const x = arms ? row(arms, chosen, d) : new Float64Array(d)
    const point: Point =
      problem.space.kind === 'items'
        ? itemPoint(problem, rounds > 0 ? played.indexOf(Math.max(...played)) : chosen)
        : { kind: 'tensors', tensors: flatOf(problem).tensors(theta(problem, fits[0])) }
    return {
      kind: problem.space.kind === 'items' ? 'best' : 'iterate',
      points: [{ point }],
      step: rounds,
      metrics: { reward: -signOf(problem) * reward, confidence: beta * uncertainty(fits[0], x) },
    }
  },
})
