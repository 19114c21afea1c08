/** Lau, Liu, Kolar, "AdAdaGrad: Adaptive Batch Size Schemes for Adaptive Gradient Methods", 2024. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { BATCH_TESTS, type BatchTest, nextBatch } from '../diagnostics/batch-size.js'
import { joined } from '../flat.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  batch: field(z.int().min(2).default(8), 'Examples of the first batch.', { source: 'ours' }),
  maximum: field(z.int().min(2).default(4096), 'Examples of the largest batch.', { source: 'ours' }),
  workers: field(
    z.int().min(2).default(4),
    'Equal parts of a batch, a query each: it is answered with the mean gradient of its part.',
    { source: 'ours' },
  ),
  test: field(
    z.enum(BATCH_TESTS).default('norm'),
    'What has to be small: the error of the gradient, of each element of it, along it, or along and across it.',
    { source: 'ours' },
  ),
  eta: real('Error relative to the gradient, for the norms.', { default: 0.1, above: 0, source: 'timlautk/AdAdaGrad' }),
  theta: real('Error along the gradient, for the inner products.', { default: 0.1, above: 0, source: 'ours' }),
  nu: real('Error across the gradient, for the augmented test.', { default: 0.3, above: 0, source: 'ours' }),
  every: field(z.int().min(1).default(1), 'Steps from one test to the next.', { source: 'ours' }),
}
type Config = PartConfig<typeof fields>

const worker = (k: number): string => `worker${k}`
const ask = ({ state }: Drive): Ask => ({ point: 'x', purpose: 'shard', sample: `.${state.shard}` })

/** Tests the batch whose parts have been told. */
function grow(config: Config, { state }: Drive) {
  const reports = state.reports!
  if (++reports.batches % config.every !== 0) return
  const parts = Array.from({ length: config.workers }, (_, k) => joined(state.points[worker(k)]))
  reports.batchSize = nextBatch(parts, reports.batchSize, config as BatchTest)
}

export const batchSize = defineDriver({
  id: 'batch-size',
  summary:
    'The gradients of the parts of a batch, whose size grows as the noise of the gradient does relative to it. Reports ' +
    '`batchSize`, of the batch that is asked.',
  fields,
  points: ({ workers }) => ['mean', ...Array.from({ length: workers }, (_, k) => worker(k))],
  begin({ batch }, drive) {
    drive.state.reports = { batchSize: batch, batches: 0 }
    return ask(drive)
  },
  advance(config, drive, gradient) {
    const { state } = drive
    const k = state.shard + 1
    drive.copy(gradient, worker(state.shard))
    const piece = { text: 'x = select(k == 1, g, x + (g - x)/k)', scalars: () => ({ k }) }
    drive.run(piece, 'mean', { g: gradient }, { share: 1 / config.workers })
    state.shard = k % config.workers
    if (state.shard === 0) {
      grow(config, drive)
      drive.update(state.points.mean)
    }
    return ask(drive)
  },
  check: ({ batch, maximum, workers }) => [
    ...(batch < workers ? [{ field: 'batch', message: `expected an example for each of ${workers} workers` }] : []),
    ...(batch > maximum ? [{ field: 'maximum', message: `expected at least the first batch, ${batch}` }] : []),
  ],
})
