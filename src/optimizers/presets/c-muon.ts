/**
 * Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024: the mask on the momentum of Muon
 * (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024), ahead of the orthogonalization.
 */
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { orthogonalize } from '../orthogonalize.js'
import { real } from '../parts.js'
import { cautiousReference } from './c-adamw.js'

const fields = {
  learningRate: real('Step size: the singular values of the step of a matrix.', {
    default: 0.02,
    min: 0,
    mutable: true,
    log: true,
    source: 'KellerJordan/Muon',
  }),
  beta: real('Decay of the mean of gradients.', { default: 0.95, min: 0, below: 1, source: 'KellerJordan/Muon' }),
  weightDecay: real('Times lr and x, subtracted from x whatever the sign.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'ours',
  }),
}
type Config = PresetConfig<typeof fields>

/** The masked Nesterov momentum of a tensor, orthogonalized; `m` goes on without the mask. */
function step({ beta }: Config, tensor: TensorSpec, g: FloatArray, m: FloatArray): Float64Array {
  for (let i = 0; i < m.length; i++) m[i] = beta * m[i] + (1 - beta) * g[i]
  let kept = 0
  for (let i = 0; i < m.length; i++) if (m[i] * g[i] > 0) kept++
  const scale = 1 / Math.max(kept / m.length, 1e-3)
  const masked = Float64Array.from(m, (mi, i) => (mi * g[i] > 0 ? scale * ((1 - beta) * g[i] + beta * mi) : 0))
  const { shape } = tensor
  // A vector is a column.
  return orthogonalize(masked, shape.length > 1 ? shape[shape.length - 1] : 1)
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['step'],
  begin: (_, { tensors }) => ({
    m: Object.fromEntries(tensors.map(({ name, shape }) => [name, new Float64Array(elements(shape))])),
  }),
  inputs: (config, { tensors }, { gradient, kept }) => ({
    step: Object.fromEntries(
      tensors.map((tensor) => [tensor.name, step(config, tensor, gradient[tensor.name], kept.m[tensor.name])]),
    ),
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'c-muon',
  title: 'Cautious Muon',
  summary: 'Orthogonalizes the momentum of each matrix without the elements whose sign disagrees with the gradient.',
  references: [cautiousReference],
  fields,
  rule: ({ weightDecay }: Config) => ({
    text: [...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []), 'x = x - lr*step'].join('\n'),
    inputs: ['step'],
    scalars: () => ({ weightDecay }),
  }),
  host,
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.2, beta: 0.8, schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-2,
    },
  ],
})
