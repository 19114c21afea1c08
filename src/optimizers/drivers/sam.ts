/**
 * Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021.
 * Equation 2 gives the perturbation for a p-norm, equation 3 the gradient; section 4.1 the m-sharpness.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  rho: real('Radius of the neighbourhood whose worst point is asked.', {
    default: 0.05,
    min: 0,
    source: 'section 3.1',
  }),
  norm: field(
    z.union([z.literal('infinity'), z.number().min(1)]).default(2),
    'Norm of the neighbourhood, p: a number from 1, or "infinity".',
    { source: 'section 2' },
  ),
  eps: real('Added to the norm of the gradient when p is 2.', { default: 1e-12, min: 0, source: 'ours' }),
  shards: field(
    z.int().min(1).default(1),
    'Shards of a batch that are perturbed each on its own (m-sharpness). Every shard is a query pair with its own key.',
    { source: 'section 4.1' },
  ),
}
type Config = PartConfig<typeof fields>

/** Text for the worst point of the neighbourhood to first order: x = w + e, with e = 0 where the gradient is 0. */
function ascent({ rho, norm: p, eps }: Config): Piece {
  const scalars = { rho, eps }
  if (p === 'infinity') return perturb('rho*sign(g)', { rho })
  if (p === 2) return perturb('rho*g/(norm(g, all) + eps)', scalars)
  // The dual of the 1-norm is the largest element; equal ones share rho.
  if (p === 1)
    return perturb(
      'rho*sign(g)*largest/sum(largest, all)',
      { rho },
      'largest = select(abs(g) == max(abs(g), all), 1, 0)\n',
    )
  const q = p / (p - 1)
  // Relative to the largest element, so that no power over- or underflows.
  return perturb(
    'select(top > 0, rho*sign(g)*u^(q - 1)/sum(u^q, all)^(1/p), 0)',
    { rho, p, q },
    'top = max(abs(g), all)\nu = select(top > 0, abs(g)/top, 0)\n',
  )
}
const perturb = (e: string, scalars: Record<string, number>, before = ''): Piece => ({
  text: `${before}x = w + ${e}`,
  scalars: () => scalars,
  inputs: ['w'],
})

const mean = (shard: number): Piece => ({
  text: 'x = select(k == 1, g, x + (g - x)/k)',
  scalars: () => ({ k: shard + 1 }),
})

const ask = (drive: Drive, phase: 'ascent' | 'descent'): Ask => {
  drive.state.phase = phase
  return { point: phase === 'ascent' ? 'x' : 'perturbed', purpose: phase, sample: `.${drive.state.shard}` }
}

export const sam = defineDriver({
  id: 'sam',
  summary: 'The rule gets the gradient at the worst point near the iterate: two gradients on the same sample per step.',
  fields,
  points: ({ shards }) => (shards > 1 ? ['perturbed', 'mean'] : ['perturbed']),
  begin: (_, drive) => ask(drive, 'ascent'),
  advance(config, drive, gradient) {
    const { state } = drive
    if (state.phase === 'ascent') {
      drive.run(ascent(config), 'perturbed', { g: gradient, w: drive.x }, { project: true })
      return ask(drive, 'descent')
    }
    if (config.shards === 1) {
      drive.update(gradient)
      return ask(drive, 'ascent')
    }
    drive.run(mean(state.shard), 'mean', { g: gradient })
    state.shard = (state.shard + 1) % config.shards
    if (state.shard === 0) drive.update(state.points.mean)
    return ask(drive, 'ascent')
  },
})
