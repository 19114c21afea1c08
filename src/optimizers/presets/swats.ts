/** Keskar, Socher, "Improving Generalization Performance by Switching from Adam to SGD", 2017, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { adamFields, ratio } from './adam.js'

const { learningRate, beta1, beta2 } = adamFields
const fields = {
  learningRate,
  beta1,
  beta2,
  eps: real('Added to the root of the second moment.', { default: 1e-9, min: 0, source: 'algorithm 1' }),
  tolerance: real('How near the rate of a step must be to its corrected mean, for the switch.', {
    default: 1e-9,
    above: 0,
    source: 'algorithm 1',
  }),
  relative: field(z.boolean().default(false), 'The tolerance is relative to the rate.', { source: 'ours' }),
  amsgrad: field(z.boolean().default(false), 'Divides by the largest second moment so far.', { source: 'section 4' }),
  nesterov: field(z.boolean().default(false), 'SGD looks ahead along its momentum.', { source: 'section 4' }),
}
type Config = PresetConfig<typeof fields>

function rule({ beta1, beta2, eps, tolerance, relative, amsgrad, nesterov }: Config) {
  const global = { kind: 'global' as const }
  const tensor = { kind: 'tensor' as const }
  const root = amsgrad ? 'sqrt(vmax)' : 'sqrt(v)'
  return {
    text: [
      'm = sgd ? m : beta1*m + (1 - beta1)*g',
      'v = sgd ? v : beta2*v + (1 - beta2)*g^2',
      ...(amsgrad ? ['vmax = max(vmax, v)'] : []),
      'velocity = sgd ? beta1*velocity + g : velocity',
      `p = -(lr*sqrt(1 - beta2^t)/(1 - beta1^t)*${ratio('m', root, eps)})`,
      `x = x + (sgd ? -((1 - beta1)*rate*${nesterov ? '(g + beta1*velocity)' : 'velocity'}) : p)`,
      // The rate at which the projection of the SGD step on p is p; of Adam's steps alone.
      'pg = dot(p, g, all)',
      'gamma = pg == 0 ? 0 : dot(p, p, all)/(-pg)',
      'measured = not sgd and pg != 0',
      'lambda = measured ? beta2*lambda + (1 - beta2)*gamma : lambda',
      'corrected = lambda/(1 - beta2^t)',
      `close = abs(corrected - gamma) < tolerance${relative ? '*abs(gamma)' : ''}`,
      'switching = measured and t > 1 and close and corrected > 0',
      'rate = switching ? corrected : rate',
      'switchedAt = switching ? t : switchedAt',
      'sgd = sgd or switching',
      ...['sgd', 'gamma', 'rate', 'switchedAt'].map((name) => `report ${name} = ${name}`),
    ].join('\n'),
    slots: {
      ...{ m: tensor, v: tensor, velocity: tensor, ...(amsgrad ? { vmax: tensor } : {}) },
      ...{ sgd: global, lambda: global, rate: global, switchedAt: global },
    },
    scalars: () => ({ beta1, beta2, eps, tolerance }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'swats',
  title: 'SWATS',
  summary:
    'Begins as Adam and switches by itself to SGD with momentum, at a rate measured from the steps of Adam. Reports the ' +
    'phase, the rate and the step of the switch.',
  references: [
    {
      authors: 'N. S. Keskar, R. Socher',
      title: 'Improving Generalization Performance by Switching from Adam to SGD',
      year: 2017,
      url: 'https://arxiv.org/abs/1712.07628',
    },
  ],
  fields,
  rule,
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 500, target: 1e-6 }],
})
