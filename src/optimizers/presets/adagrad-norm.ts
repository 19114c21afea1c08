/**
 * Ward, Wu, Bottou, "AdaGrad Stepsizes: Sharp Convergence Over Nonconvex Landscapes", ICML 2019, algorithm 1; analysed
 * for noise that grows with the gradient by Attia, Koren, "SGD with AdaGrad Stepsizes", ICML 2023.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Factor on the step size, eta: with gamma 0, the length of the first step.', {
    default: 1,
    min: 0,
    mutable: true,
    log: true,
    source: 'Attia, Koren 2023, section 2',
  }),
  gamma: real('Root of the sum of squared gradient norms at the start.', { default: 1e-8, min: 0, source: 'ours' }),
  lagged: field(z.boolean().default(false), 'Leaves the gradient of a step out of the step size of that step.', {
    source: 'Attia, Koren 2023, section 1.2',
  }),
}

export const adagradNorm = {
  id: 'adagrad-norm',
  title: 'AdaGrad-Norm',
  summary:
    'SGD with one step size that tunes itself: eta over the root of the sum of squared gradient norms. ' +
    'The averaging `ergodic` serves the mean of iterates, for convex problems.',
  references: [
    {
      authors: 'A. Attia, T. Koren',
      title:
        'SGD with AdaGrad Stepsizes: Full Adaptivity with High Probability to Unknown Parameters, Unbounded Gradients and Affine Variance',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.08783',
    },
    {
      authors: 'R. Ward, X. Wu, L. Bottou',
      title: 'AdaGrad Stepsizes: Sharp Convergence Over Nonconvex Landscapes',
      year: 2019,
      url: 'https://arxiv.org/abs/1806.01811',
    },
  ],
  fields,
  rule: ({ gamma, lagged }: PresetConfig<typeof fields>) => {
    const sum = 'S = S + norm(g, all)^2'
    const eta = 'eta = S > 0 ? lr/sqrt(S) : 0'
    return {
      text: [...(lagged ? [eta, sum] : [sum, eta]), 'x = x - eta*g', 'report eta = eta'].join('\n'),
      slots: { S: { kind: 'global' as const, initial: gamma ** 2 } },
    }
  },
  check: ({ lagged, gamma }) =>
    lagged && gamma === 0
      ? [{ path: 'config.gamma', message: 'lagged divides by gamma in the first step; expected more than 0' }]
      : [],
  invariances: ['translation'],
  recipes: [{ problem: 'quadratic', config: { learningRate: 3 }, maxEvaluations: 500, target: 1e-6 }],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(adagradNorm)
