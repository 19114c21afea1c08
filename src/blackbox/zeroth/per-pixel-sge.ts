/**
 * Stochastic gradient estimation for sums of terms of few parameters each, such as the pixels of a rendered image:
 * T. Deliot, E. Heitz, L. Belcour, "Transforming a Non-Differentiable Rasterizer into a Differentiable One with Stochastic
 * Gradient Estimation", I3D 2024 (arXiv:2404.09758), section 3.
 *
 * Of the terms l_p at theta + sigma z and theta - sigma z, d_p = (l_p+ - l_p-)/2. Every parameter i of a group is credited
 * with the terms that its group contributed to at either point, and not with the noise of all others:
 *   g_i = z_i/sigma_i * 1/P * sum of d_p over those terms.
 * Group k is the k-th slice of every tensor along its first axis: a primitive's position, size and colour.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Terms } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { accumulate, type Flat, gaussian, norm, rademacher, spaceOf } from '../../optimizers/flat.js'
import { turnsMethod } from '../../optimizers/turns.js'
import { checkOptimizer, descend, iterate, optimizer, startDescent } from './descent.js'

const config = z.strictObject({
  estimator: field(
    z.enum(['per-term', 'global']).default('per-term'),
    'Credits parameters with the terms they contributed to, or with all: noise that grows with their number.',
    { source: 'paper, section 3.3' },
  ),
  sigma: field(z.number().positive().default(0.05), 'Size of the perturbations.', { source: 'ours', log: true }),
  sigmas: field(
    z.record(z.string(), z.number().positive()).default({}),
    'Size of the perturbations of single tensors, by name.',
    { source: 'paper, section 4' },
  ),
  directions: field(z.enum(['normal', 'rademacher']).default('normal'), 'Distribution of the perturbations.', {
    source: 'paper, section 3.2',
  }),
  draws: field(z.int().min(1).default(1), 'Perturbations per step, each at two points.', {
    source: 'paper, section 4',
  }),
  optimizer,
})
type Config = z.infer<typeof config>

type State = {
  theta: Float64Array
  gradient: Float64Array
  /** Norm of what the global estimator gives from the same draws. */
  globalNorm: number
  descent: Tree
  key0: number
  key1: number
  /** Draws so far: their number makes each its own. */
  drawn: number
  t: number
}

/** sigma of every element. */
function sigmasOf({ sigma, sigmas }: Config, flat: Flat): Float64Array {
  const of = new Float64Array(flat.dimension).fill(sigma)
  for (const [name, value] of Object.entries(sigmas)) of.fill(value, ...flat.range(name)!)
  return of
}

/** The group of every element. */
function groupsOf(problem: Problem, flat: Flat): Int32Array {
  const groups = new Int32Array(flat.dimension)
  for (const { name, shape } of spaceOf(problem).tensors) {
    const [from, to] = flat.range(name)!
    const size = (to - from) / shape[0]
    for (let i = from; i < to; i++) groups[i] = Math.floor((i - from) / size)
  }
  return groups
}

/** The directions of this step: functions of the seed and their number. */
function directionsOf({ directions, draws }: Config, flat: Flat, { key0, key1, drawn }: State): Float64Array[] {
  const rng = new Rng({ key0, key1, counter: [0, 0, 0, drawn], used: 4 })
  const draw = directions === 'normal' ? gaussian : rademacher
  return Array.from({ length: draws }, () => draw(rng, flat.dimension))
}

/** Sums of d_p over the terms that each group contributed to at either point, and over all. */
function credits(plus: Terms, minus: Terms, groups: number): { each: Float64Array; all: number } {
  const each = new Float64Array(groups)
  let all = 0
  plus.losses.forEach((loss, p) => {
    const d = (loss - minus.losses[p]) / 2
    all += d
    for (const k of new Set([...plus.contributors[p], ...minus.contributors[p]])) each[k] += d
  })
  return { each, all }
}

function learn(run: Run<Config>, flat: Flat, state: State, terms: readonly Terms[]) {
  const { config, problem } = run
  const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
  const sigmas = sigmasOf(config, flat)
  const groups = groupsOf(problem, flat)
  const scale = sign / (terms[0].losses.length * config.draws)
  const local = new Float64Array(flat.dimension)
  const global = new Float64Array(flat.dimension)
  directionsOf(config, flat, state).forEach((z, draw) => {
    const { each, all } = credits(terms[2 * draw], terms[2 * draw + 1], spaceOf(problem).tensors[0].shape[0])
    const share = z.map((value, i) => (scale * value) / sigmas[i])
    accumulate(global, all, share)
    for (let i = 0; i < local.length; i++) local[i] += each[groups[i]] * share[i]
  })
  state.gradient = config.estimator === 'global' ? global : local
  state.globalNorm = norm(global)
  state.descent = descend(run, state.descent, flat, state.gradient)
  state.theta = iterate(run, state.descent, flat)
  state.drawn++
  state.t++
}

export const method = turnsMethod<Config, State>({
  id: 'per-pixel-sge',
  family: 'zeroth',
  title: 'Per-term stochastic gradient estimation',
  summary: 'Gradients of sums of terms, such as the pixels of a rasterizer, by perturbing all parameters at once.',
  references: [
    {
      authors: 'T. Deliot, E. Heitz, L. Belcour',
      title:
        'Transforming a Non-Differentiable Rasterizer into a Differentiable One with Stochastic Gradient Estimation',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.09758',
    },
  ],
  config,
  recipes: [
    {
      problem: 'sum-of-terms',
      config: { optimizer: { id: 'sgd', config: { learningRate: 1 } } },
      maxEvaluations: 200,
      target: 1e-3,
    },
  ],
  equations: () => [
    String.raw`d_p = \tfrac{1}{2}\left(l_p(\theta + \sigma z) - l_p(\theta - \sigma z)\right)`,
    String.raw`g_i = \frac{z_i}{\sigma_i} \frac{1}{P} \sum_{p:\, i \in \mathrm{id}^\pm(p)} d_p`,
  ],
  needs: () => ['terms'],
  check(config, problem) {
    const issues = checkOptimizer(config, problem)
    const { tensors } = spaceOf(problem)
    tensors.forEach(({ name, shape }, i) => {
      if (shape.length === 0 || shape[0] !== tensors[0].shape[0])
        issues.push({
          path: `space.tensors[${i}].shape`,
          message: `"${name}" needs as many slices along its first axis as the other tensors: one per group`,
        })
    })
    for (const name of Object.keys(config.sigmas))
      if (!tensors.some((spec) => spec.name === name))
        issues.push({ path: `config.sigmas.${name}`, message: 'is not a tensor of the space' })
    return issues
  },
  init(run, flat, seed) {
    const { key0, key1 } = rngStream(seed, 'directions')
    const gradient = new Float64Array(flat.dimension)
    return {
      theta: flat.start(),
      gradient,
      globalNorm: 0,
      descent: startDescent(run, seed),
      key0,
      key1,
      drawn: 0,
      t: 0,
    }
  },
  ask({ config }, flat, state) {
    const sigmas = sigmasOf(config, flat)
    const shifted = (z: Float64Array, sign: number) =>
      flat.clamp(state.theta.map((value, i) => value + sign * sigmas[i] * z[i]))
    const points = directionsOf(config, flat, state).flatMap((z) => [shifted(z, 1), shifted(z, -1)])
    return { points, wants: [{ kind: 'terms' }], purpose: 'perturbation' }
  },
  learn: (run, flat, state, { terms }) => learn(run, flat, state, terms!),
  refused(state) {
    state.drawn++
  },
  estimate: (_, { theta, gradient, globalNorm, t }) => ({
    x: theta,
    kind: 'iterate',
    step: t,
    metrics: { gradientNorm: norm(gradient), globalNorm },
  }),
})
