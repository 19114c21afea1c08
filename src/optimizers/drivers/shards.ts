/** One batch in equal shards, as data-parallel workers compute it: the rule gets the mean of their gradients. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  shards: field(z.int().min(2), 'Shards of a batch. Every shard is a query with its own sample key.'),
}

const ask = ({ state }: Drive): Ask => ({ point: 'x', purpose: 'shard', sample: `.${state.shard}` })

/** Welford's recursions: no cancellation where the mean is large. `k` counts the shards, `m` is the mean before. */
const MEAN = 'x = select(k == 1, g, x + (g - x)/k)'
const SPREAD = 'x = select(k == 1, 0, x + ((k - 1)/k*(g - m)^2 - x)/k)'

export const shards = defineDriver({
  id: 'shards',
  summary: 'The gradients of the shards of a batch at the iterate. Keeps `spread`, their variance element by element.',
  fields,
  points: () => ['mean', 'spread'],
  begin: (_, drive) => ask(drive),
  advance(config, drive, gradient) {
    const { state } = drive
    const k = state.shard + 1
    const { mean } = state.points
    const scalars = () => ({ k })
    drive.run({ text: SPREAD, scalars, inputs: ['m'] }, 'spread', { g: gradient, m: mean })
    drive.run({ text: MEAN, scalars }, 'mean', { g: gradient })
    state.shard = k % config.shards
    if (state.shard === 0) drive.update(mean)
    return ask(drive)
  },
})
