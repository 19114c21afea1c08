/**
 * Gradient-free methods for non-smooth non-convex functions, by randomized smoothing:
 * L. Chen, J. Xu, L. Luo, "Faster Gradient-Free Algorithms for Nonsmooth Nonconvex Stochastic Optimization", ICML 2023
 * (arXiv:2301.06428), algorithm 2 (GFM+); GFM is that of T. Lin, Z. Zheng, M. I. Jordan, NeurIPS 2022.
 *
 * With a direction w uniform on the unit sphere of R^d and a sample xi,
 *   G(x; w, xi) = d/(2 delta) (F(x + delta w; xi) - F(x - delta w; xi)) w
 * is an unbiased gradient of the smoothed f_delta(x) = E f(x + delta u), u uniform in the unit ball; a small gradient of
 * f_delta certifies a (delta, eps)-Goldstein stationary point of f. GFM+ estimates recursively, as SPIDER does.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { accumulate, coordinate, type Flat, norm, plus, sphere } from '../../optimizers/flat.js'
import { type Answers, jobRng, type Round, roundsMethod } from './rounds.js'

const config = z.strictObject({
  estimator: field(
    z.enum(['gfm', 'gfm-plus']).default('gfm-plus'),
    'gfm: fresh directions at every step. gfm-plus: a large batch every m steps, corrected by small ones in between.',
    { source: 'paper, algorithms 1 and 2' },
  ),
  delta: field(z.number().positive().default(0.1), 'Radius of the smoothing.', { source: 'ours', log: true }),
  learningRate: field(z.number().positive().default(0.01), 'Step size; theory: in proportion to delta/(L sqrt(d)).', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  m: field(z.int().min(1).default(10), 'Steps from one large batch to the next.', { source: 'ours' }),
  bBig: field(z.int().min(1).default(400), 'Directions of a large batch.', { source: 'ours' }),
  b: field(z.int().min(1).default(10), 'Directions of any other step; theory: b and m near the root of bBig.', {
    source: 'ours',
  }),
  directions: field(
    z.enum(['sphere', 'coordinates']).default('sphere'),
    'Random directions, or the coordinate axes in turn: exact on linear functions with d of them.',
    { source: 'paper, section 2', advanced: true },
  ),
  warmStart: field(z.int().min(0).default(0), 'Steps of gfm before gfm-plus begins.', {
    source: 'paper, appendix on warm starts',
    advanced: true,
  }),
  output: field(
    z.enum(['random', 'last']).default('random'),
    'The estimate: one of the iterates, uniformly at random as the analysis has it, or the last.',
    { source: 'paper, algorithm 2' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** The point before, where corrections ask too. */
  previous: Float64Array
  /** The estimate of the gradient. */
  v: Float64Array
  /** One of x_0 ... x_{t-1}, each with the same probability. */
  output: Float64Array
  rng: RngState
  t: number
}

/** What step t does: `fresh` estimates at x, or corrections of v by the change since the point before. */
function phase({ estimator, m, bBig, b, warmStart }: Config, t: number) {
  if (estimator === 'gfm' || t < warmStart) return { fresh: true, batch: b }
  const fresh = (t - warmStart) % m === 0
  return { fresh, batch: fresh ? bBig : b }
}

const direction = ({ config }: Run<Config>, { dimension }: Flat, round: Round, job: number) =>
  config.directions === 'sphere'
    ? sphere(jobRng(round, job), dimension)
    : coordinate((round.index * config.b + job) % dimension, dimension)

function learn(run: Run<Config>, flat: Flat, state: State, round: Round, answers: Answers) {
  const { delta, learningRate } = run.config
  const { fresh, batch } = phase(run.config, state.t)
  // Where a batch has no values at all, the estimate of before goes on.
  if (fresh && answers.count > 0) state.v.fill(0)
  for (let job = 0; job < batch; job++) {
    const told = answers.of(job)
    if (!told) continue
    const change = fresh ? told[0] - told[1] : told[0] - told[1] - (told[2] - told[3])
    const scale = (flat.dimension / (2 * delta)) * (change / answers.count)
    accumulate(state.v, scale, direction(run, flat, round, job))
  }
  if (new Rng(state.rng).integer(state.t + 1) === 0) state.output = state.x
  state.previous = state.x
  state.x = flat.clamp(plus(state.x, -learningRate, state.v))
  state.t++
}

export const method = roundsMethod<Config, State>({
  id: 'gfm-plus',
  title: 'GFM+',
  summary: 'Descent on non-smooth functions by values alone: two-point estimates of a smoothed gradient, recursive.',
  references: [
    {
      authors: 'L. Chen, J. Xu, L. Luo',
      title: 'Faster Gradient-Free Algorithms for Nonsmooth Nonconvex Stochastic Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2301.06428',
    },
    {
      authors: 'T. Lin, Z. Zheng, M. I. Jordan',
      title: 'Gradient-Free Methods for Deterministic and Stochastic Nonsmooth Nonconvex Optimization',
      year: 2022,
      url: 'https://arxiv.org/abs/2209.05045',
    },
  ],
  config,
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, bBig: 40, b: 8, m: 5, output: 'last' },
      maxEvaluations: 1500,
      target: 1e-3,
    },
    {
      problem: 'quadratic',
      config: { estimator: 'gfm', learningRate: 0.02, b: 5, output: 'last' },
      maxEvaluations: 3000,
      target: 1e-3,
    },
  ],
  equations: ({ estimator }) => [
    String.raw`G(x; w, \xi) = \frac{d}{2\delta} \left(F(x + \delta w; \xi) - F(x - \delta w; \xi)\right) w`,
    estimator === 'gfm'
      ? String.raw`v_t = \frac{1}{b} \sum_j G(x_t; w_j, \xi_j)`
      : String.raw`v_t = v_{t-1} + \frac{1}{b} \sum_j \left(G(x_t; w_j, \xi_j) - G(x_{t-1}; w_j, \xi_j)\right)`,
    String.raw`x_{t+1} = x_t - \eta\, v_t`,
  ],
  invariances: ['translation'],
  init(_, flat, seed) {
    const x = flat.start()
    return {
      x,
      previous: x,
      v: new Float64Array(flat.dimension),
      output: x,
      rng: rngStream(seed, 'output'),
      t: 0,
    }
  },
  plan(run, _, { t }) {
    const { fresh, batch } = phase(run.config, t)
    return { jobs: batch, points: fresh ? 2 : 4 }
  },
  label: ({ config }, { t }) => ({ purpose: phase(config, t).fresh ? 'estimate' : 'correction' }),
  points(run, flat, { x, previous, t }, round, job) {
    const { delta } = run.config
    const w = direction(run, flat, round, job)
    const pair = (at: Float64Array) => [plus(at, delta, w), plus(at, -delta, w)]
    return phase(run.config, t).fresh ? pair(x) : [...pair(x), ...pair(previous)]
  },
  learn,
  estimate: ({ config }, { x, output, v, t }) => ({
    x: config.output === 'last' ? x : output,
    kind: 'iterate',
    step: t,
    metrics: { gradientNorm: norm(v) },
  }),
})
