/**
 * Augmented random search: H. Mania, A. Guy, B. Recht, "Simple random search of static linear policies is competitive for
 * reinforcement learning", NeurIPS 2018 (arXiv:1803.07055) (V1-t; where states are normalized, as in V2, the
 * client does it).
 *
 * A step follows the differences of pairs of points along the best of some random directions, in units of the deviation of
 * their values: it does not depend on the scale of the objective.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { accumulate, gaussian, plus } from '../../optimizers/flat.js'
import { jobRng, roundsMethod } from './rounds.js'

const config = z.strictObject({
  directions: field(z.int().min(1).default(8), 'Directions N that are tried at a step.', {
    source: 'arXiv:1803.07055 (1 to 320)',
  }),
  top: field(z.int().min(1).optional(), 'Directions b that count: those with the best values; all when absent.', {
    source: 'arXiv:1803.07055',
  }),
  learningRate: field(z.number().positive().default(0.02), 'Step size alpha.', {
    source: 'arXiv:1803.07055',
    mutable: true,
    log: true,
  }),
  noise: field(z.number().positive().default(0.03), 'How far along a direction values are asked, nu.', {
    source: 'arXiv:1803.07055',
    mutable: true,
    log: true,
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** Standard deviation of the values that the last step was taken by. */
  deviation: number
  t: number
}

export const method = roundsMethod<Config, State>({
  id: 'ars',
  title: 'Augmented random search',
  summary: 'Steps along the best of some random directions, in units of the deviation of what was told: scale-free.',
  references: [
    {
      authors: 'H. Mania, A. Guy, B. Recht',
      title: 'Simple random search of static linear policies is competitive for reinforcement learning',
      year: 2018,
      url: 'https://arxiv.org/abs/1803.07055',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1, top: 4 }, maxEvaluations: 4000, target: 0.1 },
    { problem: 'rosenbrock', config: { learningRate: 0.01, noise: 0.01 }, maxEvaluations: 6000, target: 0.5 },
  ],
  equations: () => [
    String.raw`x \leftarrow x - \frac{\alpha}{b\, \sigma_R} \sum_{k \le b} \left(f(x + \nu \delta_{(k)}) - f(x - \nu \delta_{(k)})\right) \delta_{(k)}, \quad \delta_k \sim \mathcal{N}(0, I)`,
  ],
  check: ({ directions, top = 1 }) =>
    top > directions
      ? [{ path: 'config.top', message: `expected at most ${directions}, the number of directions` }]
      : [],
  init: (_, flat) => ({ x: flat.start(), deviation: 0, t: 0 }),
  plan: ({ config }) => ({ jobs: config.directions, points: 2 }),
  // Both points of all pairs are told on the same sample: their order decides.
  label: (_, __, { index }) => ({ purpose: 'pair', sampleKey: `s${index}` }),
  points({ config }, { dimension }, { x }, round, job) {
    const direction = gaussian(jobRng(round, job), dimension)
    return [plus(x, config.noise, direction), plus(x, -config.noise, direction)]
  },
  learn({ config }, flat, state, round, answers) {
    const { directions, top = directions, learningRate } = config
    const pairs = Array.from({ length: directions }, (_, job) => ({ job, told: answers.of(job) }))
      .filter((pair): pair is { job: number; told: Float64Array } => pair.told !== undefined)
      .sort((a, b) => Math.min(...a.told) - Math.min(...b.told) || a.job - b.job)
      .slice(0, top)
    state.t++
    const values = pairs.flatMap(({ told }) => [...told])
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)
    // Equal values, or none, say nothing about where to go.
    if (!(deviation > 0) || !Number.isFinite(deviation)) return
    state.deviation = deviation
    const x = state.x.slice()
    for (const { job, told } of pairs) {
      const scale = (-learningRate * (told[0] - told[1])) / (pairs.length * deviation)
      accumulate(x, scale, gaussian(jobRng(round, job), flat.dimension))
    }
    state.x = flat.clamp(x)
  },
  estimate: (_, { x, deviation, t }) => ({ x, kind: 'iterate', step: t, metrics: { deviation } }),
})
