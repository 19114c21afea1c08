/** Gradients of several small batches, added up for one step: a large batch where memory is short. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  batches: field(z.int().min(1), 'Batches of a step. Each is a query with its own sample key.'),
  reduction: field(z.enum(['mean', 'sum']).default('mean'), 'What the rule gets of their gradients.', {
    source: 'optax.MultiSteps',
  }),
}

const ask = ({ state }: Drive): Ask => ({ point: 'x', purpose: 'batch', sample: `.${state.shard}` })

export const accumulate = defineDriver({
  id: 'accumulate',
  summary: 'The gradients of several batches at the iterate, of which the rule gets the mean or the sum.',
  fields,
  points: () => ['sum'],
  begin: (_, drive) => ask(drive),
  advance({ batches, reduction }, drive, gradient) {
    const { state } = drive
    const share = reduction === 'mean' ? 1 / batches : 1
    const scalars = () => ({ first: Number(state.shard === 0), share })
    drive.run({ text: 'x = (first ? 0 : x) + share*g', scalars }, 'sum', { g: gradient }, { share })
    state.shard = (state.shard + 1) % batches
    if (state.shard === 0) drive.update(state.points.sum)
    return ask(drive)
  },
})
