/** Zhang, Lucas, Hinton, Ba, "Lookahead Optimizer: k steps forward, 1 step back", NeurIPS 2019. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At, Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { defineTransform } from './transform.js'

const fields = {
  k: field(z.int().min(1).default(5), 'Steps of the rule between two synchronizations.', {
    source: 'michaelrzhang/lookahead',
  }),
  alpha: field(
    z.union([z.literal('adaptive'), z.number().gt(0).max(1)]).default(0.5),
    'How far the slow weights move towards the fast ones; 1 is the rule alone. "adaptive": to the minimum on the way, ' +
      'with a diagonal curvature from the gradients of the first and the last of the k steps.',
    { source: 'michaelrzhang/lookahead' },
  ),
  alphaLow: real('Smallest adaptive alpha.', { default: 0.1, above: 0, max: 1, source: 'ours' }),
  policy: field(
    z.enum(['keep', 'reset', 'average']).default('keep'),
    'What a synchronization does to the momentum, the first slot of the rule that is shaped like x: nothing, sets it to ' +
      '0, or averages it, with alpha, with that after the synchronization before.',
    { source: 'michaelrzhang/lookahead' },
  ),
}
type Config = PartConfig<typeof fields>

const scalars =
  ({ k, alpha, alphaLow }: Config) =>
  ({ t }: At): Record<string, number> => ({
    begins: Number((t - 1) % k === 0),
    ends: Number(t % k === 0),
    ...(alpha === 'adaptive' ? { low: alphaLow } : { alpha }),
  })

/** Ahead of a step: the slow weights at the start, and for the adaptive alpha the gradient at them and the curvature. */
function piece(config: Config): Piece {
  const adaptive = config.alpha === 'adaptive'
  const lines = [
    'slope = select(begins, g, slope)',
    'curvature = select(x == slow, 0, abs((g - slope)/select(x == slow, 1, x - slow)))',
  ]
  return {
    text: ['slow = select(t == 1, x, slow)', ...(adaptive ? lines : [])].join('\n'),
    slots: { slow: { kind: 'tensor' }, ...(adaptive ? { slope: { kind: 'tensor' as const } } : {}) },
    scalars: scalars(config),
    answer: 'slow',
  }
}

export const lookahead = defineTransform({
  id: 'lookahead',
  summary: 'After every k steps of the rule, goes back to a point on the way from where they began: the slow weights.',
  fields,
  piece,
  after: ({ alpha }, project) => ({
    text: [
      ...(alpha === 'adaptive'
        ? [
            'bend = sum(curvature*(x - slow)^2, all)',
            'fall = sum((slow - x)*slope, all)',
            'alpha = select(bend > 0, clip(fall/select(bend > 0, bend, 1), low, 1), 1)',
            'report alpha = alpha',
          ]
        : []),
      'slow = select(ends, (1 - alpha)*slow + alpha*x, slow)',
      ...project('slow'),
      'x = select(ends, slow, x)',
    ].join('\n'),
  }),
  state(config, rule) {
    const [momentum] = Object.entries(rule.slots ?? {}).flatMap(([name, { kind }]) => (kind === 'tensor' ? [name] : []))
    if (config.policy === 'keep' || momentum === undefined) return undefined
    if (config.policy === 'reset')
      return { text: `${momentum} = select(ends, 0, ${momentum})`, scalars: scalars(config) }
    return {
      text: [
        `slowMomentum = select(ends, (1 - alpha)*slowMomentum + alpha*${momentum}, slowMomentum)`,
        `${momentum} = select(ends, slowMomentum, ${momentum})`,
      ].join('\n'),
      slots: { slowMomentum: { kind: 'tensor' } },
      scalars: scalars(config),
    }
  },
  check: ({ alpha, policy }) =>
    alpha === 'adaptive' && policy === 'average'
      ? [{ field: 'policy', message: 'averages with an alpha that is a number; it is "adaptive"' }]
      : [],
})
