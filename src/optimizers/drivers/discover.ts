/**
 * A momentum per cluster of the data as a control variate, so that the noise left is only that within clusters:
 * L. Tondji, S. Kashubin, M. Cisse, "Variance Reduction in Deep Learning: More Momentum is All You Need", 2021
 * (arXiv:2111.11828). With a cluster per example and no memory it is SAGA (Defazio, Bach, Lacoste-Julien 2014).
 *
 * The gradients that are told of a batch are grouped by cluster. With `transport` they are asked ahead of the iterate, so
 * that their mean over the steps is a gradient at it: S. Arnold, P. Manzagol, R. Babanezhad, I. Mitliagkas, N. Le Roux,
 * "Reducing the variance in online optimization by transporting past gradients", NeurIPS 2019, algorithm 2.
 */
import { z } from 'zod'
import type { Quantity } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { FloatArray, Tensors } from '../../core/tensor.js'
import { flatOf, flatOfSpace } from '../flat.js'
import { kMeans } from '../k-means.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  clusters: field(z.int().min(1), 'Clusters of the data, K.'),
  shares: field(
    z.array(z.number().positive()).optional(),
    'Share of the data in each cluster; without it, all are the same. k-means counts them itself.',
  ),
  beta: real('Weight of the past in the momentum of a cluster.', { default: 0.5, min: 0, below: 1, source: 'ours' }),
  transport: field(
    z.boolean().default(false),
    'Asks ahead of the iterate and averages (implicit gradient transport).',
    {
      source: 'ours',
    },
  ),
  features: field(
    z.int().min(1).optional(),
    'Numbers per example by which k-means finds the clusters. Then these are asked of all examples first, and gradients ' +
      'are told example by example; without it, cluster by cluster, by ids that the client knows.',
  ),
  refresh: field(z.int().min(1).optional(), 'Steps after which features are asked anew; without it, once.', {
    source: 'paper, section 3',
  }),
}
type Config = PartConfig<typeof fields>

const gradients = (dimension: number, of: string): Quantity => ({
  name: 'gradients',
  shape: [-1, dimension],
  description: `${of}, one row each, of a loss to minimize`,
})
const ids = (name: string, description: string): Quantity => ({ name, shape: [-1], description })

/** Elements of all momenta together, at most: 1 GiB of them. */
const LARGEST = 2 ** 27

/** What is asked of a batch. */
function batch({ features }: Config, { space, state }: Drive, point: string): Ask {
  state.phase = 'batch'
  const d = flatOfSpace(space).dimension
  const quantities = features
    ? [gradients(d, 'gradients of the examples of a batch'), ids('examples', 'number of each example, from 0')]
    : [
        gradients(d, 'mean gradients of the clusters in a batch'),
        ids('clusters', 'id of each cluster, from 0 to K - 1'),
        ids('counts', 'examples of the batch in each cluster'),
      ]
  return { point, purpose: 'batch', wants: [{ kind: 'quantities', quantities }] }
}

function featuresAsk(count: number, { state }: Drive): Ask {
  state.phase = 'features'
  const quantities = [
    { name: 'features', shape: [-1, count], description: 'features or representations of all examples, one row each' },
  ]
  return { point: 'x', purpose: 'features', sample: '.features', wants: [{ kind: 'quantities', quantities }] }
}

/** Momenta are zero and the clusters have the given shares, or equal ones. */
function reset({ clusters: K, shares }: Config, { space, state }: Drive) {
  const { dimension } = flatOfSpace(space)
  const weights = shares ?? new Array<number>(K).fill(1)
  const total = weights.reduce((sum, w) => sum + w, 0)
  state.arrays = {
    momenta: new Float64Array(K * dimension),
    mean: new Float64Array(dimension),
    shares: Float64Array.from(weights, (w) => w / total),
    assignment: new Float64Array(0),
  }
}

function cluster({ clusters: K, features = 1 }: Config, { state, rng }: Drive, told: FloatArray) {
  const points = Array.from({ length: told.length / features }, (_, i) =>
    Float64Array.from(told.subarray(i * features, (i + 1) * features)),
  )
  const assignment = kMeans(points, K, rng)
  const arrays = state.arrays!
  arrays.assignment = Float64Array.from(assignment)
  // All momenta become their mean: that of the new clusters is then the same.
  const d = arrays.mean.length
  for (let c = 0; c < K; c++) arrays.momenta.set(arrays.mean, c * d)
  arrays.shares = Float64Array.from({ length: K }, (_, c) => assignment.filter((a) => a === c).length / points.length)
}

type Row = { cluster: number; count: number; gradient: Float64Array }

/** The rows of a batch; those of no cluster are left out. */
function rowsOf({ clusters: K, features }: Config, { space, state }: Drive, told: Tensors): Row[] {
  const d = flatOfSpace(space).dimension
  const clusterOf = features
    ? Array.from(told.examples, (example) => state.arrays!.assignment[example])
    : Array.from(told.clusters)
  return clusterOf.flatMap((cluster, i) => {
    const gradient = Float64Array.from(told.gradients.subarray(i * d, (i + 1) * d))
    const count = features ? 1 : told.counts[i]
    const known = Number.isInteger(cluster) && cluster >= 0 && cluster < K
    return known && count > 0 && gradient.length === d ? [{ cluster, count, gradient }] : []
  })
}

/** The direction of a batch by the old momenta, which then move on. */
function direction({ beta }: Config, { state }: Drive, rows: readonly Row[]): Float64Array {
  const { momenta, mean, shares } = state.arrays!
  const d = mean.length
  const examples = rows.reduce((sum, { count }) => sum + count, 0)
  const momentum = (c: number) => momenta.subarray(c * d, (c + 1) * d)
  const result = mean.slice()
  let within = 0
  for (const { cluster, count, gradient } of rows) {
    const M = momentum(cluster)
    for (let j = 0; j < d; j++) {
      result[j] += (count / examples) * (gradient[j] - M[j])
      within += (count / examples) * (gradient[j] - M[j]) ** 2
    }
  }
  let between = 0
  shares.forEach((share, c) => {
    const M = momentum(c)
    for (let j = 0; j < d; j++) between += share * (M[j] - mean[j]) ** 2
  })
  for (const { cluster, gradient } of rows) {
    const M = momentum(cluster)
    for (let j = 0; j < d; j++) {
      const change = (1 - beta) * (gradient[j] - M[j])
      M[j] += change
      mean[j] += shares[cluster] * change
    }
  }
  state.reports = { ...state.reports, withinVariance: within, betweenVariance: between }
  return result
}

/** The mean of all directions so far, each of which was asked ahead. */
const AVERAGE = 'x = x + (g - x)/k'
/** Ahead by the last step, times the steps so far. */
const AHEAD = 'x = w + (k - 1)*(w - before)'

export const discover = defineDriver({
  id: 'discover',
  summary:
    'A momentum per cluster of the data: the gradient of a batch, less the momenta of its clusters, and the mean of all ' +
    'momenta. Reports the variance within and between clusters.',
  fields,
  wants: () => ['quantities'],
  points: ({ transport }) => (transport ? ['before', 'ahead', 'transported'] : []),
  begin(config, drive) {
    reset(config, drive)
    return config.features ? featuresAsk(config.features, drive) : batch(config, drive, 'x')
  },
  advance(config, drive, _, { quantities: [told] }) {
    const { state, space } = drive
    const { transport, features, refresh } = config
    if (state.phase === 'features') {
      cluster(config, drive, told.features)
      return batch(config, drive, transport && state.shard > 0 ? 'ahead' : 'x')
    }
    const rows = rowsOf(config, drive, told)
    const asked = transport && state.shard > 0 ? 'ahead' : 'x'
    if (rows.length === 0) return batch(config, drive, asked)
    const d = flatOfSpace(space).tensors(direction(config, drive, rows))
    const k = ++state.shard
    if (!transport) drive.update(d)
    else {
      drive.run({ text: AVERAGE, scalars: () => ({ k }) }, 'transported', { g: d })
      drive.copy(drive.x, 'before')
      drive.update(state.points.transported)
      const inputs = { w: drive.x, before: state.points.before }
      drive.run({ text: AHEAD, inputs: ['w', 'before'], scalars: () => ({ k: k + 1 }) }, 'ahead', inputs)
    }
    if (features && refresh && k % refresh === 0) return featuresAsk(features, drive)
    return batch(config, drive, transport ? 'ahead' : 'x')
  },
  check({ clusters, shares, features, refresh }, problem) {
    const issues: { field: string; message: string }[] = []
    const { dimension } = flatOf(problem)
    if (clusters * dimension > LARGEST)
      issues.push({
        field: 'clusters',
        message: `at most ${Math.floor(LARGEST / dimension)} momenta of ${dimension} elements fit`,
      })
    if (shares && shares.length !== clusters) issues.push({ field: 'shares', message: `expected ${clusters} numbers` })
    if (shares && features) issues.push({ field: 'shares', message: 'k-means counts the shares itself' })
    if (refresh && !features) issues.push({ field: 'refresh', message: 'needs features' })
    if (problem.objectives[0].direction === 'maximize')
      issues.push({ field: 'id', message: 'takes gradients of a loss to minimize; the objective is maximized' })
    return issues
  },
})
