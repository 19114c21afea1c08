import { z } from 'zod'
import { field } from '../../core/schema.js'
import { real } from '../parts.js'
import { OUTER } from './outer.js'
import { REGULARIZERS } from './regularizer.js'

export const config = z.strictObject({
  variant: field(
    z.enum(['prox-linear', 'prox-subgradient', 'prox-point']).default('prox-linear'),
    'The model of the loss of a sample: h of a linear c, a subgradient, or the loss itself.',
    { source: 'section 2' },
  ),
  h: field(
    z.enum(OUTER).default('abs'),
    'Outer function: the mean over the elements of c of |c|, max(0, c), the Huber loss or c^2/2; or the largest element.',
    { source: 'section 2' },
  ),
  huber: real('huber: half-width of its quadratic part, where its slope reaches 1.', {
    default: 1,
    above: 0,
    source: 'ours',
  }),
  regularizer: field(
    z.enum(REGULARIZERS).default('none'),
    'What is added: weight*|x|_1; or where x is kept: |x| <= radius, the bounds of the space, or the simplex of sum radius.',
    { source: 'section 2' },
  ),
  weight: real('l1: its weight.', { default: 0.01, min: 0, source: 'ours' }),
  radius: real('ball: its radius; simplex: the sum of its elements.', { default: 1, above: 0, source: 'ours' }),
  learningRate: real('alpha of the first step.', { default: 1, above: 0, log: true, mutable: true, source: 'ours' }),
  schedule: field(
    z.enum(['sqrt', 'constant']).default('sqrt'),
    'alpha over the steps: over the root of t + 1, or as it is.',
    {
      source: 'theorem 4.3',
    },
  ),
  output: field(
    z.enum(['last', 'random']).default('last'),
    'The estimate: the last iterate, or one drawn with probability proportional to its alpha, of which the theory speaks.',
    { source: 'algorithm 4.1 draws' },
  ),
  inner: field(
    z.enum(['prox-linear', 'phase-retrieval']).default('prox-linear'),
    'How prox-points are found: by prox-linear steps, or in closed form for |(a*x)^2 - b|, with `a` and `b` told.',
    { source: 'ours' },
  ),
  innerIterations: field(z.int().min(1).default(50), 'Most prox-linear steps to a prox-point.', { source: 'ours' }),
  innerTolerance: real('A step this short, relative to the point and at least to 1, ends the search of a prox-point.', {
    default: 1e-10,
    min: 0,
    source: 'ours',
  }),
  envelope: field(
    z.number().positive().optional(),
    'lambda: measures |grad f_lambda| of the Moreau envelope, on all samples (purpose `envelope`).',
    { log: true },
  ),
  envelopeEvery: field(z.int().min(1).default(100), 'Steps from one measurement to the next.', { source: 'ours' }),
})
export type Config = z.infer<typeof config>
