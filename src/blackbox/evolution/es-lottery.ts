/**
 * Lottery tickets by evolution: R. T. Lange, H. Sprekeler, "Lottery Tickets in Evolutionary Optimization: On Sparse
 * Backpropagation-Free Trainability", ICML 2023 (arXiv:2306.00045).
 *
 * In rounds: an evolution strategy runs on the coordinates that are left, those with the lowest scores are set to zero for
 * good, and it begins anew from the original start of the others. A ticket is the start with its zeros, and can be the start
 * of any other session: of this method with `keepZeros`, of a gradient method with the transform `keep-zeros`.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { spaceOf } from '../../optimizers/flat.js'
import { checkNames } from '../../optimizers/saddle/steps.js'
import {
  type Diagonal,
  draw,
  learnFrom,
  populationFor,
  ranking,
  STRATEGIES,
  startDiagonal,
  strategies,
} from './diagonal.js'
import { generationsMethod, pointsPerQuery, type Told } from './generations.js'
import { barrier, denseOf, freshStart, otherMask, segment, spread } from './tickets.js'

const config = z.strictObject({
  strategy: field(z.enum(STRATEGIES).default('snes'), 'The evolution strategy.', { source: 'arXiv:2306.00045' }),
  prune: field(
    z.enum(['snr', 'magnitude', 'random']).default('snr'),
    'Score of a coordinate: |mean|/deviation of the search distribution, |mean|, or chance.',
    { source: 'arXiv:2306.00045' },
  ),
  keep: field(z.number().gt(0).max(1).default(0.8), 'Share of the coordinates that a round keeps.', {
    source: 'arXiv:2306.00045',
  }),
  rounds: field(z.int().min(0).default(10), 'How often is pruned; a last run follows.', { source: 'ours' }),
  generations: field(z.int().min(1).default(300), 'Generations of a run.', { source: 'ours' }),
  populationSize: field(z.int().min(2).optional(), 'Members; 4 + floor(3 ln n) when absent, even where mirrored.', {
    source: 'ours',
  }),
  sigma: field(z.number().positive().default(0.1), 'Deviation of the search distribution at the start of a run.', {
    source: 'arXiv:2306.00045',
    log: true,
  }),
  learningRate: field(z.number().positive().optional(), "Step of the mean; the strategy's own when absent.", {
    source: 'ours',
    log: true,
  }),
  dense: field(
    z.array(z.string()).optional(),
    'Tensors that are never pruned; those whose name ends in "bias" when absent.',
    { source: 'arXiv:2306.00045' },
  ),
  control: field(
    z.enum(['none', 'permuted-mask', 'random-reinit']).default('none'),
    'To compare with: the mask permuted within each tensor, or a random mask of the same size and a fresh start.',
    { source: 'arXiv:2306.00045' },
  ),
  keepZeros: field(
    z.boolean().default(false),
    'Coordinates of pruned tensors that start at exactly zero stay there: the start is a ticket.',
    { source: 'ours' },
  ),
  connectivity: field(
    z.boolean().default(false),
    'After each run ask the losses on the segment from the solution before to the new one, and report the barrier.',
    { source: 'arXiv:2306.00045' },
  ),
  answer: field(z.enum(['solution', 'ticket', 'mask']).default('solution'), 'What the estimate is.', {
    source: 'ours',
    mutable: true,
  }),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  /** Indices of the coordinates left, of which `prunable` at first might go. */
  free: number[]
  prunable: number
  start: Float64Array
  distribution: Diagonal
  round: number
  generation: number
  /** The last two solutions, in all coordinates. */
  solutions: Float64Array[]
  phase: 'search' | 'path' | 'done'
  barrier: number | null
}

/** Drops the coordinates with the lowest scores and begins a run from the start of the others. */
function prune(config: Config, problem: Problem, own: State, rng: Rng): void {
  const dense = denseOf(config.dense, problem)
  const { mean, deviation } = own.distribution
  const score = mean.map((m, i) =>
    config.prune === 'random' ? rng.uniform() : Math.abs(m) / (config.prune === 'snr' ? deviation[i] : 1),
  )
  const candidates = own.free.flatMap((at, i) => (dense[at] ? [] : [i]))
  const count = Math.round(own.prunable * config.keep ** (own.round + 1))
  const order = ranking(Float64Array.from(candidates, (i) => -score[i]))
  let kept = order.slice(0, count).map((k) => own.free[candidates[k]])
  if (config.control !== 'none')
    kept = otherMask(config.control === 'random-reinit' ? 'all' : 'tensors', problem, kept, dense, rng)
  if (config.control === 'random-reinit') own.start = freshStart(problem, own.start, rng)
  own.free = [...own.free.filter((at) => dense[at]), ...kept].sort((a, b) => a - b)
  own.round++
  begin(config, own)
}

function begin({ sigma }: Config, own: State): void {
  own.distribution = startDiagonal(
    Float64Array.from(own.free, (at) => own.start[at]),
    sigma,
  )
  own.generation = 0
  own.phase = 'search'
}

/** Takes the answers of a generation, or of a path, and decides what comes next. */
function learn(config: Config, problem: Problem, own: State, { points, values }: Told, rng: Rng): void {
  const n = own.start.length
  if (own.phase === 'path') own.barrier = values.every(Number.isFinite) ? barrier(values) : null
  else {
    const within = Float64Array.from({ length: values.length * own.free.length }, (_, i) => {
      const d = own.free.length
      return points[Math.floor(i / d) * n + own.free[i % d]]
    })
    learnFrom(config.strategy, own.distribution, within, values, { learningRate: config.learningRate })
    if (++own.generation < config.generations) return
    own.solutions = [...own.solutions.slice(-1), spread(own.free, own.distribution.mean, n)]
    if (config.connectivity && own.solutions.length === 2) {
      own.phase = 'path'
      return
    }
  }
  if (own.round < config.rounds) prune(config, problem, own, rng)
  else own.phase = 'done'
}

export const method = generationsMethod<Config, State>({
  id: 'es-lottery',
  title: 'Lottery tickets by evolution',
  summary:
    'Prunes an evolution strategy in rounds by the signal-to-noise of its search distribution: finds sparse starts.',
  references: [
    {
      authors: 'R. T. Lange, H. Sprekeler',
      title: 'Lottery Tickets in Evolutionary Optimization: On Sparse Backpropagation-Free Trainability',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.00045',
    },
  ],
  config,
  spaces: ['tensors'],
  recipes: [
    {
      problem: 'sum-of-terms',
      config: { rounds: 1, generations: 60, keep: 0.9, connectivity: true },
      maxEvaluations: 3000,
      target: 0.02,
    },
    { problem: 'rosenbrock', config: { strategy: 'sep-cma-es', rounds: 0 }, maxEvaluations: 3000, target: 0.2 },
  ],
  equations: ({ prune, keep }) => [
    prune === 'random'
      ? String.raw`\mathrm{score}_j \sim U[0, 1)`
      : prune === 'snr'
        ? String.raw`\mathrm{score}_j = |m_j| / \sigma_j`
        : String.raw`\mathrm{score}_j = |m_j|`,
    String.raw`\mathrm{sparsity}_r = 1 - ${keep}^r, \quad m \leftarrow m_0 \odot \mathrm{mask}`,
  ],
  check({ dense = [], strategy, populationSize, control, keepZeros }, problem) {
    const { low, high } = spaceOf(problem)
    const issues = checkNames(dense, problem, 'config.dense')
    if (low !== undefined || high !== undefined)
      issues.push({ path: low === undefined ? 'space.high' : 'space.low', message: 'es-lottery keeps to no bounds' })
    if (control !== 'none' && keepZeros)
      issues.push({ path: 'config.control', message: 'chooses among all coordinates, and keepZeros keeps some away' })
    if (strategies[strategy].mirrored && populationSize !== undefined && populationSize % 2 === 1)
      issues.push({
        path: 'config.populationSize',
        message: `members of ${strategy} come in pairs: expected an even number`,
      })
    return issues
  },
  init({ config, problem }, { start }) {
    const dense = denseOf(config.dense, problem)
    const free = Array.from(start.keys()).filter((i) => dense[i] || !config.keepZeros || start[i] !== 0)
    const own: State = {
      free,
      prunable: free.filter((i) => !dense[i]).length,
      start,
      distribution: startDiagonal(start, config.sigma),
      round: 0,
      generation: 0,
      solutions: [],
      phase: 'search',
      barrier: null,
    }
    begin(config, own)
    return own
  },
  breed({ config, problem }, { dimension: n }, own, told, rng) {
    if (told) learn(config, problem, own, told, rng)
    if (own.phase === 'path') return segment(own.solutions[0], own.solutions[1])
    if (own.phase === 'done') return new Float64Array(0)
    const count = config.populationSize ?? populationFor(config.strategy, own.free.length)
    const members = draw(config.strategy, own.distribution, count, rng)
    const d = own.free.length
    const points = new Float64Array(count * n)
    for (let k = 0; k < count; k++) points.set(spread(own.free, members.subarray(k * d, (k + 1) * d), n), k * n)
    return points
  },
  finished: (_, { phase }) => (phase === 'done' ? 'all rounds are done' : undefined),
  estimate({ config }, own) {
    const n = own.start.length
    const { free, distribution, round } = own
    const shown = {
      solution: distribution.mean,
      ticket: Float64Array.from(free, (at) => own.start[at]),
      mask: new Float64Array(free.length).fill(1),
    }[config.answer]
    return {
      x: spread(free, shown, n),
      metrics: {
        round,
        coordinates: free.length,
        sparsity: 1 - free.length / n,
        ...(own.barrier === null ? {} : { barrier: own.barrier }),
      },
    }
  },
})
