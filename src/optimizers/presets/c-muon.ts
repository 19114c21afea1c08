/**
 * Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024: the mask on the momentum of Muon
 * (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024), ahead of the orthogonalization.
 */
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import { norm } from '../flat.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
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

/** The quintic a*s + b*s^3 + c*s^5 of Muon, which takes singular values from (0, 1] to about 1 in five steps. */
const [A, B, C] = [3.4445, -4.775, 2.0315]
const STEPS = 5

/** X*Y' of matrices given row by row with rows of length n. */
function timesTransposed(x: ArrayLike<number>, y: ArrayLike<number>, n: number): Float64Array {
  const [rows, columns] = [x.length / n, y.length / n]
  const product = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++)
      for (let k = 0; k < n; k++) product[i * columns + j] += x[i * n + k] * y[j * n + k]
  return product
}

const transpose = (x: ArrayLike<number>, columns: number): Float64Array => {
  const rows = x.length / columns
  return new Float64Array(x.length).map((_, k) => x[(k % rows) * columns + Math.floor(k / rows)])
}

/** A matrix of the same singular vectors whose singular values are about 1, by Newton-Schulz steps. A vector is a column. */
export function orthogonalize(x: ArrayLike<number>, { shape }: Pick<TensorSpec, 'shape'>): Float64Array {
  const columns = shape.length > 1 ? shape[shape.length - 1] : 1
  const tall = x.length > columns ** 2
  const size = norm(x)
  const n = tall ? x.length / columns : columns
  let y = tall ? transpose(x, columns) : Float64Array.from(x)
  if (size === 0) return Float64Array.from(x)
  y = y.map((value) => value / size)
  for (let step = 0; step < STEPS; step++) {
    const gram = timesTransposed(y, y, n)
    const square = timesTransposed(gram, gram, Math.sqrt(gram.length))
    const factor = gram.map((value, i) => B * value + C * square[i])
    const rest = timesTransposed(factor, transpose(y, n), Math.sqrt(gram.length))
    y = y.map((value, i) => A * value + rest[i])
  }
  return tall ? transpose(y, n) : y
}

/** The masked Nesterov momentum of a tensor, orthogonalized; `m` goes on without the mask. */
function step({ beta }: Config, tensor: TensorSpec, g: FloatArray, m: FloatArray): Float64Array {
  for (let i = 0; i < m.length; i++) m[i] = beta * m[i] + (1 - beta) * g[i]
  let kept = 0
  for (let i = 0; i < m.length; i++) if (m[i] * g[i] > 0) kept++
  const scale = 1 / Math.max(kept / m.length, 1e-3)
  const masked = Float64Array.from(m, (mi, i) => (mi * g[i] > 0 ? scale * ((1 - beta) * g[i] + beta * mi) : 0))
  return orthogonalize(masked, tensor)
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
