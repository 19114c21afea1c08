/**
 * Consensus hopping: every generation is drawn afresh about the consensus of the last, which is then moved to its own
 * consensus. With many particles a hop is c -> E[v exp(-alpha E(v))]/E[exp(-alpha E(v))], v ~ N(c, sigma^2 I): to first
 * order in sigma^2 a gradient step of length alpha sigma^2.
 * K. Riedl, T. Klock, C. Geldhauser, M. Fornasier, "Gradient is All You Need?", 2023 (arXiv:2306.09778)
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { compareWithGradient, consensusPoint } from './consensus.js'
import { checkGradients, generationsMethod, pointsPerQuery } from './generations.js'

const config = z.strictObject({
  particles: field(z.int().min(2).default(200), 'Particles N.', { source: 'arXiv:2306.09778' }),
  sigma: field(
    z.number().positive().default(0.7),
    'Standard deviation of a generation: absolute, or a part of the range where there are bounds.',
    { source: 'arXiv:2306.09778', mutable: true, log: true },
  ),
  alpha: field(z.number().positive().default(100), 'Inverse temperature: how much the best particles count.', {
    source: 'arXiv:2306.09778',
    mutable: true,
    log: true,
  }),
  decay: field(z.number().positive().max(1).default(1), 'What sigma is multiplied by from time to time: 0.98, say.', {
    source: 'arXiv:2306.09778',
  }),
  decayEvery: field(z.int().min(1).default(100), 'Generations from one multiplication to the next.', {
    source: 'arXiv:2306.09778',
  }),
  compareGradient: field(
    z.boolean().default(false),
    'Ask for the gradient at each consensus point too, and report the cosine and the ratio of the hop from it to ' +
      '-alpha sigma^2 times that gradient.',
    { source: 'ours' },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  /** The consensus point, and the one before. */
  c: Float64Array
  before: Float64Array
  /** Hops taken, and the sigma of the last. */
  hops: number
  sigma: number
  /** Whether the gradient at `before` is asked, rather than the values of a generation. */
  comparing: boolean
  cosine: number
  ratio: number
}

export const method = generationsMethod<Config, State>({
  id: 'consensus-hopping',
  title: 'Consensus hopping',
  summary: 'Hops from consensus to consensus of particles drawn afresh: a gradient method that sees values only.',
  references: [
    {
      authors: 'K. Riedl, T. Klock, C. Geldhauser, M. Fornasier',
      title: 'Gradient is All You Need?',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.09778',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', config: { particles: 20, sigma: 0.1, alpha: 10 }, maxEvaluations: 1500, target: 0.45 },
    {
      problem: 'rosenbrock',
      config: { particles: 20, sigma: 0.2, decay: 0.8, decayEvery: 5, compareGradient: true },
      maxEvaluations: 3000,
      target: 0.02,
    },
  ],
  equations: () => [
    String.raw`v_i = c + \sigma \xi_i, \quad \xi_i \sim \mathcal{N}(0, I)`,
    String.raw`c \leftarrow \frac{\sum_i v_i e^{-\alpha E(v_i)}}{\sum_i e^{-\alpha E(v_i)}}`,
  ],
  needs: ({ compareGradient }) => (compareGradient ? ['value', 'gradient'] : ['value']),
  wants: (_, { comparing }) => (comparing ? ['gradient'] : ['value']),
  check: ({ compareGradient }, problem) => (compareGradient ? checkGradients(problem, 'config.compareGradient') : []),
  init: ({ config }, { start }) => ({
    c: start.slice(),
    before: start.slice(),
    hops: 0,
    sigma: config.sigma,
    comparing: false,
    cosine: 0,
    ratio: 0,
  }),
  breed({ config }, { dimension: n }, own, told, rng) {
    const { particles, alpha, decay, decayEvery, compareGradient } = config
    if (told && own.comparing) {
      Object.assign(own, compareWithGradient(own.before, own.c, told.gradients, alpha, own.sigma))
      own.comparing = false
    } else if (told) {
      own.before = own.c
      own.c = consensusPoint(told.points, told.values, alpha, n) ?? own.c
      own.hops++
      own.comparing = compareGradient
      if (compareGradient) return own.before.slice()
    }
    const { c } = own
    const sigma = config.sigma * decay ** Math.floor(own.hops / decayEvery)
    own.sigma = sigma
    return new Float64Array(particles * n).map((_, i) => c[i % n] + sigma * rng.normal())
  },
  estimate: ({ config }, { c, sigma, hops, cosine, ratio }) => ({
    x: c,
    metrics: { sigma, hops, ...(config.compareGradient ? { cosine, ratio } : {}) },
  }),
})
