/**
 * Kreisler, Ivgi, Hinder, Carmon, "Accelerated Parameter-Free Stochastic Optimization", COLT 2024: U-DoG (algorithm 1,
 * without the logarithmic factors of its proof) and A-DoG (section 5).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At, Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import type { Projector } from '../projection.js'

const fields = {
  learningRate: real('Factor on the step size that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'ours',
  }),
  variant: field(
    z.enum(['u-dog', 'a-dog']).default('u-dog'),
    'u-dog: two gradients for one move, each counts as a step. a-dog: one, an accelerated heuristic.',
    { source: 'sections 3 and 5' },
  ),
  repsRel: real('First movement relative to 1 + |x0|.', { default: 1e-6, above: 0, source: 'section 5' }),
  reps: field(z.number().positive().optional(), 'First movement, in place of the one from repsRel.', {
    source: 'algorithm 1',
  }),
  alpha: real('Share of the growing weight that a-dog uses.', { default: 0.5, above: 0, max: 1, source: 'section 5' }),
  granularity: field(z.enum(['all', 'tensor']).default('all'), 'One step size for all, or one per tensor.', {
    source: 'section 5',
  }),
  eps: real('Added to the root of the sum of a-dog.', { default: 1e-8, min: 0, source: 'section 5' }),
}
type Config = PresetConfig<typeof fields>

const tensor = { kind: 'tensor' as const }

function rule({ variant, repsRel, reps, alpha, granularity, eps }: Config, _: unknown, project: Projector): Piece {
  const each = granularity === 'tensor'
  const norm = (of: string) => (each ? `norm(${of})` : `norm(${of}, all)`)
  const number = { kind: each ? ('scalar' as const) : ('global' as const) }
  const begin = [
    'x0 = t == 1 ? x : x0',
    `start = t == 1 ? ${reps === undefined ? `repsRel*(1 + ${norm('x0')})` : 'reps'} : 0`,
    'rbar = max(rbar, start)',
    // The sum of all rbar, which only the first step begins.
    'R = max(R, start)',
  ]
  const report = `report rbar = ${each ? 'mean(rbar, all)' : 'rbar'}`
  const scalars = ({ t }: At) => ({
    ...{ alphaConst: alpha, eps, ...(reps === undefined ? { repsRel } : { reps }) },
    ...(variant === 'u-dog' ? { first: t % 2 } : {}),
  })
  if (variant === 'a-dog')
    return {
      text: [
        ...begin,
        'w = t == 1 ? x : w',
        'alpha = max(1, alphaConst*R/rbar)',
        `G = G + alpha^2*${norm('g')}^2`,
        'eta = lr*rbar/(sqrt(G) + eps)',
        'w = w - alpha*eta*g',
        ...project('w'),
        'answer = x - eta*g',
        ...project('answer'),
        `rbar = max(rbar, ${norm('w - x0')})`,
        'R = R + rbar',
        'alpha = max(1, alphaConst*R/rbar)',
        'x = (1 - 1/alpha)*answer + w/alpha',
        report,
      ].join('\n'),
      slots: { x0: tensor, w: tensor, answer: tensor, rbar: number, R: number, G: number },
      answer: 'answer',
      scalars,
    }
  // omega = alpha*rbar = R; `answer` is S/W before a move and after it.
  return {
    text: [
      ...begin,
      'y = t == 1 ? x : y',
      'answer = t == 1 ? x : answer',
      'W = max(W, start)',
      'alpha = R/rbar',
      // The first gradient m, at xtilde, leads to xhat; the second, there, moves y.
      `G = t == 1 ? alpha^2*${norm('g')}^2 : G + (first ? 0 : alpha^2*${norm('g - m')}^2)`,
      'm = first ? g : m',
      'moved = y - (G > 0 ? lr*alpha*rbar/sqrt(G) : 0)*g',
      ...project('moved'),
      'lead = first ? moved : lead',
      'y = first ? y : moved',
      'xhat = answer + R/W*(lead - answer)',
      'answer = first ? answer : xhat',
      `rbar = first ? rbar : max(rbar, max(${norm('y - x0')}, ${norm('lead - x0')}))`,
      'R = first ? R : R + rbar',
      'W = first ? W : W + R',
      'x = first ? xhat : answer + R/W*(y - answer)',
      report,
    ].join('\n'),
    slots: {
      ...{ x0: tensor, y: tensor, lead: tensor, m: tensor, answer: tensor },
      ...{ rbar: number, R: number, W: number, G: number },
    },
    answer: 'answer',
    scalars,
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'u-dog',
  title: 'U-DoG',
  summary:
    'Accelerated gradient descent without a learning rate: steps of the distance travelled over gradients, at averaged points.',
  references: [
    {
      authors: 'I. Kreisler, M. Ivgi, O. Hinder, Y. Carmon',
      title: 'Accelerated Parameter-Free Stochastic Optimization',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.00666',
    },
  ],
  fields,
  rule,
  recipes: [
    { problem: 'quadratic', maxEvaluations: 1000, target: 1e-3 },
    { problem: 'quadratic', config: { variant: 'a-dog' }, maxEvaluations: 1000, target: 1e-3 },
  ],
})
