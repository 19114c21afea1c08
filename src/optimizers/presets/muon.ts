/**
 * Jordan, Jin, Boza, You, Cesista, Newhouse, Bernstein, "Muon: An optimizer for hidden layers in neural networks", 2024, with
 * AdamW for what is no hidden layer, as in the published code.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { orthogonalize } from '../orthogonalize.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size of matrices: about the singular values of a step.', {
    default: 0.02,
    min: 0,
    mutable: true,
    log: true,
    source: 'KellerJordan/Muon',
  }),
  momentum: real('Decay of the mean of gradients.', { default: 0.95, min: 0, below: 1, source: 'KellerJordan/Muon' }),
  nesterov: field(z.boolean().default(true), 'Looks ahead along the momentum.', { source: 'KellerJordan/Muon' }),
  iterations: field(z.int().min(1).max(99).default(5), 'Newton-Schulz steps of an orthogonalization.', {
    source: 'KellerJordan/Muon',
  }),
  scaling: field(
    z.enum(['original', 'match-rms-adamw', 'spectral', 'none']).default('original'),
    'Of a step of m rows and n columns: sqrt(max(1, m/n)), 0.2*sqrt(max(m, n)), sqrt(m/n) or 1.',
    { source: 'torch.optim.Muon' },
  ),
  adamw: field(
    z.array(z.string()).default([]),
    'Matrices that are left to AdamW, as all vectors are: embeddings, heads.',
    {
      source: 'KellerJordan/Muon',
    },
  ),
  adamwRate: real('Step size of AdamW over that of matrices.', { default: 0.015, min: 0, source: 'KellerJordan/Muon' }),
  beta1: real('Decay of the mean of gradients in AdamW.', {
    default: 0.9,
    min: 0,
    below: 1,
    source: 'KellerJordan/Muon',
  }),
  beta2: real('Decay of the mean of their squares.', { default: 0.95, min: 0, below: 1, source: 'KellerJordan/Muon' }),
  eps: real('Added to the root of the second moment.', { default: 1e-10, above: 0, source: 'KellerJordan/Muon' }),
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0,
    min: 0,
    mutable: true,
    source: 'KellerJordan/Muon',
  }),
}
type Config = PresetConfig<typeof fields>

const isOrthogonal = ({ adamw }: Config, { name, shape }: TensorSpec) => shape.length > 1 && !adamw.includes(name)

/** The step of a matrix: axes behind the first are one. */
function matrixStep({ momentum, nesterov, iterations, scaling }: Config, g: FloatArray, m: FloatArray, rows: number) {
  const columns = m.length / rows
  for (let i = 0; i < m.length; i++) m[i] += (1 - momentum) * (g[i] - m[i])
  const direction = nesterov ? Float64Array.from(m, (mi, i) => g[i] + momentum * (mi - g[i])) : m
  const factor = {
    original: Math.sqrt(Math.max(1, rows / columns)),
    'match-rms-adamw': 0.2 * Math.sqrt(Math.max(rows, columns)),
    spectral: Math.sqrt(rows / columns),
    none: 1,
  }[scaling]
  return orthogonalize(direction, columns, iterations).map((value) => factor * value)
}

function adamwStep(config: Config, g: FloatArray, m: FloatArray, v: FloatArray, t: number) {
  const { beta1, beta2, eps, adamwRate } = config
  return Float64Array.from(g, (gi, i) => {
    m[i] = beta1 * m[i] + (1 - beta1) * gi
    v[i] = beta2 * v[i] + (1 - beta2) * gi * gi
    return (adamwRate * (m[i] / (1 - beta1 ** t))) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + eps)
  })
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['step'],
  begin(config, { tensors }) {
    const arrays = (size: (spec: TensorSpec) => number) =>
      Object.fromEntries(tensors.map((spec) => [spec.name, new Float64Array(size(spec))]))
    return {
      m: arrays(({ shape }) => elements(shape)),
      v: arrays((spec) => (isOrthogonal(config, spec) ? 0 : elements(spec.shape))),
    }
  },
  inputs: (config, { tensors }, { gradient, kept: { m, v }, t }) => ({
    step: Object.fromEntries(
      tensors.map((spec) => {
        const { name, shape } = spec
        return [
          name,
          isOrthogonal(config, spec)
            ? matrixStep(config, gradient[name], m[name], shape[0])
            : adamwStep(config, gradient[name], m[name], v[name], t),
        ]
      }),
    ),
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'muon',
  title: 'Muon',
  summary:
    'Steps of matrices have the singular vectors of their momentum, and all singular values alike; the rest is left to AdamW.',
  references: [
    {
      authors: 'K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein',
      title: 'Muon: An optimizer for hidden layers in neural networks',
      year: 2024,
      url: 'https://kellerjordan.github.io/posts/muon/',
    },
  ],
  fields,
  rule: ({ weightDecay }: Config) => ({
    text: [...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []), 'x = x - lr*step'].join('\n'),
    inputs: ['step'],
    scalars: () => ({ weightDecay }),
  }),
  host,
  check: ({ adamw }, { space }) =>
    adamw.flatMap((name, i) =>
      space.kind === 'tensors' && space.tensors.some((tensor) => tensor.name === name)
        ? []
        : [{ path: `config.adamw[${i}]`, message: `the space has no tensor "${name}"` }],
    ),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.2, momentum: 0.8, adamwRate: 0.5, schedule: { id: 'linear', steps: 500 } },
      maxEvaluations: 500,
      target: 1e-2,
    },
  ],
})
