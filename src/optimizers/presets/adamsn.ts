/**
 * Nguyen, Nguyen, "Subset-Norm and Subspace-Momentum: Faster Memory-Efficient Adaptive Optimization with Convergence
 * Guarantees", 2024: algorithms 1 (subset-norm: one second moment per subset of a tensor) and 2 (subspace-momentum:
 * momentum of the part of a gradient that lies in a subspace; the rest of it is taken as it is).
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'
import { elements, type TensorSpec } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { subspaceMomentum } from '../subspace-momentum.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', { default: 0.001, min: 0, mutable: true, log: true, source: 'timmytonga/sn-sm' }),
  beta1: real('Decay of the momentum; 0 keeps none.', { default: 0.9, min: 0, below: 1, source: 'timmytonga/sn-sm' }),
  beta2: real('Decay of the second moment.', { default: 0.999, min: 0, below: 1, source: 'timmytonga/sn-sm' }),
  eps: real('Added to the root of the second moment.', { default: 1e-6, min: 0, source: 'timmytonga/sn-sm' }),
  secondMoment: field(
    z.enum(['mean', 'sum', 'none']).default('mean'),
    'Of squared gradients: their running mean (Adam, and with beta1 0 RMSProp), their sum (AdaGrad), or none.',
    { source: 'algorithm 1' },
  ),
  subsetSize: field(
    z.union([z.int().min(1), z.int().max(-1), z.literal('heuristics')]).default(-1),
    'Elements that share a second moment: the largest divisor of the size of a tensor up to this; -c stands for the root ' +
      'of the size over c. heuristics: the rows of a matrix, or its columns where there are more of them.',
    { source: 'section 3.2; timmytonga/sn-sm' },
  ),
  rank: field(
    z.int().min(0).optional(),
    'Dimension of the subspace of the momentum of matrices; without it, all momentum is kept.',
    { source: 'algorithm 2' },
  ),
  projection: field(
    z.enum(['svd', 'uniform', 'topk']).default('svd'),
    'The subspace: leading singular vectors of the gradient, random rows of it, or its rows of largest norm.',
    { source: 'section 4' },
  ),
  updateEvery: field(z.int().min(1).default(200), 'Steps from one subspace to the next.', {
    source: 'timmytonga/sn-sm: update_proj_gap',
  }),
  keepMomentum: field(z.boolean().default(false), 'Keeps the momentum, as it is, where the subspace changes.', {
    source: 'timmytonga/sn-sm: overlap_state',
  }),
  biasCorrection: field(
    z.boolean().default(true),
    'Corrects the moments for their start; a sum has nothing to correct.',
    {
      source: 'timmytonga/sn-sm',
    },
  ),
  weightDecay: real('Times lr and x, subtracted from x after the step.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'timmytonga/sn-sm',
  }),
}
type Config = PresetConfig<typeof fields>

function subset(n: number, size: number): number {
  let k = Math.max(1, Math.min(n, size > 0 ? size : Math.floor(Math.sqrt(n) / -size)))
  while (n % k !== 0) k--
  return k
}
/** A tensor as a matrix of which every row is a subset. */
const shapeFor =
  ({ subsetSize }: Config) =>
  ({ shape }: TensorSpec): number[] => {
    const n = elements(shape)
    if (subsetSize !== 'heuristics') return [n / subset(n, subsetSize), subset(n, subsetSize)]
    return shape.length < 2 ? [n, 1] : [n / shape[shape.length - 1], shape[shape.length - 1]]
  }

function rule(config: Config): Piece {
  const { beta1, beta2, eps, secondMoment, subsetSize, rank, biasCorrection, weightDecay } = config
  const heuristics = subsetSize === 'heuristics'
  const gather = (slot: string, sum: string) =>
    secondMoment === 'mean' ? `${slot} = beta2*${slot} + (1 - beta2)*${sum}(g^2)` : `${slot} = ${slot} + ${sum}(g^2)`
  const second = {
    none: [],
    one: [gather('v', 'rowSum'), 'root = sqrt(v)'],
    two: [gather('v', 'rowSum'), gather('c', 'colSum'), 'root = sqrt(tall ? v : c)'],
  }[secondMoment === 'none' ? 'none' : heuristics ? 'two' : 'one']
  const corrections = [
    ...(secondMoment === 'mean' ? ['*sqrt(1 - beta2^t)'] : []),
    ...(beta1 > 0 ? ['/(1 - beta1^t)'] : []),
  ]
  const full = rank === undefined && beta1 > 0
  const n = rank !== undefined ? 'momentum' : full ? 'm' : 'g'
  return {
    text: [
      ...second,
      ...(full ? ['m = beta1*m + (1 - beta1)*g'] : []),
      `rate = lr${biasCorrection && secondMoment !== 'sum' ? corrections.join('') : ''}`,
      `x = x - rate*${secondMoment === 'none' ? n : ratio(n, 'root', eps)}`,
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
    ].join('\n'),
    slots: {
      ...(full ? { m: { kind: 'tensor' } } : {}),
      ...(secondMoment === 'none' ? {} : { v: { kind: 'row' } }),
      ...(secondMoment !== 'none' && heuristics ? { c: { kind: 'column' }, tall: { kind: 'scalar' } } : {}),
    },
    fill: heuristics && secondMoment !== 'none' ? { tall: (tensor) => Number(isTall(shapeFor(config)(tensor))) } : {},
    shape: shapeFor(config),
    inputs: rank === undefined ? [] : ['momentum'],
    scalars: () => ({ beta1, beta2, eps, weightDecay }),
  }
}

const isTall = ([rows, columns]: readonly number[]) => rows >= columns
function check({ rank, driver }: Config): Issue[] {
  if (rank === undefined || driver.id === 'step') return []
  return [{ path: 'config.driver', message: 'momentum in a subspace takes one gradient per step; expected "step"' }]
}

export const adamsn = {
  id: 'adamsn',
  title: 'AdamSN',
  summary:
    'Adam with one second moment per subset of a tensor, and if wanted momentum in a subspace alone: a fraction of the memory.',
  references: [
    {
      authors: 'T. H. Nguyen, H. L. Nguyen',
      title:
        'Subset-Norm and Subspace-Momentum: Faster Memory-Efficient Adaptive Optimization with Convergence Guarantees',
      year: 2024,
      url: 'https://arxiv.org/abs/2411.07120',
    },
  ],
  fields,
  host: subspaceMomentum,
  rule,
  check,
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(adamsn)
