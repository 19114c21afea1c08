/** Bernstein, Wang, Azizzadenesheli, Anandkumar, "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018. */
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('What every element moves.', {
    default: 1e-4,
    min: 0,
    mutable: true,
    log: true,
    source: 'section 5',
  }),
  momentum: real('Decay of the mean of gradients whose sign is taken (Signum); 0 keeps none.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'algorithm 2: 0.9',
  }),
  weightDecay: real('Times lr and x, subtracted from x.', { default: 0, min: 0, mutable: true, source: 'algorithm 2' }),
}

export const method = gradientMethod<typeof fields>({
  id: 'sign-sgd',
  title: 'signSGD',
  summary: 'Steps by the sign of the gradient, or of its mean: Signum.',
  references: [
    {
      authors: 'J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar',
      title: 'signSGD: Compressed Optimisation for Non-Convex Problems',
      year: 2018,
      url: 'https://arxiv.org/abs/1802.04434',
    },
  ],
  fields,
  rule: ({ momentum, weightDecay }: PresetConfig<typeof fields>) => ({
    text: [
      ...(momentum > 0 ? ['m = momentum*m + (1 - momentum)*g'] : []),
      `x = x - lr*${weightDecay > 0 ? '(' : ''}sign(${momentum > 0 ? 'm' : 'g'})${weightDecay > 0 ? ' + weightDecay*x)' : ''}`,
    ].join('\n'),
    slots: { ...(momentum > 0 ? { m: { kind: 'tensor' as const } } : {}) },
    scalars: () => ({ momentum, weightDecay }),
  }),
  invariances: ['translation', 'gradient-scale'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, schedule: { id: 'linear', steps: 300 } },
      maxEvaluations: 300,
      target: 1e-4,
    },
  ],
})
