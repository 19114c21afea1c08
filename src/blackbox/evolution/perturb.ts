/**
 * Explore: changed parameters of a training run.
 * M. Jaderberg et al., arXiv:1711.09846, 4.1.1 (perturb, resample), with what Ray Tune does where the paper is silent.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params } from '../../core/space.js'
import type { Axis, Encoding } from '../space/encoding.js'

const factor = z.number().positive()
export const perturbFields = {
  decrease: field(factor.max(1).default(0.8), 'One of two factors of a number that is perturbed.', {
    source: 'arXiv:1711.09846 (4.1.1)',
  }),
  increase: field(factor.min(1).default(1.2), 'The other factor.', { source: 'arXiv:1711.09846 (4.1.1)' }),
  resampleProbability: field(
    z.number().min(0).max(1).default(0.25),
    'Probability of a parameter to be drawn anew rather than perturbed.',
    { source: 'Ray Tune' },
  ),
}
export type PerturbConfig = { decrease: number; increase: number; resampleProbability: number }

/** The coordinate of a perturbed value: a number times a factor, the neighbour of an ordinal; a category stays. */
function perturbedAxis(axis: Axis, u: number, { decrease, increase }: PerturbConfig, rng: Rng): number {
  const up = rng.uniform() < 0.5
  const { parameter, size } = axis
  if (parameter.type === 'categorical' || size === 1) return u
  if (parameter.type === 'ordinal') return Math.min(Math.max(u + (up ? 1 : -1) / size, 0.5 / size), 1 - 0.5 / size)
  const { low, high } = parameter as { low: number; high: number }
  const value = (axis.decode(u) as number) * (up ? increase : decrease)
  return axis.encode(Math.min(Math.max(value, low), high))
}

/** Every parameter resampled or perturbed; one that a changed parent wakes is uniform. */
export function perturbed(encoding: Encoding, config: PerturbConfig, params: Params, rng: Rng): Params {
  const { u, active } = encoding.encode(params)
  return encoding.decode(
    u.map((x, i) => {
      const fresh = rng.uniform() < config.resampleProbability || !active[i]
      return fresh ? rng.uniform() : perturbedAxis(encoding.axes[i], x, config, rng)
    }),
  )
}
