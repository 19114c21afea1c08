/**
 * S. Zhang, S. Choudhury, S. U. Stich, N. Loizou, "Communication-Efficient Gradient Descent-Accent Methods for Distributed
 * Variational Inequalities: Unified Analysis and Local Updates", ICLR 2024 (arXiv:2306.05100), algorithms 1 to 4.
 *
 * Finds x with 0 in mean_i F_i(x) + dr(x). Worker i has a point x_i, and h_i that comes to F_i of the solution: local steps
 * go by F_i - h_i and do not drift apart, so that a coin may decide when the workers communicate.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { plus } from '../flat.js'
import { proxOf, REGULARIZERS } from '../model-based/regularizer.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { gradientsOf, mean, spread, workersField } from './workers.js'

const config = z.strictObject({
  variant: field(
    z.enum(['proxskip', 'local-gda']).default('proxskip'),
    'proxskip; or for comparison local steps without h, which end beside the solution where the workers differ. With p = 1 ' +
      'and the estimator `full`, proxskip is gradient descent-ascent.',
    { source: 'algorithm 1' },
  ),
  workers: workersField(),
  estimator: field(
    z.enum(['full', 'stochastic', 'l-svrg']).default('full'),
    'full: queries are for F_i on all data of a worker. stochastic: on a sample. l-svrg: on a sample at x_i and at a reference ' +
      'w_i (the first half and the second half of the points), and with the purpose `reference` on all data at w_i.',
    { source: 'algorithms 2 to 4' },
  ),
  gamma: real('Step size; 1/(2l) with l the largest (expected) co-coercivity constant of a worker.', {
    default: 0.1,
    above: 0,
    log: true,
    source: 'corollary 4.4',
  }),
  p: real('Probability of a communication after a step; sqrt(gamma*mu) is best.', {
    default: 0.2,
    above: 0,
    max: 1,
    source: 'corollary 4.4',
  }),
  q: field(
    z.number().gt(0).max(1).optional(),
    'l-svrg: probability that the references move to the points after a step, one coin for all workers; without it, p.',
    { source: 'algorithm 4' },
  ),
  localSteps: field(z.int().min(1).default(5), 'local-gda: steps from one communication to the next.', {
    source: 'section 6',
  }),
  regularizer: field(
    z.enum(REGULARIZERS).default('none'),
    'r, beside the consensus of the workers: weight*|x|_1; or where x is kept: |x| <= radius, the bounds of the space, or the ' +
      'simplex of sum radius.',
    { source: 'section 2' },
  ),
  weight: real('l1: its weight.', { default: 0.01, min: 0, source: 'ours' }),
  radius: real('ball: its radius; simplex: the sum of its elements.', { default: 1, above: 0, source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array[]
  h: Float64Array[]
  /** l-svrg: references, and the full operator there; null where it is not known. */
  w: Float64Array[]
  full: Float64Array[] | null
  rng: RngState
  rounds: number
  /** Steps since the last communication. */
  local: number
  t: number
}

/** A step of every worker by these estimates of F_i(x_i), and the communication if it is due. */
function move(config: Config, own: State, g: readonly Float64Array[], prox: ReturnType<typeof proxOf>) {
  const { variant, gamma, p, localSteps } = config
  const corrected = variant === 'proxskip'
  const stepped = own.x.map((x, i) => x.map((value, k) => value - gamma * (g[i][k] - own.h[i][k])))
  own.t++
  own.local++
  const due = corrected ? new Rng(own.rng).uniform() < p : own.local >= localSteps
  if (!due) {
    own.x = stepped
    return
  }
  const rate = corrected ? gamma / p : gamma * localSteps
  const common = prox.map(mean(stepped.map((x, i) => plus(x, -rate, own.h[i]))), rate)
  if (corrected) own.h = own.h.map((h, i) => h.map((value, k) => value + (p / gamma) * (common[k] - stepped[i][k])))
  own.x = own.x.map(() => common.slice())
  own.rounds++
  own.local = 0
}

export const method = turnsMethod<Config, State>({
  id: 'proxskip-vip',
  family: 'gradient',
  title: 'ProxSkip-VIP',
  summary:
    'Games and minimization over workers that take many local steps and seldom communicate, and yet find the exact solution. ' +
    'The points of a query are those of the workers in their order, each for the gradient of its own function, of which each ' +
    "tensor is its own player's. Queries for it have the purpose `round` right after a communication, `local` elsewhere.",
  references: [
    {
      authors: 'S. Zhang, S. Choudhury, S. U. Stich, N. Loizou',
      title:
        'Communication-Efficient Gradient Descent-Accent Methods for Distributed Variational Inequalities: Unified Analysis and Local Updates',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.05100',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { gamma: 0.1 }, maxEvaluations: 600, target: 1e-4 },
    {
      problem: 'quadratic',
      config: { gamma: 0.1, estimator: 'l-svrg', workers: 2 },
      maxEvaluations: 1000,
      target: 1e-4,
    },
    { problem: 'quadratic', config: { gamma: 0.1, variant: 'local-gda' }, maxEvaluations: 600, target: 1e-4 },
  ],
  equations: ({ variant, p, estimator }) => [
    ...(estimator === 'l-svrg'
      ? [String.raw`g_i = F_{i,s}(x_i) - F_{i,s}(w_i) + F_i(w_i),\quad w_i \leftarrow x_i \text{ with probability } q`]
      : []),
    ...(variant === 'proxskip'
      ? [
          String.raw`\hat x_i = x_i - \gamma (g_i - h_i)`,
          String.raw`\text{with probability } p = ${p}:\ x_i \leftarrow \mathrm{prox}_{(\gamma/p) r}\left(\tfrac1n \sum_j \left(\hat x_j - \tfrac{\gamma}{p} h_j\right)\right),\quad \text{else } x_i \leftarrow \hat x_i`,
          String.raw`h_i \leftarrow h_i + \tfrac{p}{\gamma} (x_i - \hat x_i)`,
        ]
      : [
          String.raw`x_i \leftarrow x_i - \gamma g_i`,
          String.raw`\text{every } K \text{ steps: } x_i \leftarrow \mathrm{prox}_{\gamma K r}\left(\tfrac1n \sum_j x_j\right)`,
        ]),
  ],
  needs: () => ['gradient'],
  check: ({ regularizer }, problem) =>
    regularizer === 'box' ? [] : checkUnbounded(`proxskip-vip with the regularizer "${regularizer}"`, problem),
  init({ config: { workers } }, flat, seed) {
    const each = (make: () => Float64Array) => Array.from({ length: workers }, make)
    return {
      x: each(() => flat.start()),
      h: each(() => new Float64Array(flat.dimension)),
      w: each(() => flat.start()),
      full: null,
      rng: rngStream(seed, 'coins'),
      rounds: 0,
      local: 0,
      t: 0,
    }
  },
  ask({ config: { estimator } }, _, { x, w, full, local }) {
    const wants = [{ kind: 'gradient' }] as const
    if (estimator !== 'l-svrg') return { points: x, wants, purpose: local === 0 ? 'round' : 'local' }
    if (!full) return { points: w, wants, purpose: 'reference' }
    return { points: [...x, ...w], wants, purpose: local === 0 ? 'round' : 'local' }
  },
  learn({ config, problem }, flat, own, told) {
    const n = config.workers
    const g = gradientsOf(told, problem, flat)
    const prox = proxOf(config, problem)
    if (config.estimator !== 'l-svrg') return move(config, own, g, prox)
    if (!own.full) {
      own.full = g
      return
    }
    const { full, x } = own
    const reduced = full.map((whole, i) => whole.map((value, k) => g[i][k] - g[n + i][k] + value))
    move(config, own, reduced, prox)
    if (new Rng(own.rng).uniform() < (config.q ?? config.p)) {
      own.w = x
      own.full = null
    }
  },
  estimate(_, { x, rounds, t }) {
    const centre = mean(x)
    return {
      x: centre,
      kind: 'iterate',
      step: t,
      metrics: { rounds, localSteps: t, consensusError: spread(x, centre) },
    }
  },
})
