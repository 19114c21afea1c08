/** Reddi, Kale, Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, algorithm 2 (AMSGrad) and section 4 (AdamNc). */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { adamFields, momentum, ratio } from './adam.js'

const fields = {
  ...adamFields,
  variant: field(
    z.enum(['amsgrad', 'adamnc']).default('amsgrad'),
    'amsgrad: divides by the largest second moment so far. adamnc: by the mean of all squared gradients (beta2 = 1 - 1/t).',
    { source: 'section 4' },
  ),
  biasCorrection: field(
    z.enum(['none', 'before', 'after']).default('none'),
    'Corrects the moments for their start: not at all, the second before its maximum (optax), or after it (torch).',
    { source: 'algorithm 2 has none' },
  ),
}
type Config = PresetConfig<typeof fields>

function rule(config: Config) {
  const { beta1, beta2, beta1Decay, eps, weightDecay, variant, biasCorrection, ball } = config
  const nc = variant === 'adamnc'
  const v = nc
    ? ['v = v + (g^2 - v)/t', 'root = sqrt(v)']
    : [
        'v = beta2*v + (1 - beta2)*g^2',
        `vhat = max(vhat, ${biasCorrection === 'before' ? 'v/(1 - beta2^t)' : 'v'})`,
        `root = sqrt(${biasCorrection === 'after' ? 'vhat/(1 - beta2^t)' : 'vhat'})`,
      ]
  const m = biasCorrection === 'none' ? 'm' : '(m/(1 - beta1^t))'
  return {
    text: [
      ...(weightDecay > 0 ? ['g = g + weightDecay*x'] : []),
      momentum(beta1Decay),
      ...v,
      `x = x - lr*${ratio(m, 'root', eps)}`,
      ...(ball === undefined ? [] : ['metric = root']),
    ].join('\n'),
    slots: {
      m: { kind: 'tensor' as const },
      v: { kind: 'tensor' as const },
      ...(nc ? {} : { vhat: { kind: 'tensor' as const } }),
    },
    scalars: () => ({ beta1, beta2, beta1Decay, eps, weightDecay }),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'amsgrad',
  title: 'AMSGrad',
  summary: 'Adam whose second moment never forgets: convergent on the online problems where Adam is not.',
  references: [
    {
      authors: 'S. J. Reddi, S. Kale, S. Kumar',
      title: 'On the Convergence of Adam and Beyond',
      year: 2018,
      url: 'https://openreview.net/forum?id=ryQu7f-RZ',
    },
  ],
  fields,
  rule,
  check: ({ variant, biasCorrection }) =>
    variant === 'adamnc' && biasCorrection !== 'none'
      ? [
          {
            path: 'config.biasCorrection',
            message: 'adamnc is a plain mean and has nothing to correct; expected "none"',
          },
        ]
      : [],
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, biasCorrection: 'before' },
      maxEvaluations: 500,
      target: 1e-6,
    },
  ],
})
