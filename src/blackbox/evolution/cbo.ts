/**
 * Consensus-based optimization: particles drift to their consensus point, and explore the more the farther they are from
 * it. R. Pinnau, C. Totzeck, O. Tse, S. Martin, "A consensus-based model for global optimization and its mean-field
 * limit", 2017; with the drift along gradients of K. Riedl, "Leveraging memory effects and gradient information in
 * consensus-based optimisation", 2022. Discretized as in K. Riedl, T. Klock, C. Geldhauser, M. Fornasier, "Gradient is
 * All You Need?", 2023 (arXiv:2306.09778).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { norm } from '../../optimizers/flat.js'
import { consensusPoint } from './consensus.js'
import { checkGradients, generationsMethod, pointsPerQuery, scatter } from './generations.js'

const config = z.strictObject({
  particles: field(z.int().min(2).default(200), 'Particles N.', { source: 'arXiv:2306.09778' }),
  dt: field(z.number().positive().default(0.01), 'Length of a time step.', {
    source: 'arXiv:2306.09778',
    mutable: true,
    log: true,
  }),
  lambda: field(z.number().positive().default(1), 'Strength of the drift to the consensus.', {
    source: 'arXiv:2306.09778',
    mutable: true,
  }),
  sigma: field(z.number().min(0).default(1.6), 'Strength of the noise.', {
    source: 'arXiv:2306.09778',
    mutable: true,
  }),
  alpha: field(z.number().positive().default(100), 'Inverse temperature: how much the best particles count.', {
    source: 'arXiv:2306.09778',
    mutable: true,
    log: true,
  }),
  noise: field(
    z.enum(['isotropic', 'anisotropic']).default('isotropic'),
    'Noise in all directions by the distance to the consensus, or in each coordinate by its own distance (for many).',
    { source: 'arXiv:2306.09778' },
  ),
  gamma: field(z.number().min(0).default(0), 'Strength of a drift along gradients; 0 asks for values only.', {
    source: 'ours',
  }),
  learningRate: field(z.number().positive().default(1), 'Step size of the drift along gradients.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  spread: field(
    z.number().positive().optional(),
    'Standard deviation of the particles about the start, a part of the range where there are bounds. When absent, ' +
      'uniform within bounds, and 1 without.',
    { source: 'ours' },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  /** The consensus point, the start until there is one. */
  c: Float64Array
  /** Mean distance of the particles to it. */
  spread: number
}

export const method = generationsMethod<Config, State>({
  id: 'cbo',
  title: 'Consensus-based optimization',
  summary: 'Particles drift to a consensus that the best of them dominate, and explore by their distance from it.',
  references: [
    {
      authors: 'K. Riedl, T. Klock, C. Geldhauser, M. Fornasier',
      title: 'Gradient is All You Need?',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.09778',
    },
    {
      authors: 'R. Pinnau, C. Totzeck, O. Tse, S. Martin',
      title: 'A consensus-based model for global optimization and its mean-field limit',
      year: 2017,
      url: 'https://arxiv.org/abs/1604.05648',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', config: { particles: 20, dt: 0.1, sigma: 1 }, maxEvaluations: 1500, target: 0.41 },
    {
      problem: 'sphere-5d',
      config: { particles: 40, dt: 0.1, noise: 'anisotropic' },
      maxEvaluations: 8000,
      target: 1e-2,
    },
    {
      problem: 'rosenbrock',
      config: { particles: 20, dt: 0.1, sigma: 1, gamma: 1, learningRate: 0.005 },
      maxEvaluations: 4000,
      target: 1e-3,
    },
  ],
  equations: ({ noise, gamma }) => [
    String.raw`c = \frac{\sum_i v_i e^{-\alpha E(v_i)}}{\sum_i e^{-\alpha E(v_i)}}`,
    String.raw`v_i \leftarrow v_i - \lambda (v_i - c) \Delta t`,
    noise === 'isotropic'
      ? String.raw`v_i \leftarrow v_i + \sigma \sqrt{\Delta t} \, \|v_i - c\| \, \xi_i`
      : String.raw`v_i \leftarrow v_i + \sigma \sqrt{\Delta t} \, |v_i - c| \odot \xi_i`,
    ...(gamma > 0 ? [String.raw`v_i \leftarrow v_i - \gamma \eta \Delta t \nabla E(v_i)`] : []),
  ],
  needs: ({ gamma }) => (gamma > 0 ? ['value', 'gradient'] : ['value']),
  wants: ({ gamma }) => (gamma > 0 ? ['value', 'gradient'] : ['value']),
  check: ({ gamma }, problem) => (gamma > 0 ? checkGradients(problem, 'config.gamma') : []),
  init: (_, { start }) => ({ c: start.slice(), spread: 0 }),
  breed({ config }, box, own, told, rng) {
    const { particles, dt, lambda, sigma, alpha, noise, gamma, learningRate, spread } = config
    if (!told) return scatter(box, particles, spread, rng)
    const n = box.dimension
    const c = consensusPoint(told.points, told.values, alpha, n)
    if (!c) return scatter(box, particles, spread, rng)
    const next = told.points.map((v, i) => v - lambda * dt * (v - c[i % n]))
    own.spread = 0
    for (let k = 0; k < particles; k++) {
      const away = next.slice(k * n, (k + 1) * n).map((v, i) => v - c[i])
      const distance = norm(away)
      own.spread += distance / particles
      for (let i = 0; i < n; i++) {
        const scale = noise === 'isotropic' ? distance : Math.abs(away[i])
        next[k * n + i] += sigma * Math.sqrt(dt) * scale * rng.normal()
      }
    }
    if (gamma > 0)
      for (let i = 0; i < next.length; i++) {
        next[i] -= gamma * dt * learningRate * told.gradients[i]
        // One whose gradient threw it out of the numbers begins again at the consensus.
        if (!Number.isFinite(next[i])) next[i] = c[i % n]
      }
    own.c = c
    return next
  },
  estimate: (_, { c, spread }) => ({ x: c, metrics: { spread } }),
})
