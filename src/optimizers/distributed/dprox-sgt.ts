/**
 * Y. Yan, J. Chen, P.-Y. Chen, X. Cui, S. Lu, Y. Xu, "Compressed Decentralized Proximal Stochastic Gradient Method for
 * Nonconvex Composite Problems with Heterogeneous Data", ICML 2023 (arXiv:2302.14252), algorithms 1 and 2.
 *
 * Worker i has a point x_i and an estimate y_i of the gradient of all, of which the mean over workers is that of their last
 * gradients. Neighbours mix both. With compression they mix copies xh, yh that all keep by the compressed differences sent.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { accumulate, plus } from '../flat.js'
import { proxOf, REGULARIZERS } from '../model-based/regularizer.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { compress, compressorFields, messageBits } from './compressors.js'
import { checkGraph, graphField, metropolis } from './graph.js'
import { combination, gradientsOf, mean, spread, workersField } from './workers.js'

const config = z.strictObject({
  variant: field(
    z.enum(['dprox-sgt', 'cdprox-sgt']).default('dprox-sgt'),
    'Neighbours exchange vectors, or compressed differences to what they know of each other.',
    { source: 'algorithms 1 and 2' },
  ),
  workers: workersField(),
  graph: graphField(),
  mixing: field(
    z.array(z.array(z.number())).optional(),
    'A symmetric doubly stochastic matrix W, a row per worker; without it, the Metropolis weights of the graph: 1/3 on a ring.',
    { source: 'section 2' },
  ),
  learningRate: real('eta.', { default: 0.02, above: 0, log: true, mutable: true, source: 'section 4' }),
  regularizer: field(
    z.enum(REGULARIZERS).default('none'),
    'r: weight*|x|_1; or where x is kept: |x| <= radius, the bounds of the space, or the simplex of sum radius.',
    { source: 'section 1' },
  ),
  weight: real('l1: its weight.', { default: 1e-4, min: 0, source: 'section 4' }),
  radius: real('ball: its radius; simplex: the sum of its elements.', { default: 1, above: 0, source: 'ours' }),
  ...compressorFields,
  gammaX: real('cdprox-sgt: how far points move to the mix. Less for strong compression.', {
    default: 0.8,
    above: 0,
    max: 1,
    source: 'section 4',
  }),
  gammaY: real('cdprox-sgt: how far estimates move to the mix.', {
    default: 0.8,
    above: 0,
    max: 1,
    source: 'section 4',
  }),
})
type Config = z.infer<typeof config>

type State = {
  /** Of each worker: point, estimate of the gradient, last gradient, and the copies that neighbours keep. */
  x: Float64Array[]
  y: Float64Array[]
  g: Float64Array[]
  xCopy: Float64Array[]
  yCopy: Float64Array[]
  rng: RngState
  t: number
}

const mixingOf = ({ mixing, graph, workers }: Config) => mixing ?? metropolis(graph, workers)

/** Mixes vectors of neighbours; with compression the copies move by what is sent, in place. */
function mix(config: Config, own: State, vectors: readonly Float64Array[], copies: Float64Array[], gamma: number) {
  const W = mixingOf(config)
  if (config.variant === 'dprox-sgt') return W.map((row) => combination(row, vectors))
  const rng = new Rng(own.rng)
  for (const [i, copy] of copies.entries()) accumulate(copy, 1, compress(config, plus(vectors[i], -1, copy), rng))
  return W.map((row, i) => plus(vectors[i], gamma, plus(combination(row, copies), -1, copies[i])))
}

function checkMixing({ mixing: W, graph, workers: n }: Config): Issue[] {
  if (!W) return checkGraph(graph, n)
  const one = (sum: number) => Math.abs(sum - 1) < 1e-9
  const good =
    W.length === n &&
    W.every((row, i) => row.length === n && row.every((w, j) => w >= 0 && Math.abs(w - W[j]?.[i]) < 1e-9)) &&
    W.every((row) => one(row.reduce((sum, w) => sum + w, 0)))
  const message = `expected a symmetric ${n} x ${n} matrix of numbers from 0, whose rows sum to 1`
  return good ? [] : [{ path: 'config.mixing', message }]
}

const checkSet = ({ regularizer }: Config, problem: Problem): Issue[] =>
  regularizer === 'box' ? [] : checkUnbounded(`dprox-sgt with the regularizer "${regularizer}"`, problem)

export const method = turnsMethod<Config, State>({
  id: 'dprox-sgt',
  family: 'gradient',
  title: 'Decentralized proximal stochastic gradient tracking',
  summary:
    'Workers with different data agree on one model by talking to neighbours, if need be in compressed messages. The points ' +
    'of a query are those of the workers in their order, each for a stochastic gradient of its own function.',
  references: [
    {
      authors: 'Y. Yan, J. Chen, P.-Y. Chen, X. Cui, S. Lu, Y. Xu',
      title:
        'Compressed Decentralized Proximal Stochastic Gradient Method for Nonconvex Composite Problems with Heterogeneous Data',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.14252',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 600, target: 1e-3 },
    {
      problem: 'quadratic',
      config: { variant: 'cdprox-sgt', compressor: 'topk', share: 0.5, gammaX: 0.5, gammaY: 0.5, learningRate: 0.05 },
      maxEvaluations: 1000,
      target: 1e-3,
    },
    {
      problem: 'quadratic',
      config: { variant: 'cdprox-sgt', compressor: 'qsgd', learningRate: 0.05 },
      maxEvaluations: 1000,
      target: 1e-3,
    },
  ],
  equations: ({ variant }) =>
    variant === 'dprox-sgt'
      ? [
          String.raw`y_i \leftarrow \sum_j W_{ij} \left(y_j + g_j^t - g_j^{t-1}\right)`,
          String.raw`x_i \leftarrow \sum_j W_{ij}\, \mathrm{prox}_{\eta r}(x_j - \eta y_j)`,
        ]
      : [
          String.raw`y_i' = y_i + g_i^t - g_i^{t-1},\quad \hat y_i \leftarrow \hat y_i + Q(y_i' - \hat y_i)`,
          String.raw`y_i \leftarrow y_i' + \gamma_y \left(\sum_j W_{ij} \hat y_j - \hat y_i\right)`,
          String.raw`x_i' = \mathrm{prox}_{\eta r}(x_i - \eta y_i),\quad \hat x_i \leftarrow \hat x_i + Q(x_i' - \hat x_i)`,
          String.raw`x_i \leftarrow x_i' + \gamma_x \left(\sum_j W_{ij} \hat x_j - \hat x_i\right)`,
        ],
  needs: () => ['gradient'],
  check: (config, problem) => [...checkMixing(config), ...checkSet(config, problem)],
  init({ config: { workers } }, flat, seed) {
    const each = (make: () => Float64Array) => Array.from({ length: workers }, make)
    const zeros = () => new Float64Array(flat.dimension)
    return {
      x: each(() => flat.start()),
      y: each(zeros),
      g: each(zeros),
      xCopy: each(zeros),
      yCopy: each(zeros),
      rng: rngStream(seed, 'compression'),
      t: 0,
    }
  },
  ask: (_, __, { x }) => ({ points: x, wants: [{ kind: 'gradient' }], purpose: 'workers' }),
  learn({ config, problem }, flat, own, told) {
    const { learningRate, gammaX, gammaY } = config
    const g = gradientsOf(told, problem, flat)
    const tracked = own.y.map((y, i) => plus(plus(y, 1, g[i]), -1, own.g[i]))
    own.y = mix(config, own, tracked, own.yCopy, gammaY)
    const prox = proxOf(config, problem)
    const moved = own.x.map((x, i) => prox.map(plus(x, -learningRate, own.y[i]), learningRate))
    own.x = mix(config, own, moved, own.xCopy, gammaX)
    own.g = g
    own.t++
  },
  estimate({ config }, { x, y, g, t }) {
    const centre = mean(x)
    const sent = config.variant === 'dprox-sgt' ? ({ ...config, compressor: 'identity' } as const) : config
    const bits = 2 * messageBits(sent, centre.length)
    return {
      x: centre,
      kind: 'iterate',
      step: t,
      metrics: {
        consensusError: spread(x, centre),
        trackingError: spread(y, mean(g)),
        messageBits: bits,
        sentBits: bits * config.workers * t,
      },
    }
  },
})
