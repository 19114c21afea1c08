/**
 * Yao, Gholami, Shen, Mustafa, Keutzer, Mahoney, "ADAHESSIAN: An Adaptive Second Order Optimizer for Machine Learning",
 * AAAI 2021, algorithm 1; section 3.2 the block averaging, equation 11 the Hessian power.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements, type TensorSpec } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'
import { ratio } from './adam.js'

const fields = {
  learningRate: real('Step size.', {
    default: 0.15,
    min: 0,
    mutable: true,
    log: true,
    source: 'amirgholami/adahessian',
  }),
  beta1: real('Decay of the mean of gradients.', { default: 0.9, min: 0, below: 1, source: 'section 4' }),
  beta2: real('Decay of the mean of squared Hessian diagonals.', {
    default: 0.999,
    min: 0,
    below: 1,
    source: 'section 4',
  }),
  eps: real('Added to the root mean square of the diagonal; with 0, elements without curvature stay.', {
    default: 1e-4,
    min: 0,
    source: 'amirgholami/adahessian',
  }),
  hessianPower: real('Power of the root mean square: 1 is a Newton step, 0 momentum.', {
    default: 1,
    min: 0,
    max: 1,
    source: 'equation 11',
  }),
  block: field(
    z.int().min(1).default(1),
    'Neighbours of a tensor, such as the 9 elements of a kernel, whose absolute diagonals are averaged. Tensors whose size ' +
      'is no multiple of it stay as they are.',
    { source: 'section 3.2' },
  ),
  weightDecay: real('Times lr and x, subtracted from x.', { default: 0, min: 0, mutable: true, source: 'equation 11' }),
}
type Config = PresetConfig<typeof fields>

/** A row per block. */
const blocks =
  (block: number) =>
  ({ shape }: Pick<TensorSpec, 'shape'>): number[] => {
    const size = elements(shape)
    return size % block === 0 ? [size / block, block] : [size]
  }

function rule(config: Config): Piece {
  const { beta1, beta2, eps, hessianPower, block, weightDecay } = config
  return {
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      block > 1 ? 'D = matrix ? rowMean(abs(diagonal)) : diagonal' : 'D = diagonal',
      'm = beta1*m + (1 - beta1)*g',
      'v = beta2*v + (1 - beta2)*D^2',
      'rms = sqrt(v/(1 - beta2^t))',
      ...(hessianPower < 1 ? ['rms = rms^k'] : []),
      `x = x - lr*${ratio('(m/(1 - beta1^t))', 'rms', eps)}`,
    ].join('\n'),
    slots: { m: { kind: 'tensor' }, v: { kind: 'tensor' } },
    inputs: ['diagonal'],
    scalars: () => ({ beta1, beta2, eps, k: hessianPower, weightDecay }),
    ...(block > 1 ? { shape: blocks(block) } : {}),
  }
}

export const method = gradientMethod<typeof fields>({
  id: 'adahessian',
  title: 'AdaHessian',
  summary: 'Adam with the Hessian diagonal, estimated by random signs, in place of the gradient in the second moment.',
  references: [
    {
      authors: 'Z. Yao, A. Gholami, S. Shen, M. Mustafa, K. Keutzer, M. W. Mahoney',
      title: 'ADAHESSIAN: An Adaptive Second Order Optimizer for Machine Learning',
      year: 2021,
      url: 'https://arxiv.org/abs/2006.00719',
    },
  ],
  fields,
  defaults: { driver: { id: 'diagonal' } },
  rule,
  invariances: ['translation'],
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.15 }, maxEvaluations: 1000, target: 1e-6 },
    {
      problem: 'quadratic',
      config: { learningRate: 0.15, driver: { id: 'diagonal', products: 'difference', step: 1e-2 } },
      maxEvaluations: 1000,
      target: 1e-6,
    },
  ],
})
