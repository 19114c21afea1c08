/**
 * Ivgi, Hinder, Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule", ICML 2023:
 * equation 1 (DoG), section 3.3 (T-DoG), section 4 and appendix (L-DoG, per tensor; polynomial-decay averaging).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Factor c on the step size that the method finds by itself.', {
    default: 1,
    min: 0,
    mutable: true,
    source: 'section 4',
  }),
  variant: field(
    z.enum(['dog', 'ldog', 'tdog']).default('dog'),
    'dog: one step size. ldog: one per tensor. tdog: the smaller one of the theory.',
    { source: 'sections 2 to 4' },
  ),
  repsRel: real('First movement relative to 1 + |x0|; 1e-4 with batch normalization.', {
    default: 1e-6,
    above: 0,
    source: 'section 4',
  }),
  eps: real('Added to the sum of squared gradient norms.', { default: 1e-8, min: 0, source: 'formll/dog' }),
  initialRate: field(
    z.number().positive().optional(),
    'Step size of the first step, in place of the one from repsRel.',
    {
      source: 'formll/dog',
    },
  ),
  weightDecay: real('Times x, added to the gradient.', { default: 0, min: 0, mutable: true, source: 'formll/dog' }),
  delta: real('Probability that the bound of tdog may fail with.', {
    default: 0.01,
    above: 0,
    below: 1,
    source: 'section 3.3',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({ variant, repsRel, eps, initialRate, weightDecay, delta }: Config) {
  const each = variant === 'ldog'
  const norm = (of: string) => (each ? `norm(${of})` : `norm(${of}, all)`)
  const kind = each ? ('scalar' as const) : ('global' as const)
  const tdog = variant === 'tdog'
  // Steps of the paper count from 0. G of tdog holds the gradients before this one; l is the largest norm so far.
  const theory = [
    'first = t == 1 ? n : first',
    'largest = max(largest, n)',
    'G = G + n^2',
    'logs = 1 + log(1 + (first > 0 ? (t - 1)*(largest/first)^2 : 0))',
    'theta = log(60*log(6*max(t - 1, 1))/delta)',
    'root = 8^2*theta*logs*sqrt(G - n^2 + 16*largest^2)',
  ]
  const report = (name: string) => `report ${name} = ${each ? `mean(${name}, all)` : name}`
  return {
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      'x0 = t == 1 ? x : x0',
      `rbar = max(rbar, t == 1 ? repsRel*(1 + ${norm('x')}) : ${norm('x - x0')})`,
      `n = ${norm('g')}`,
      ...(tdog ? theory : ['G = G + n^2', 'root = sqrt(G)']),
      `eta = lr*(root > 0 ? rbar/root : 0)`,
      ...(initialRate === undefined ? [] : ['eta = t == 1 ? initialRate : eta']),
      'x = x - eta*g',
      report('eta'),
      report('rbar'),
    ].join('\n'),
    slots: {
      x0: { kind: 'tensor' as const },
      rbar: { kind },
      G: { kind, initial: tdog ? 0 : eps },
      ...(tdog ? { first: { kind }, largest: { kind } } : {}),
    },
    scalars: () => ({ repsRel, weightDecay, delta, ...(initialRate === undefined ? {} : { initialRate }) }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'dog',
  title: 'DoG',
  summary:
    'SGD whose step size is the distance travelled over the root of the sum of squared gradient norms: no rate to set.',
  references: [
    {
      authors: 'M. Ivgi, O. Hinder, Y. Carmon',
      title: "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule",
      year: 2023,
      url: 'https://arxiv.org/abs/2302.12022',
    },
  ],
  fields,
  defaults: { averaging: { id: 'polynomial', gamma: 8 } },
  rule,
  recipes: [{ problem: 'quadratic', maxEvaluations: 500, target: 1e-3 }],
})
