/**
 * Variance reduction by recursion: Fang, Li, Lin, Zhang, "SPIDER", NeurIPS 2018; Cutkosky, Orabona, "STORM", NeurIPS 2019.
 * The rule gets the gradient at the iterate, and as its input `past` the gradient of the same sample at the iterate before.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { PartConfig } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  period: field(
    z.int().min(1).optional(),
    'Steps from one anchor to the next: a step with one gradient, of a big batch, whose purpose is "anchor". Without it, ' +
      'the first step is the only one.',
    { source: 'SPIDER, algorithm 1: q' },
  ),
}
type Config = PartConfig<typeof fields>

function ask({ state }: Drive, phase: 'anchor' | 'step' | 'previous'): Ask {
  state.phase = phase
  return { point: phase === 'previous' ? 'previous' : 'x', purpose: phase }
}

export const previous = defineDriver({
  id: 'previous',
  summary: 'The gradients of one sample at the iterate and at the one before it, for rules that reduce variance.',
  fields,
  points: () => ['previous', 'gradient', 'past'],
  begin: (_, drive) => ask(drive, 'anchor'),
  advance({ period }: Config, drive, told) {
    const { state } = drive
    if (state.phase === 'step') {
      drive.copy(told, 'gradient')
      return ask(drive, 'previous')
    }
    const anchor = state.phase === 'anchor'
    drive.copy(told, 'past')
    drive.copy(drive.x, 'previous')
    drive.update(anchor ? told : state.points.gradient)
    // Steps since the last anchor.
    state.shard = anchor ? 1 : state.shard + 1
    return ask(drive, state.shard === period ? 'anchor' : 'step')
  },
})
