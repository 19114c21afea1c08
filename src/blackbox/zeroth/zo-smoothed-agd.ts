/**
 * First-order engines on a smoothed black box: few rounds of many values each.
 * A. Gasnikov, A. Novitskii, V. Novitskii, F. Abdukhakimov, D. Kamzolov, A. Beznosikov, M. Takac, P. Dvurechensky, B. Gu,
 * "The Power of First-Order Smooth Optimization for Black-Box Non-Smooth Problems", ICML 2022 (arXiv:2201.12289).
 *
 * f_gamma(x) = E f(x + gamma u), u uniform in the unit ball, lies within gamma M of an M-Lipschitz f and has a gradient of
 * Lipschitz constant L = sqrt(d) M/gamma. With e uniform on the sphere, d/(2 gamma) (f(x + gamma e) - f(x - gamma e)) e is an
 * unbiased estimate of that gradient. A round asks for a batch of them, so large that an accelerated engine needs no
 * more rounds than it would with gradients.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { field } from '../../core/schema.js'
import { accumulate, type Flat, norm, plus, spaceOf, sphere } from '../../optimizers/flat.js'
import { type Answers, jobRng, type Round, roundsMethod } from './rounds.js'

const config = z.strictObject({
  engine: field(
    z.enum(['stm', 'agd', 'gd', 'extragradient', 'mirror-prox']).default('stm'),
    'Similar triangles, Nesterov, plain descent; for saddle points extragradient, or with the average of its leading points mirror-prox.',
    { source: 'paper, section 3' },
  ),
  lipschitz: field(z.number().positive().default(1), 'Lipschitz constant M of f.', { source: 'ours', log: true }),
  targetEps: field(z.number().positive().default(0.01), 'Wanted distance of f from its optimum.', {
    source: 'ours',
    log: true,
  }),
  radius: field(z.number().positive().default(1), 'Distance R of the start from a solution, for the batch.', {
    source: 'ours',
    log: true,
  }),
  gamma: field(z.number().positive().optional(), 'Radius of the smoothing; by default targetEps/(2 M).', {
    source: 'paper, section 2',
    log: true,
  }),
  batch: field(
    z.int().min(1).optional(),
    'Directions B per round and worker; by default the rate d^(3/4) M R/targetEps of all values to rounds.',
    { source: 'paper, theorem 1' },
  ),
  learningRate: field(
    z.number().positive().optional(),
    'Step size; by default 1/L, and of the two engines for saddle points 1/(2 L).',
    { source: 'paper, section 3', log: true },
  ),
  maximizers: field(
    z.array(z.string()).default([]),
    'Names of the tensors by which f is maximized, at a saddle point.',
    {
      source: 'paper, section 4.1',
    },
  ),
  workers: field(
    z.int().min(1).default(1),
    'Workers, each with a batch of its own, sample and directions: their mean is one communication per round.',
    { source: 'paper, section 4.3' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** stm: the mirror sequence; agd: the point before. */
  z: Float64Array
  /** stm: the sum A of all weights. */
  weight: number
  /** The point ahead that the second gradient of an extragradient step is taken at. */
  lead: Float64Array | null
  /** mirror-prox: the mean of the points ahead. */
  average: Float64Array
  gradientNorm: number
  t: number
}

const gammaOf = ({ gamma, targetEps, lipschitz }: Config): number => gamma ?? targetEps / (2 * lipschitz)
const twoPoint = ({ engine }: Config): boolean => engine === 'extragradient' || engine === 'mirror-prox'

export function batchOf({ batch, targetEps, lipschitz, radius }: Config, dimension: number): number {
  return batch ?? Math.ceil((dimension ** 0.75 * lipschitz * radius) / targetEps)
}

function stepSize(config: Config, dimension: number): number {
  const L = (Math.sqrt(dimension) * config.lipschitz) / gammaOf(config)
  return config.learningRate ?? 1 / (twoPoint(config) ? 2 * L : L)
}

/** The next weight of the similar triangles, the positive root of L a^2 = A + a, where the step size is 1/L. */
const nextWeight = (weight: number, step: number): number => (step * (1 + Math.sqrt(1 + (4 * weight) / step))) / 2

const mix = (p: number, x: Float64Array, q: number, z: Float64Array) => x.map((value, i) => p * value + q * z[i])

/** Where the gradient is wanted. */
function probe({ engine }: Config, { x, z, weight, lead, t }: State, step: number): Float64Array {
  if (engine === 'stm') {
    const a = nextWeight(weight, step)
    return mix(weight / (weight + a), x, a / (weight + a), z)
  }
  if (engine === 'agd') return mix(1 + t / (t + 3), x, -t / (t + 3), z)
  return lead ?? x
}

/** The mean estimate; where f is maximized, of -f. */
function gradient({ config }: Run<Config>, flat: Flat, round: Round, answers: Answers): Float64Array {
  const g = new Float64Array(flat.dimension)
  const batch = batchOf(config, flat.dimension)
  const scale = flat.dimension / (2 * gammaOf(config) * batch * answers.count)
  for (let worker = 0; worker < config.workers; worker++) {
    const told = answers.of(worker)
    const rng = jobRng(round, worker)
    for (let i = 0; told && i < batch; i++)
      accumulate(g, scale * (told[2 * i] - told[2 * i + 1]), sphere(rng, flat.dimension))
  }
  for (const name of config.maximizers) {
    const [from, to] = flat.range(name)!
    for (let i = from; i < to; i++) g[i] = -g[i]
  }
  return g
}

function learn(run: Run<Config>, flat: Flat, state: State, round: Round, answers: Answers) {
  if (answers.count === 0) return // Other directions are tried at the same point.
  const { config } = run
  const g = gradient(run, flat, round, answers)
  const step = stepSize(config, flat.dimension)
  const at = probe(config, state, step)
  state.gradientNorm = norm(g)
  if (twoPoint(config) && state.lead === null) {
    state.lead = flat.clamp(plus(state.x, -step, g))
    return
  }
  state.t++
  if (config.engine === 'stm') {
    const a = nextWeight(state.weight, step)
    const total = state.weight + a
    state.z = flat.clamp(plus(state.z, -a, g))
    state.x = mix(state.weight / total, state.x, a / total, state.z)
    state.weight = total
  } else if (config.engine === 'agd') {
    state.z = state.x
    state.x = flat.clamp(plus(at, -step, g))
  } else {
    state.x = flat.clamp(plus(state.x, -step, g))
    if (config.engine === 'mirror-prox') state.average = mix(1 - 1 / state.t, state.average, 1 / state.t, at)
    state.lead = null
  }
}

export const method = roundsMethod<Config, State>({
  id: 'zo-smoothed-agd',
  title: 'Accelerated methods on a smoothed black box',
  summary: 'Non-smooth minimization and saddle points from batches of values, in as few rounds as with gradients.',
  references: [
    {
      authors: 'A. Gasnikov, A. Novitskii, V. Novitskii, F. Abdukhakimov, D. Kamzolov, A. Beznosikov, et al.',
      title: 'The Power of First-Order Smooth Optimization for Black-Box Non-Smooth Problems',
      year: 2022,
      url: 'https://arxiv.org/abs/2201.12289',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1, gamma: 0.01, batch: 20 }, maxEvaluations: 200, target: 1e-2 },
    {
      problem: 'quadratic',
      config: { engine: 'extragradient', learningRate: 0.05, gamma: 0.01, batch: 20 },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
  equations: ({ engine }) => [
    String.raw`g = \frac{d}{2\gamma B} \sum_{j=1}^B \left(f(x + \gamma e_j) - f(x - \gamma e_j)\right) e_j`,
    engine === 'stm'
      ? String.raw`a = \frac{1 + \sqrt{1 + 4LA}}{2L},\quad z \leftarrow P(z - a\, g(y)),\quad x \leftarrow \frac{A x + a z}{A + a}`
      : String.raw`x \leftarrow P(x - \eta\, g)`,
  ],
  check({ engine, maximizers }, problem) {
    const names = new Set(spaceOf(problem).tensors.map(({ name }) => name))
    const issues = maximizers.flatMap((name, i) =>
      names.has(name) ? [] : [{ path: `config.maximizers[${i}]`, message: `"${name}" is not a tensor of the space` }],
    )
    if (maximizers.length > 0 && (engine === 'stm' || engine === 'agd'))
      issues.push({ path: 'config.engine', message: `${engine} minimizes; saddle points take extragradient` })
    return issues
  },
  init(_, flat) {
    const x = flat.start()
    return { x, z: x, weight: 0, lead: null, average: x, gradientNorm: 0, t: 0 }
  },
  plan: ({ config }, { dimension }) => ({ jobs: config.workers, points: 2 * batchOf(config, dimension) }),
  label: ({ config }, { lead }) => ({ purpose: twoPoint(config) && lead === null ? 'extrapolation' : 'step' }),
  points({ config }, flat, state, round, worker) {
    const gamma = gammaOf(config)
    const at = probe(config, state, stepSize(config, flat.dimension))
    const rng = jobRng(round, worker)
    return Array.from({ length: batchOf(config, flat.dimension) }, () => {
      const e = sphere(rng, flat.dimension)
      return [plus(at, gamma, e), plus(at, -gamma, e)]
    }).flat()
  },
  learn,
  estimate({ config }, { x, average, gradientNorm, t }) {
    const averaged = config.engine === 'mirror-prox'
    return { x: averaged ? average : x, kind: averaged ? 'average' : 'iterate', step: t, metrics: { gradientNorm } }
  },
})
