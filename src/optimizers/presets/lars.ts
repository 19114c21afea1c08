/** You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks", 2017, algorithm 1. */
import { gradientMethod, type Preset, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.1, min: 0, mutable: true, log: true, source: 'ours' }),
  momentum: real('Weight of the past direction.', { default: 0.9, min: 0, source: 'algorithm 1' }),
  trust: real('Length of a step relative to the norm of its tensor, eta.', {
    default: 0.001,
    above: 0,
    source: 'section 5',
  }),
  weightDecay: real('Times x, added to the gradient.', {
    default: 0.0005,
    min: 0,
    mutable: true,
    source: 'algorithm 1',
  }),
}

export const lars = {
  id: 'lars',
  title: 'LARS',
  summary: 'SGD with momentum whose rate for a tensor is the norm of the tensor over that of its gradient.',
  references: [
    {
      authors: 'Y. You, I. Gitman, B. Ginsburg',
      title: 'Large Batch Training of Convolutional Networks',
      year: 2017,
      url: 'https://arxiv.org/abs/1708.03888',
    },
  ],
  fields,
  rule: ({ momentum, trust, weightDecay }: PresetConfig<typeof fields>) => ({
    text: `length = norm(x)
scale = norm(g) + weightDecay*length
local = length > 0 and scale > 0 ? trust*length/scale : 1
u = momentum*u + lr*local*(g + weightDecay*x)
x = x - u`,
    slots: { u: { kind: 'tensor' as const } },
    scalars: () => ({ momentum, trust, weightDecay }),
  }),
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 1, trust: 0.02, weightDecay: 0, momentum: 0.5, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-3,
    },
  ],
} satisfies Preset<typeof fields>

export const method = gradientMethod<typeof fields>(lars)
