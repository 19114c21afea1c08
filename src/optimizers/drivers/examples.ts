/**
 * The order of the examples of a finite sum. Gradient balancing: Lu, Guo, De Sa, "GraB: Finding Provably Better Data
 * Permutations than Random Reshuffling", NeurIPS 2022; that no permutation does better: Cha, Lee, Yun,
 * "Tighter Lower Bounds for Shuffling SGD: Random Permutations and Beyond", ICML 2023.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { PartConfig } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  count: field(
    z.int().min(1),
    'Examples, or batches of them, n. The sample key of a query is "e" and the number from 0.',
  ),
  order: field(
    z.enum(['with-replacement', 'random-reshuffle', 'shuffle-once', 'grab']).default('random-reshuffle'),
    'Of the examples of an epoch: drawn independently; a new permutation each; one permutation for all; or that which ' +
      'keeps the sums of the gradients of the epoch before balanced.',
    { source: 'ours' },
  ),
  first: field(
    z.array(z.int().min(0)).optional(),
    'The permutation of the first epoch, and with shuffle-once of all; without it, a random one.',
  ),
}
type Config = PartConfig<typeof fields>

const shuffled = (rng: Rng, count: number): number[] => {
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(rng.uniform() * (i + 1))
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return order
}

const ask = ({ state }: Drive): Ask => ({ point: 'x', purpose: 'step', example: state.orders!.now[state.shard] })

/**
 * Balances the gradient of the example at hand: adds it, less the mean of the epoch before, to the sum or subtracts it,
 * whichever keeps the sum short. What was added comes early in the next epoch, what was subtracted late and backwards.
 */
function balance({ count }: Config, { state }: Drive, gradient: Tensors) {
  const { sum, stale, fresh } = state.points
  let along = 0
  for (const [name, g] of Object.entries(gradient))
    for (let i = 0; i < g.length; i++) along += sum[name][i] * (g[i] - stale[name][i])
  // |s + c| < |s - c| where <s, c> < 0.
  const sign = along < 0 ? 1 : -1
  for (const [name, g] of Object.entries(gradient))
    for (let i = 0; i < g.length; i++) {
      sum[name][i] += sign * (g[i] - stale[name][i])
      fresh[name][i] += g[i] / count
    }
  const { now, early, late } = state.orders!
  ;(sign > 0 ? early : late).push(now[state.shard])
}

/** Sets the order of the next epoch. */
function turn({ count, order }: Config, { state, rng }: Drive) {
  const orders = state.orders!
  if (order === 'with-replacement') orders.now = draws(rng, count)
  if (order === 'random-reshuffle') orders.now = shuffled(rng, count)
  if (order !== 'grab') return
  orders.now = [...orders.early, ...orders.late.reverse()]
  orders.early = []
  orders.late = []
  const { sum, stale, fresh } = state.points
  for (const name of Object.keys(sum)) {
    stale[name].set(fresh[name])
    fresh[name].fill(0)
    sum[name].fill(0)
  }
}

const draws = (rng: Rng, count: number): number[] =>
  Array.from({ length: count }, () => Math.floor(rng.uniform() * count))

export const examples = defineDriver({
  id: 'examples',
  summary: 'One gradient at the iterate per step, of the example whose turn it is.',
  fields,
  points: ({ order }) => (order === 'grab' ? ['sum', 'stale', 'fresh'] : []),
  begin({ count, order, first }, drive) {
    const now = first ?? (order === 'with-replacement' ? draws(drive.rng, count) : shuffled(drive.rng, count))
    drive.state.orders = { now: [...now], early: [], late: [] }
    return ask(drive)
  },
  advance(config, drive, gradient) {
    const { state } = drive
    if (config.order === 'grab') balance(config, drive, gradient)
    drive.update(gradient)
    state.shard = (state.shard + 1) % config.count
    if (state.shard === 0) turn(config, drive)
    return ask(drive)
  },
  check({ count, first }) {
    if (!first || (first.length === count && new Set(first).size === count && Math.max(...first) < count)) return []
    return [{ field: 'first', message: `expected each number from 0 to ${count - 1} once` }]
  },
})
