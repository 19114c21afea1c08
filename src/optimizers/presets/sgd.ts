/**
 * Stochastic gradient descent with heavy-ball momentum (Polyak 1964) or Nesterov's, in the form of Sutskever et al. 2013
 * that needs the gradient at x only, as in torch.optim.SGD.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { At } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.001, min: 0, mutable: true, log: true, source: 'torch.optim.SGD' }),
  momentum: real('Weight of the past direction; 0 keeps no state.', { default: 0, min: 0, source: 'torch.optim.SGD' }),
  dampening: real('Share of the gradient kept out of the momentum.', { default: 0, max: 1, source: 'torch.optim.SGD' }),
  nesterov: field(z.boolean().default(false), 'Looks ahead along the momentum.', { source: 'torch.optim.SGD' }),
  resetMomentum: field(z.boolean().default(false), 'Begins each cycle of the schedule without momentum.', {
    source: 'SGDR, section 3, keeps it',
  }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'torch.optim.SGD',
  }),
}
type Config = PresetConfig<typeof fields>

function rule({ momentum, dampening, nesterov, resetMomentum, weightDecay }: Config) {
  const decay = weightDecay > 0 ? ['g = g + weightDecay*x'] : []
  if (momentum === 0) return { text: [...decay, 'x = x - lr*g'].join('\n'), scalars: () => ({ weightDecay }) }
  const fresh = resetMomentum ? 't == 1 or restart' : 't == 1'
  return {
    text: [
      ...decay,
      // The first direction is the gradient, undamped.
      dampening === 0 && !resetMomentum ? 'v = momentum*v + g' : `v = ${fresh} ? g : momentum*v + (1 - dampening)*g`,
      nesterov ? 'x = x - lr*(g + momentum*v)' : 'x = x - lr*v',
    ].join('\n'),
    slots: { v: { kind: 'tensor' as const } },
    scalars: ({ restart }: At) => ({ weightDecay, momentum, dampening, restart: Number(restart) }),
  }
}

export const sgd = {
  id: 'sgd',
  title: 'Stochastic gradient descent',
  summary: 'Steps against the gradient, with optional momentum or Nesterov momentum and L2 weight decay.',
  references: [
    {
      authors: 'H. Robbins, S. Monro',
      title: 'A Stochastic Approximation Method',
      year: 1951,
      url: 'https://doi.org/10.1214/aoms/1177729586',
    },
    {
      authors: 'I. Sutskever, J. Martens, G. Dahl, G. Hinton',
      title: 'On the importance of initialization and momentum in deep learning',
      year: 2013,
      url: 'https://proceedings.mlr.press/v28/sutskever13.html',
    },
  ],
  fields,
  rule,
  check: ({ nesterov, momentum, dampening }) =>
    nesterov && (momentum === 0 || dampening !== 0)
      ? [{ path: 'config.nesterov', message: 'needs momentum above 0 and dampening 0' }]
      : [],
  invariances: ['translation'],
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.1, momentum: 0.5 }, maxEvaluations: 100, target: 1e-6 },
    { problem: 'rosenbrock', config: { learningRate: 0.001, momentum: 0.9 }, maxEvaluations: 2000, target: 1e-4 },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(sgd)
