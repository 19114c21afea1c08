/**
 * Exponential natural evolution strategies: T. Glasmachers, T. Schaul, Y. Sun, D. Wierstra, J. Schmidhuber, "Exponential Natural
 * Evolution Strategies", GECCO 2010
 */
import { z } from 'zod'
import { symmetricEigen } from '../../core/eigen.js'
import { field } from '../../core/schema.js'
import { multiply, multiplyByTransposed } from '../../optimizers/matrices.js'
import { checkBox } from './box.js'
import { defaultPopulation } from './cma.js'
import { utilities } from './diagonal.js'
import { generationsMethod, pointsPerQuery, type Told } from './generations.js'

const MAX_DIMENSION = 1000

const config = z.strictObject({
  populationSize: field(
    z.int().min(2).max(100_000).optional(),
    'Members of a generation; 4 + floor(3 ln n) when absent.',
    { source: 'GECCO 2010' },
  ),
  sigma: field(z.number().positive().default(0.3), 'First step size: a part of the range where there are bounds.', {
    source: 'ours',
    log: true,
  }),
  learningRate: field(z.number().positive().default(1), 'Step of the mean.', {
    source: 'GECCO 2010',
    mutable: true,
  }),
  sigmaRate: field(
    z.number().positive().optional(),
    'Step of scale and shape; (9 + 3 ln n)/(5 n sqrt n) when absent.',
    { source: 'GECCO 2010', mutable: true },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

/** N(mean, sigma^2 B B'), and the draws z of the generation under way, x = mean + sigma B z. */
type State = { mean: Float64Array; sigma: number; B: Float64Array; z: Float64Array }

/** exp(S) of a symmetric S. */
function exponential(S: Float64Array, n: number): Float64Array {
  const Q = S.slice()
  const scales = symmetricEigen(Q, n).map(Math.exp)
  return multiplyByTransposed(
    Q.map((q, i) => q * scales[i % n]),
    Q,
    n,
  )
}

/** Follows the natural gradient, unless no member has a value. */
function learn({ learningRate, sigmaRate }: Config, own: State, { values }: Told): void {
  if (!values.some(Number.isFinite)) return
  const { mean, B, z } = own
  const n = mean.length
  const eta = sigmaRate ?? (9 + 3 * Math.log(n)) / (5 * n * Math.sqrt(n))
  const u = utilities(values)
  const shift = new Float64Array(n)
  const G = new Float64Array(n * n)
  u.forEach((weight, k) => {
    const draw = z.subarray(k * n, (k + 1) * n)
    for (let i = 0; i < n; i++) {
      shift[i] += weight * draw[i]
      for (let j = 0; j < n; j++) G[i * n + j] += weight * (draw[i] * draw[j] - Number(i === j))
    }
  })
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) mean[i] += learningRate * own.sigma * B[i * n + j] * shift[j]
  let trace = 0
  for (let i = 0; i < n; i++) trace += G[i * n + i] / n
  for (let i = 0; i < n; i++) G[i * n + i] -= trace
  own.sigma *= Math.exp((eta / 2) * trace)
  own.B = multiply(
    B,
    exponential(
      G.map((g) => (eta / 2) * g),
      n,
    ),
    n,
  )
}

export const method = generationsMethod<Config, State>({
  id: 'xnes',
  title: 'xNES',
  summary:
    'Follows the natural gradient of a normal distribution, its covariance kept positive by the exponential map.',
  references: [
    {
      authors: 'T. Glasmachers, T. Schaul, Y. Sun, D. Wierstra, J. Schmidhuber',
      title: 'Exponential Natural Evolution Strategies',
      year: 2010,
      url: 'https://doi.org/10.1145/1830483.1830557',
    },
  ],
  config,
  recipes: [
    { problem: 'sphere-5d', maxEvaluations: 1500, target: 1e-6 },
    { problem: 'rosenbrock', maxEvaluations: 3000, target: 1e-6 },
  ],
  invariances: ['monotone-values'],
  equations: () => [
    String.raw`x_k = m + \sigma B z_k, \quad z_k \sim \mathcal{N}(0, I)`,
    String.raw`m \leftarrow m + \sigma B \sum_k u_k z_k`,
    String.raw`G = \sum_k u_k (z_k z_k^\top - I), \quad \sigma \leftarrow \sigma \exp\left(\tfrac{\eta}{2} \tfrac{\mathrm{tr}\, G}{n}\right)`,
    String.raw`B \leftarrow B \exp\left(\tfrac{\eta}{2} \left(G - \tfrac{\mathrm{tr}\, G}{n} I\right)\right)`,
  ],
  check: (_, { space }) => checkBox('xnes', space, MAX_DIMENSION),
  init: ({ config: { sigma } }, { start, dimension: n }) => ({
    mean: start.slice(),
    sigma,
    B: Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
    z: new Float64Array(0),
  }),
  breed({ config }, { dimension: n }, own, told, rng) {
    if (told) learn(config, own, told)
    const { mean, sigma, B } = own
    const count = config.populationSize ?? defaultPopulation(n)
    own.z = new Float64Array(count * n).map(() => rng.normal())
    return own.z.map((_, at) => {
      const [row, i] = [at - (at % n), at % n]
      let step = 0
      for (let j = 0; j < n; j++) step += B[i * n + j] * own.z[row + j]
      return mean[i] + sigma * step
    })
  },
  estimate: (_, { sigma }) => ({ metrics: { sigma } }),
})
