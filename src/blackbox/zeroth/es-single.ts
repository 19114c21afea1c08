/**
 * Evolution strategies for long unrolled problems that are told in truncations:
 * P. Vicol, Z. Kolter, K. Swersky, "Low-Variance Gradient Estimation in Unrolled Computation Graphs with ES-Single", ICML
 * 2023 (arXiv:2304.11153), algorithm 1; persistent evolution strategies (pes) are those of P. Vicol, L. Metz,
 * J. Sohl-Dickstein, ICML 2021.
 *
 * N antithetic pairs of particles. Pair i unrolls its inner problem at theta + eps_i and theta - eps_i, a truncation at a
 * time, and keeps eps_i until the problem ends: the estimates of the truncations add up to that of the whole problem,
 * however it is cut. The method has no number of inner steps: the client knows how long a truncation is.
 *
 * The client keeps an inner state for every point of every pair. By the purpose of a query, its points
 * - `start`: begin the inner problem;
 * - `continue`: go on from where the same point of the pair's last query stopped;
 * - `branch`: all go on from where the last point of the pair's last query stopped (truncated-es, whose last point is
 *   theta itself).
 * The sample key is "pair.problem.truncation", numbered from 0.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { field } from '../../core/schema.js'
import type { Tree } from '../../core/tree.js'
import { accumulate, type Flat, gaussian, norm, plus } from '../../optimizers/flat.js'
import { checkOptimizer, descend, iterate, optimizer, startDescent } from './descent.js'
import { type Answers, jobRng, type Round, roundsMethod } from './rounds.js'

const config = z.strictObject({
  variant: field(
    z.enum(['es-single', 'pes', 'truncated-es']).default('es-single'),
    'One perturbation per inner problem; a fresh one per truncation, weighted by the sum of all (pes) or alone (truncated-es: biased).',
    { source: 'paper, section 4' },
  ),
  particles: field(z.int().min(1).default(10), 'Pairs of particles N.', { source: 'paper, section 5 (10 to 1000)' }),
  sigma: field(z.number().positive().default(0.1), 'Standard deviation of the perturbations.', {
    source: 'paper, section 5 (0.01 to 0.3)',
    log: true,
  }),
  truncations: field(z.int().min(1).default(10), 'Truncations that an inner problem consists of.', { source: 'ours' }),
  staggered: field(
    z.boolean().default(false),
    'The first inner problems of the pairs end at different times, so that a step sees all stages of the problem.',
    { source: 'paper, section 4' },
  ),
  optimizer,
})
type Config = z.infer<typeof config>

type State = {
  /** The iterate: copied from the state of the optimizer. */
  theta: Float64Array
  /** The last estimate of the gradient. */
  gradient: Float64Array
  descent: Tree
  t: number
}

/** Where a pair stands in its inner problem: its number and truncation, and the round in which it began. */
function stage({ staggered, truncations, particles }: Config, round: number, pair: number) {
  const ahead = staggered ? Math.floor((pair * truncations) / particles) : 0
  const truncation = (round + ahead) % truncations
  const began = Math.max(0, round - truncation)
  return { problem: Math.floor((round + ahead) / truncations), truncation, began, first: round === began }
}

/** The perturbation of a pair, and what its difference of losses is multiplied by. */
function perturbation({ config }: Run<Config>, { dimension }: Flat, round: Round, pair: number) {
  const drawn = (at: number) => gaussian(jobRng(round, pair, at), dimension).map((value) => config.sigma * value)
  const { began } = stage(config, round.index, pair)
  if (config.variant === 'es-single') {
    const eps = drawn(began)
    return { eps, multiplier: eps }
  }
  const eps = drawn(round.index)
  if (config.variant === 'truncated-es') return { eps, multiplier: eps }
  // xi, the sum of all perturbations since the problem began.
  const multiplier = eps.slice()
  for (let at = began; at < round.index; at++) accumulate(multiplier, 1, drawn(at))
  return { eps, multiplier }
}

function learn(run: Run<Config>, flat: Flat, state: State, round: Round, answers: Answers) {
  if (answers.count === 0) return
  const { particles, sigma } = run.config
  const gradient = new Float64Array(flat.dimension)
  for (let pair = 0; pair < particles; pair++) {
    const told = answers.of(pair)
    if (!told) continue
    const { multiplier } = perturbation(run, flat, round, pair)
    accumulate(gradient, (told[0] - told[1]) / (2 * sigma ** 2 * answers.count), multiplier)
  }
  state.gradient = gradient
  state.descent = descend(run, state.descent, flat, gradient)
  state.theta = iterate(run, state.descent, flat)
  state.t++
}

export const method = roundsMethod<Config, State>({
  id: 'es-single',
  title: 'ES-Single',
  summary: 'Evolution strategies over long unrolled problems, told in truncations, with one perturbation per problem.',
  references: [
    {
      authors: 'P. Vicol, Z. Kolter, K. Swersky',
      title: 'Low-Variance Gradient Estimation in Unrolled Computation Graphs with ES-Single',
      year: 2023,
      url: 'https://arxiv.org/abs/2304.11153',
    },
    {
      authors: 'P. Vicol, L. Metz, J. Sohl-Dickstein',
      title: 'Unbiased Gradient Estimation in Unrolled Computation Graphs with Persistent Evolution Strategies',
      year: 2021,
      url: 'https://arxiv.org/abs/2112.13835',
    },
  ],
  config,
  recipes: [
    {
      problem: 'quadratic',
      config: { truncations: 1, optimizer: { id: 'sgd', config: { learningRate: 0.05 } } },
      maxEvaluations: 2000,
      target: 1e-3,
    },
  ],
  equations: ({ variant }) => [
    String.raw`g = \frac{1}{2 N \sigma^2} \sum_i ${variant === 'pes' ? String.raw`\xi_i` : String.raw`\epsilon_i`} \left(L_i^+ - L_i^-\right)`,
    String.raw`\theta \leftarrow \mathrm{rule}(\theta, g)`,
  ],
  check: checkOptimizer,
  init(run, flat, seed) {
    return { theta: flat.start(), gradient: new Float64Array(flat.dimension), descent: startDescent(run, seed), t: 0 }
  },
  plan: ({ config }) => ({ jobs: config.particles, points: config.variant === 'truncated-es' ? 3 : 2 }),
  label({ config }, _, round, pair) {
    const { problem, truncation, first } = stage(config, round.index, pair)
    const go = config.variant === 'truncated-es' ? 'branch' : 'continue'
    return { purpose: first ? 'start' : go, sampleKey: `${pair}.${problem}.${truncation}` }
  },
  points(run, flat, { theta }, round, pair) {
    const { eps } = perturbation(run, flat, round, pair)
    const ends = [plus(theta, 1, eps), plus(theta, -1, eps)]
    return run.config.variant === 'truncated-es' ? [...ends, theta.slice()] : ends
  },
  learn,
  estimate: (_, { theta, gradient, t }) => ({
    x: theta,
    kind: 'iterate',
    step: t,
    metrics: { gradientNorm: norm(gradient) },
  }),
})
