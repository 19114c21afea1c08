/**
 * The regularized Gauss-Newton system ((1/b)*J'QJ + lambda*I) p = -(1/b)*J'r of b examples with c outputs each: J is b*c x d
 * (row-major), r the derivatives of the losses by the outputs, and Q block-diagonal with a c x c Hessian per example.
 */
import type { Quantity } from '../../core/query.js'
import type { Tensors } from '../../core/tensor.js'
import { accumulate, dot } from '../flat.js'
import { solve } from '../preconditioners/dense.js'

export type Batch = {
  examples: number
  outputs: number
  jacobian: Float64Array
  /** b*c */
  residual: Float64Array
  /** b blocks of c x c; the identity where null. */
  blocks: Float64Array | null
}

/** What is told of a batch, by the kind of its loss; with `dtype` f32 it is rounded to that. */
export type BatchConfig = { loss: 'squared' | 'cross-entropy' | 'told'; outputs: number; dtype: 'f64' | 'f32' }

export function quantitiesOf({ loss, outputs: c }: BatchConfig, dimension: number): Quantity[] {
  const jacobian = {
    name: 'jacobian',
    shape: [-1, c, dimension],
    description: 'per example of the batch and output, its derivatives by all parameters',
  }
  const per = (name: string, description: string) => ({ name, shape: [-1, c], description })
  if (loss === 'told')
    return [
      per('residual', 'per example, the derivative of its loss by each output'),
      {
        name: 'blocks',
        shape: [-1, c, c],
        description: 'per example, the second derivatives of its loss by the outputs',
      },
      jacobian,
    ]
  const targets =
    loss === 'squared' ? 'what each output should be' : 'probability of each class: 1 for the label, 0 else'
  return [
    per(
      'outputs',
      loss === 'squared' ? 'per example, the outputs of the model' : 'per example, a logit for each class',
    ),
    per('targets', `per example, ${targets}`),
    jacobian,
  ]
}

/** Undefined where the arrays told are not of as many examples each. */
export function batchOf({ loss, outputs: c, dtype }: BatchConfig, dimension: number, told: Tensors): Batch | undefined {
  const array = (name: string) => {
    const values = told[name]
    return Float64Array.from(dtype === 'f32' ? Float32Array.from(values) : values)
  }
  const jacobian = array('jacobian')
  const examples = jacobian.length / (c * dimension)
  const { residual, blocks } =
    loss === 'told'
      ? { residual: array('residual'), blocks: array('blocks') }
      : loss === 'squared'
        ? squared(array('outputs'), array('targets'))
        : crossEntropy(array('outputs'), array('targets'), c)
  if (residual.length !== examples * c || (blocks && blocks.length !== examples * c * c)) return undefined
  // Targets of more examples than outputs, or of fewer.
  if (loss !== 'told' && array('targets').length !== residual.length) return undefined
  return { examples, outputs: c, jacobian, residual, blocks }
}

/** Of the loss |f - y|^2/2. */
export const squared = (outputs: Float64Array, targets: Float64Array) => ({
  residual: outputs.map((f, i) => f - targets[i]),
  blocks: null,
})

/** Of the cross-entropy of targets (probabilities, c each) and the softmax P of the outputs: P - y and diag(P) - PP'. */
export function crossEntropy(outputs: Float64Array, targets: Float64Array, c: number) {
  const P = new Float64Array(outputs.length)
  const blocks = new Float64Array(outputs.length * c)
  for (let from = 0; from < outputs.length; from += c) {
    const logits = outputs.subarray(from, from + c)
    const top = logits.reduce((high, z) => Math.max(high, z), Number.NEGATIVE_INFINITY)
    const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0)
    logits.forEach((z, i) => {
      P[from + i] = Math.exp(z - top) / total
    })
    for (let i = 0; i < c; i++)
      for (let j = 0; j < c; j++) blocks[(from + i) * c + j] = (i === j ? P[from + i] : 0) - P[from + i] * P[from + j]
  }
  return { residual: P.map((p, i) => p - targets[i]), blocks }
}

const rowOf = (jacobian: Float64Array, d: number, i: number) => jacobian.subarray(i * d, (i + 1) * d)

/** Q times a matrix of b*c rows. */
function blocksTimes({ blocks, outputs: c, residual }: Batch, matrix: Float64Array): Float64Array {
  if (!blocks) return matrix
  const columns = matrix.length / residual.length
  const product = new Float64Array(matrix.length)
  residual.forEach((_, row) => {
    const from = row - (row % c)
    const target = rowOf(product, columns, row)
    for (let j = 0; j < c; j++) accumulate(target, blocks[row * c + j], rowOf(matrix, columns, from + j))
  })
  return product
}

/** J'v */
function transposedTimes({ jacobian, residual }: Batch, v: Float64Array): Float64Array {
  const d = jacobian.length / residual.length
  const x = new Float64Array(d)
  v.forEach((value, i) => {
    accumulate(x, value, rowOf(jacobian, d, i))
  })
  return x
}

/** (1/b)*J'r */
export const gradientOf = (batch: Batch): Float64Array =>
  transposedTimes(batch, batch.residual).map((value) => value / batch.examples)

/** (1/b)*p'J'QJp */
export function curvatureAlong(batch: Batch, p: Float64Array): number {
  const Jp = batch.residual.map((_, i) => dot(rowOf(batch.jacobian, p.length, i), p))
  return dot(Jp, blocksTimes(batch, Jp)) / batch.examples
}

/**
 * p = -J'(Q*JJ' + b*lambda*I)^-1 r: the Duncan-Guttman form, a system of b*c equations. `round` rounds what is computed with.
 */
export function solveByOutputs(batch: Batch, lambda: number, round = (x: Float64Array) => x): Float64Array {
  const { jacobian, residual, examples } = batch
  const n = residual.length
  const d = jacobian.length / n
  const K = new Float64Array(n * n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) K[i * n + j] = K[j * n + i] = dot(rowOf(jacobian, d, i), rowOf(jacobian, d, j))
  const M = blocksTimes(batch, K).slice()
  for (let i = 0; i < n; i++) M[i * n + i] += examples * lambda
  return transposedTimes(batch, solve(round(M), residual, n)).map((value) => -value)
}

/** The same from the d x d system itself, for more outputs than parameters. */
export function solveByParameters(batch: Batch, lambda: number, round = (x: Float64Array) => x): Float64Array {
  const { jacobian, residual, examples } = batch
  const d = jacobian.length / residual.length
  const QJ = blocksTimes(batch, jacobian)
  const A = new Float64Array(d * d)
  residual.forEach((_, row) => {
    const [left, right] = [rowOf(jacobian, d, row), rowOf(QJ, d, row)]
    for (let i = 0; i < d; i++) if (left[i] !== 0) accumulate(rowOf(A, d, i), left[i] / examples, right)
  })
  for (let i = 0; i < d; i++) A[i * d + i] += lambda
  return solve(round(A), gradientOf(batch), d).map((value) => -value)
}
