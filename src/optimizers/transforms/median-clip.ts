/** Schaipp, Garrigos, Simsekli, Gower, "SGD with Clipping is Secretly Estimating the Median Gradient", 2024. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { defineTransform } from './transform.js'

const fields = {
  loss: field(
    z.enum(['vector', 'component', 'huber', 'squared']).default('vector'),
    'Whose minimizer over all gradients is tracked: the 2-norm of the error (median of vectors, VClip), the 1-norm ' +
      '(median of components, CClip), the Huber loss of the norm, or the square (mean: momentum).',
    { source: 'ours' },
  ),
  mu: real('Step size of the stochastic proximal point method: what an estimate moves at most, for the medians.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  tau: real('Where the Huber loss turns from a square into a line.', { default: 1, above: 0, source: 'ours' }),
  memory: field(z.boolean().default(true), 'Goes on from the last estimate; without it from 0, which is clipping.', {
    source: 'ours',
  }),
  per: field(z.enum(['all', 'tensor']).default('all'), 'What shares a norm: all tensors, or each.', { source: 'ours' }),
}

/** Share of the way from the last estimate to the gradient, `e` in length; for components, the way itself. */
const share = {
  vector: 'min(1, mu/max(length, mu))',
  huber: 'min(mu/(1 + mu), mu*tau/max(length, tau))',
  squared: 'mu/(1 + mu)',
}

export const medianClip = defineTransform({
  id: 'median-clip',
  summary:
    'Replaces the gradient by a running estimate of its median over the iterations, which heavy tails cannot move far.',
  fields,
  piece({ loss, mu, tau, memory, per }: PartConfig<typeof fields>) {
    const way = memory ? 'g - m' : 'g'
    const lines =
      loss === 'component'
        ? [`d = clip(${way}, -mu, mu)`]
        : [
            `e = ${way}`,
            ...(loss === 'squared' ? [] : [`length = norm(e${per === 'all' ? ', all' : ''})`]),
            `d = ${share[loss]}*e`,
          ]
    return {
      text: [...lines, ...(memory ? ['m = m + d', 'g = m'] : ['g = d'])].join('\n'),
      slots: memory ? { m: { kind: 'tensor' as const } } : undefined,
      scalars: () => ({ mu, tau }),
    }
  },
})
