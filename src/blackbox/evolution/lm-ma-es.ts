/**
 * The limited-memory matrix adaptation evolution strategy: I. Loshchilov, T. Glasmachers, H.-G. Beyer, "Large Scale Black-box
 * Optimization by Limited-Memory Matrix Adaptation", IEEE Transactions on Evolutionary Computation 23, 2019
 * (arXiv:1705.06693) Some directions take the place of the covariance matrix: time and memory are n log n.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { dot } from '../../optimizers/flat.js'
import { constants, defaultPopulation } from './cma.js'
import { ranking } from './diagonal.js'
import { generationsMethod, pointsPerQuery, type Told } from './generations.js'

const config = z.strictObject({
  populationSize: field(
    z.int().min(4).max(100_000).optional(),
    'Members of a generation; 4 + floor(3 ln n) when absent.',
    { source: 'arXiv:1705.06693' },
  ),
  memory: field(z.int().min(1).max(1000).optional(), 'Directions kept; 4 + floor(3 ln n) when absent.', {
    source: 'arXiv:1705.06693',
  }),
  sigma: field(z.number().positive().default(0.3), 'First step size: a part of the range where there are bounds.', {
    source: 'ours',
    log: true,
  }),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  mean: Float64Array
  sigma: number
  path: Float64Array
  /** Directions m_1 to m_m, one a row. */
  directions: Float64Array
  generation: number
  /** The draws z of the generation under way, and the steps d made of them, x = mean + sigma d; one a row. */
  z: Float64Array
  d: Float64Array
}

const row = (rows: Float64Array, k: number, n: number) => rows.subarray(k * n, (k + 1) * n)
const memoryOf = ({ memory }: Config, n: number) => memory ?? defaultPopulation(n)

/** Bends a draw along the directions, in place: d = (1 - c_j) d + c_j m_j <m_j, d>, c_j = 1/(1.5^j n). */
function bend(d: Float64Array, { directions, generation }: State, count: number): void {
  const n = d.length
  for (let j = 0; j < Math.min(generation, count); j++) {
    const m = row(directions, j, n)
    const c = 1 / (1.5 ** j * n)
    const along = dot(m, d)
    for (let i = 0; i < n; i++) d[i] = (1 - c) * d[i] + c * m[i] * along
  }
}

/** Moves mean, step size and directions by the ranks of a generation, unless no member has a value. */
function learn(settings: Config, own: State, { values }: Told): void {
  if (!values.some(Number.isFinite)) return
  const n = own.mean.length
  const lambda = values.length
  const { weights, muEff } = constants(n, lambda, false)
  const order = ranking(values)
  const zMean = new Float64Array(n)
  weights.forEach((w, rank) => {
    if (w <= 0) return
    const [z, d] = [row(own.z, order[rank], n), row(own.d, order[rank], n)]
    for (let i = 0; i < n; i++) {
      zMean[i] += w * z[i]
      own.mean[i] += own.sigma * w * d[i]
    }
  })
  const follow = (path: Float64Array, rate: number) => {
    const c = Math.min(1, rate)
    for (let i = 0; i < n; i++) path[i] = (1 - c) * path[i] + Math.sqrt(muEff * c * (2 - c)) * zMean[i]
  }
  const cSigma = (2 * lambda) / n
  follow(own.path, cSigma)
  for (let j = 0; j < memoryOf(settings, n); j++) follow(row(own.directions, j, n), lambda / (4 ** j * n))
  own.sigma *= Math.exp((Math.min(1, cSigma) / 2) * (dot(own.path, own.path) / n - 1))
  own.generation++
}

export const method = generationsMethod<Config, State>({
  id: 'lm-ma-es',
  title: 'LM-MA-ES',
  summary: 'CMA-ES for thousands of coordinates: learns a few directions in place of a covariance matrix.',
  references: [
    {
      authors: 'I. Loshchilov, T. Glasmachers, H.-G. Beyer',
      title: 'Large Scale Black-box Optimization by Limited-Memory Matrix Adaptation',
      year: 2019,
      url: 'https://arxiv.org/abs/1705.06693',
    },
  ],
  config,
  recipes: [
    { problem: 'sphere-5d', maxEvaluations: 1500, target: 1e-4 },
    { problem: 'branin', maxEvaluations: 1000, target: 0.45 },
  ],
  invariances: ['monotone-values'],
  equations: () => [
    String.raw`d_k \leftarrow (1 - c_j) d_k + c_j m_j m_j^\top d_k, \quad d_k = z_k \sim \mathcal{N}(0, I), \quad c_j = \frac{1}{1.5^{j-1} n}`,
    String.raw`m \leftarrow m + \sigma \sum_{i \le \mu} w_i d_{i:\lambda}`,
    String.raw`m_j \leftarrow (1 - c_{c,j}) m_j + \sqrt{\mu_w c_{c,j} (2 - c_{c,j})} \sum_i w_i z_{i:\lambda}, \quad c_{c,j} = \frac{\lambda}{4^{j-1} n}`,
    String.raw`\sigma \leftarrow \sigma \exp\left(\frac{c_\sigma}{2} \left(\frac{\|p_\sigma\|^2}{n} - 1\right)\right), \quad c_\sigma = \frac{2 \lambda}{n}`,
  ],
  init: ({ config: settings }, { start, dimension: n }) => ({
    mean: start.slice(),
    sigma: settings.sigma,
    path: new Float64Array(n),
    directions: new Float64Array(memoryOf(settings, n) * n),
    generation: 0,
    z: new Float64Array(0),
    d: new Float64Array(0),
  }),
  breed({ config: settings }, { dimension: n }, own, told, rng) {
    if (told) learn(settings, own, told)
    const count = settings.populationSize ?? defaultPopulation(n)
    own.z = new Float64Array(count * n).map(() => rng.normal())
    own.d = own.z.slice()
    for (let k = 0; k < count; k++) bend(row(own.d, k, n), own, memoryOf(settings, n))
    return own.d.map((d, at) => own.mean[at % n] + own.sigma * d)
  },
  estimate: (_, { sigma }) => ({ metrics: { sigma } }),
})
