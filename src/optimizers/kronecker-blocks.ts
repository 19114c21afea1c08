/**
 * Tensors in blocks, and along each axis of a block a symmetric matrix: the layout of Kronecker-factored statistics (Anil,
 * Gupta, Koren, Regan, Singer, "Scalable Second Order Optimization for Deep Learning", 2020, section 4).
 */
import { elements } from '../core/tensor.js'

/** A matrix along an axis of a block: n x n, row-major, from element `at` of all matrices of the tensor. */
export type Factor = { axis: number; n: number; at: number }
export type Block = { low: readonly number[]; size: readonly number[]; factors: readonly Factor[] }
export type Layout = {
  /** The lengths of the axes, after merging. */
  dims: readonly number[]
  /** None where the tensor has one axis: it has a number per element. */
  blocks: readonly Block[]
  /** Numbers of all matrices. */
  total: number
}
export type Limits = {
  /** Longest side of a block. */
  blockSize: number
  /** Axes above this length have no matrix, and are not cut. */
  maxDim: number
  /** Neighbouring axes of tensors of three and more are merged up to this length, down to a matrix. */
  mergeBelow: number
}

/** Axes of length 1 say nothing; small neighbours are merged, first to last. */
function merged(shape: readonly number[], mergeBelow: number): number[] {
  const dims = shape.filter((length) => length > 1)
  for (let i = 0; i + 1 < dims.length && dims.length > 2; )
    if (dims[i] * dims[i + 1] <= mergeBelow) dims.splice(i, 2, dims[i] * dims[i + 1])
    else i++
  return dims
}

export function layoutOf(shape: readonly number[], { blockSize, maxDim, mergeBelow }: Limits): Layout {
  const dims = merged(shape, mergeBelow)
  if (dims.length < 2) return { dims: [elements(shape)], blocks: [], total: 0 }
  const cuts = dims.map((length) => {
    const side = length > maxDim ? length : Math.min(blockSize, length)
    return Array.from({ length: Math.ceil(length / side) }, (_, i) => ({
      low: i * side,
      size: Math.min(side, length - i * side),
    }))
  })
  let total = 0
  const blocks = cuts
    .reduce<{ low: number; size: number }[][]>((all, cut) => all.flatMap((a) => cut.map((c) => [...a, c])), [[]])
    .map((sides) => ({
      low: sides.map(({ low }) => low),
      size: sides.map(({ size }) => size),
      factors: sides.flatMap(({ size: n }, axis) => {
        if (dims[axis] > maxDim) return []
        const at = total
        total += n * n
        return [{ axis, n, at }]
      }),
    }))
  return { dims, blocks, total }
}

/** Calls with the place of each row of a block along its last axis: in the tensor, and in the block. */
function eachRow(
  { dims }: Layout,
  { low, size }: Block,
  visit: (tensor: number, block: number, length: number) => void,
) {
  const last = dims.length - 1
  const rows = elements(size) / size[last]
  for (let row = 0; row < rows; row++) {
    let rest = row
    let at = low[last]
    let stride = dims[last]
    for (let axis = last - 1; axis >= 0; axis--) {
      at += (low[axis] + (rest % size[axis])) * stride
      rest = Math.floor(rest / size[axis])
      stride *= dims[axis]
    }
    visit(at, row * size[last], size[last])
  }
}

export function gather(x: ArrayLike<number>, layout: Layout, block: Block): Float64Array {
  const values = new Float64Array(elements(block.size))
  eachRow(layout, block, (tensor, at, length) => {
    for (let i = 0; i < length; i++) values[at + i] = x[tensor + i]
  })
  return values
}

export function scatter(values: Float64Array, layout: Layout, block: Block, x: Float64Array): void {
  eachRow(layout, block, (tensor, at, length) => {
    for (let i = 0; i < length; i++) x[tensor + i] = values[at + i]
  })
}

/** Splits a block around an axis: outer x n x inner. */
const around = (size: readonly number[], axis: number) => ({
  outer: elements(size.slice(0, axis)),
  inner: elements(size.slice(axis + 1)),
})

/** matrix = decay*matrix + weight*G*G', where the rows of G are the slices of the block along the axis. */
export function addGram(
  matrix: Float64Array,
  values: Float64Array,
  size: readonly number[],
  { axis, n }: Factor,
  decay: number,
  weight: number,
): void {
  const { outer, inner } = around(size, axis)
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0
      for (let o = 0; o < outer; o++) {
        const [a, b] = [(o * n + i) * inner, (o * n + j) * inner]
        for (let k = 0; k < inner; k++) sum += values[a + k] * values[b + k]
      }
      matrix[j * n + i] = matrix[i * n + j] = decay * matrix[i * n + j] + weight * sum
    }
}

/** The block times a matrix along an axis; `transposed` takes the columns of the matrix for its rows. */
export function along(
  values: Float64Array,
  size: readonly number[],
  { axis, n }: Factor,
  matrix: Float64Array,
  transposed = false,
): Float64Array {
  const { outer, inner } = around(size, axis)
  const result = new Float64Array(values.length)
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const weight = transposed ? matrix[j * n + i] : matrix[i * n + j]
        const [to, from] = [(o * n + i) * inner, (o * n + j) * inner]
        for (let k = 0; k < inner; k++) result[to + k] += weight * values[from + k]
      }
  return result
}
