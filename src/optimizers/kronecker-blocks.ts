/**
 * Tensors in blocks, and along each axis of a block a symmetric matrix: the layout of Kronecker-factored statistics (Anil,
 * Gupta, Koren, Regan, Singer, "Scalable Second Order Optimization for Deep Learning", 2020, section 4).
 */
import { z } from 'zod'
import { field } from '../core/schema.js'
import { elements, type FloatArray } from '../core/tensor.js'
import { accumulate } from './flat.js'
import { multiply, multiplyByTransposed, multiplyTransposed, transpose } from './matrices.js'

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
export const blockFields = {
  blockSize: field(z.int().min(2).max(2048).default(128), 'Longest side of the blocks that a tensor is cut into.', {
    source: 'Anil et al. 2020, section 4.2',
  }),
  maxDim: field(z.int().min(2).default(8192), 'Axes above this length are not preconditioned: the others alone.', {
    source: 'Anil et al. 2020, section 4.1',
  }),
  mergeBelow: field(
    z.int().min(1).default(128),
    'Neighbouring axes of tensors of three and more are merged up to this length, down to a matrix.',
    { source: 'google-research scalable_shampoo' },
  ),
}
export type Limits = z.output<z.ZodObject<typeof blockFields>>

/** Of tensors of three axes and more, axes of length 1 say nothing, and small neighbours are merged, first to last. */
function merged(shape: readonly number[], mergeBelow: number): number[] {
  if (shape.length < 3) return [...shape]
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

function gather(x: ArrayLike<number>, layout: Layout, block: Block): Float64Array {
  const values = new Float64Array(elements(block.size))
  eachRow(layout, block, (tensor, at, length) => {
    for (let i = 0; i < length; i++) values[at + i] = x[tensor + i]
  })
  return values
}

/** What a function makes of each block of a tensor, as a tensor. */
export function byBlock(
  x: ArrayLike<number>,
  layout: Layout,
  make: (values: Float64Array, block: Block) => Float64Array,
): Float64Array {
  const result = new Float64Array(x.length)
  for (const block of layout.blocks) {
    const made = make(gather(x, layout, block), block)
    eachRow(layout, block, (tensor, at, length) => {
      for (let i = 0; i < length; i++) result[tensor + i] = made[at + i]
    })
  }
  return result
}

/** The matrix of a factor among all of its tensor, which are double precision. */
export const matrixOf = (all: FloatArray, { at, n }: Factor): Float64Array =>
  (all as Float64Array).subarray(at, at + n * n)

/** All matrices of a tensor, a multiple of the identity each. */
export function identities({ blocks, total }: Layout, scale: number): Float64Array {
  const all = new Float64Array(total)
  for (const { factors } of blocks)
    for (const { at, n } of factors) for (let i = 0; i < n; i++) all[at + i * n + i] = scale
  return all
}

/** matrix = decay*matrix + weight*G*G' for all matrices of a tensor. */
export function learn(all: FloatArray, layout: Layout, g: ArrayLike<number>, decay: number, weight: number): void {
  for (const block of layout.blocks) {
    const values = gather(g, layout, block)
    for (const factor of block.factors) addGram(matrixOf(all, factor), values, block.size, factor, decay, weight)
  }
}

/** Splits a block around an axis: outer x n x inner. */
const around = (size: readonly number[], axis: number) => ({
  outer: elements(size.slice(0, axis)),
  inner: elements(size.slice(axis + 1)),
})

/** matrix = decay*matrix + weight*G*G', where the rows of G are the slices of the block along the axis. */
function addGram(
  matrix: Float64Array,
  values: Float64Array,
  size: readonly number[],
  { axis, n }: Factor,
  decay: number,
  weight: number,
): void {
  const { outer, inner } = around(size, axis)
  for (let i = 0; i < n * n; i++) matrix[i] *= decay
  const add = (gram: Float64Array) => accumulate(matrix, weight, gram)
  if (inner === 1) return add(multiplyTransposed(values, values, outer))
  for (let o = 0; o < outer; o++) {
    const slices = values.subarray(o * n * inner, (o + 1) * n * inner)
    add(multiplyByTransposed(slices, slices, inner))
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
  const right = inner === 1
  const by = transposed === right ? matrix : transpose(matrix, n)
  if (right) return multiply(values, by, n)
  const result = new Float64Array(values.length)
  for (let o = 0; o < outer; o++)
    result.set(multiply(by, values.subarray(o * n * inner, (o + 1) * n * inner), n), o * n * inner)
  return result
}
