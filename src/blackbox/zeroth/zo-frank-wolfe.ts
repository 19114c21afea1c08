/**
 * Zeroth-order stochastic Frank-Wolfe: constrained minimization from values, without projections.
 * A. K. Sahu, M. Zaheer, S. Kar, "Towards Gradient Free and Projection Free Stochastic Optimization", AISTATS 2019
 * (arXiv:1810.03233), algorithm 2; the three estimates of a gradient are its equations for KWSA, RDSA and I-RDSA.
 *
 * The averaged D is what a linear minimizer can work with: the estimates themselves are too noisy for it.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { accumulate, coordinate, dot, type Flat, gaussian, plus, spaceOf } from '../../optimizers/flat.js'
import { checkSet, interior, SETS, vertex } from './linear-minimizer.js'
import { type Answers, jobRng, type Round, roundsMethod } from './rounds.js'

const config = z.strictObject({
  scheme: field(
    z.enum(['kw', 'rdsa', 'i-rdsa']).default('i-rdsa'),
    'Where values are asked beside the point itself: along every coordinate (kw), one random direction (rdsa), or m of them.',
    { source: 'paper, section 3' },
  ),
  m: field(z.int().min(1).default(5), 'Random directions of a step of i-rdsa.', { source: 'ours' }),
  set: field(
    z.enum(SETS).default('l2'),
    'The set to stay in: a ball of radius r of a norm (l1, l2, nuclear for one matrix), the simplex of sum r, the box of the space.',
    { source: 'ours' },
  ),
  radius: field(z.number().positive().default(1), 'Radius r of the set.', { source: 'ours' }),
  offset: field(z.number().min(2).default(8), 'The step is 2/(t + offset), t from 0.', {
    source: 'paper, theorem 3.4',
  }),
  step: field(z.number().positive().max(1).optional(), 'A fixed step in its place; theory: T^(-3/4) when not convex.', {
    source: 'paper, theorem 3.5',
  }),
  rho: field(
    z.number().positive().max(1).optional(),
    'A fixed weight of the newest estimate in the average, in place of the decreasing one; 1 averages nothing.',
    { source: 'ours', advanced: true },
  ),
  output: field(
    z.enum(['random', 'last']).default('last'),
    'The estimate: the last iterate, or one of all uniformly at random.',
    { source: 'paper, theorem 3.5 (random)' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** The averaged estimate D of the gradient. */
  average: Float64Array
  output: Float64Array
  rng: RngState
  gap: number
  t: number
}

const directionsOf = ({ scheme, m }: Config, dimension: number): number =>
  scheme === 'kw' ? dimension : scheme === 'rdsa' ? 1 : m

/** Spacing c of the differences and weight rho of the newest estimate, by the dimension and the step. */
export function rates({ scheme, m, rho }: Config, d: number, t: number): { c: number; rho: number } {
  const n = scheme === 'i-rdsa' ? m : 1
  if (scheme === 'kw') return { c: 2 / (Math.sqrt(d) * Math.cbrt(t + 8)), rho: rho ?? 4 / Math.cbrt(t + 8) ** 2 }
  return {
    c: (2 * Math.sqrt(n)) / (d ** 1.5 * Math.cbrt(t + 8)),
    rho: rho ?? 4 / (Math.cbrt(1 + d / n) * Math.cbrt(t + 8) ** 2),
  }
}

function* directions({ config }: Run<Config>, { dimension }: Flat, round: Round) {
  const rng = jobRng(round, 0)
  for (let j = 0; j < directionsOf(config, dimension); j++)
    yield config.scheme === 'kw' ? coordinate(j, dimension) : gaussian(rng, dimension)
}

function learn(run: Run<Config>, flat: Flat, state: State, round: Round, answers: Answers) {
  const told = answers.of(0)
  if (!told) return // Other directions are tried from the same point.
  const { config, problem } = run
  const { c, rho } = rates(config, flat.dimension, state.t)
  const count = config.scheme === 'kw' ? 1 : told.length - 1
  state.average = state.average.map((value) => (1 - rho) * value)
  let j = 1
  for (const z of directions(run, flat, round))
    accumulate(state.average, (rho / count) * ((told[j++] - told[0]) / c), z)
  const to = vertex(config.set, config.radius, spaceOf(problem), state.average)
  state.gap = dot(state.average, state.x) - dot(state.average, to)
  if (new Rng(state.rng).integer(state.t + 1) === 0) state.output = state.x
  const step = config.step ?? 2 / (state.t + config.offset)
  state.x = state.x.map((value, i) => (1 - step) * value + step * to[i])
  state.t++
}

export const method = roundsMethod<Config, State>({
  id: 'zo-frank-wolfe',
  title: 'Zeroth-order Frank-Wolfe',
  summary: 'Constrained minimization by noisy values: every point is a mean of vertices, and nothing is projected.',
  references: [
    {
      authors: 'A. K. Sahu, M. Zaheer, S. Kar',
      title: 'Towards Gradient Free and Projection Free Stochastic Optimization',
      year: 2018,
      url: 'https://arxiv.org/abs/1810.03233',
    },
  ],
  config,
  recipes: [{ problem: 'quadratic', config: { radius: 4 }, maxEvaluations: 2000, target: 0.1 }],
  equations: ({ scheme }) => [
    scheme === 'kw'
      ? String.raw`g_i = \frac{F(x + c\, e_i; s) - F(x; s)}{c}`
      : String.raw`g = \frac{1}{m} \sum_{j=1}^m \frac{F(x + c\, z_j; s) - F(x; s)}{c}\, z_j`,
    String.raw`D \leftarrow (1 - \rho_t)\, D + \rho_t\, g`,
    String.raw`V = \arg\min_{V \in C} \langle D, V \rangle`,
    String.raw`x \leftarrow (1 - \gamma_t)\, x + \gamma_t\, V`,
  ],
  check: (config, problem) => checkSet(config.set, config.radius, spaceOf(problem)),
  init({ config, problem }, flat, seed) {
    const { initial } = spaceOf(problem)
    const x = initial ? flat.start() : interior(config.set, config.radius, spaceOf(problem))
    return {
      x,
      average: new Float64Array(flat.dimension),
      output: x,
      rng: rngStream(seed, 'output'),
      gap: 0,
      t: 0,
    }
  },
  plan: ({ config }, { dimension }) => ({ jobs: 1, points: 1 + directionsOf(config, dimension) }),
  label: () => ({ purpose: 'difference' }),
  points(run, flat, { x, t }, round) {
    const { c } = rates(run.config, flat.dimension, t)
    return [x.slice(), ...Array.from(directions(run, flat, round), (z) => plus(x, c, z))]
  },
  learn,
  estimate: ({ config }, { x, output, gap, t }) => ({
    x: config.output === 'last' ? x : output,
    kind: 'iterate',
    step: t,
    metrics: { gap },
  }),
})
