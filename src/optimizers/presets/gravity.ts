/** Bahrami, Pourmohamadi Zadeh, "Gravity Optimizer: a Kinematic Approach on Optimization in Deep Learning", 2021. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.1, min: 0, mutable: true, log: true, source: 'section 3' }),
  alpha: real('Deviation of the initial velocity, times the learning rate.', {
    default: 0.01,
    min: 0,
    source: 'section 3',
  }),
  beta: real('Decay of the velocity in the long run.', { default: 0.9, min: 0, below: 1, source: 'section 3' }),
  initZero: field(z.boolean().default(false), 'Starts with no velocity.', { source: 'ours' }),
  t0: field(z.int().min(0).max(1).default(1), 'Number of the first step in the decay of the velocity.', {
    source: 'dariush-bahrami/gravity.optimizer counts from 1; some ports from 0',
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'gravity',
  title: 'Gravity',
  summary: 'Momentum of gradients that are damped the more, the nearer they are to the largest of their tensor.',
  references: [
    {
      authors: 'D. Bahrami, S. Pourmohamadi Zadeh',
      title: 'Gravity Optimizer: a Kinematic Approach on Optimization in Deep Learning',
      year: 2021,
      url: 'https://arxiv.org/abs/2101.09192',
    },
  ],
  fields,
  rule: ({ learningRate, alpha, beta, initZero, t0 }: PresetConfig<typeof fields>) => ({
    text: [
      ...(initZero ? [] : ['V = t == 1 ? deviation*normal() : V']),
      // 1/m is the largest magnitude of the tensor; where all is 0 so is zeta.
      'zeta = g/(1 + (g*max(abs(g)))^2)',
      'n = t - 1 + t0',
      'betahat = (beta*n + 1)/(n + 2)',
      'V = betahat*V + (1 - betahat)*zeta',
      'x = x - lr*V',
      'report betahat = betahat',
    ].join('\n'),
    slots: { V: { kind: 'tensor' } },
    scalars: () => ({ beta, t0, ...(initZero ? {} : { deviation: learningRate > 0 ? alpha / learningRate : 0 }) }),
  }),
  invariances: ['translation'],
  // From 52: gradients above 1 are damped by their cube, which makes the way down from far a long one.
  recipes: [{ problem: 'quadratic', config: { learningRate: 0.1 }, maxEvaluations: 1000, target: 42 }],
})
