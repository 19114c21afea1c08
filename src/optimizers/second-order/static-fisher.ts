/**
 * The inverse of F = damp*I + (1/m) sum g_i g_i' of m gradients as m vectors, and what pruning asks of it: E. Frantar,
 * E. Kurtic, D. Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information", NeurIPS 2021
 * (arXiv:2107.03356), sections 3.1 and 4.2; B. Hassibi, D. Stork, "Second Order Derivatives for Network Pruning: Optimal
 * Brain Surgeon", NIPS 1992.
 */
import { accumulate, dot } from '../flat.js'

/** F^-1 = I/damp - sum h_i h_i'/n_i on the elements from `from` up to `to`. Plain data. */
export type Block = { from: number; to: number; h: Float64Array[]; n: number[] }

/** F is taken as zero between blocks of this many elements; 0: one block. */
export const emptyBlocks = (dimension: number, size: number): Block[] => {
  const length = size || dimension
  return Array.from({ length: Math.ceil(dimension / length) }, (_, k) => ({
    from: k * length,
    to: Math.min((k + 1) * length, dimension),
    h: [],
    n: [],
  }))
}

/** F^-1 x on the elements of a block. */
export function blockTimes({ h, n }: Block, damp: number, x: Float64Array): Float64Array {
  const y = x.map((value) => value / damp)
  h.forEach((hi, i) => {
    accumulate(y, -dot(hi, x) / n[i], hi)
  })
  return y
}

/** Adds a gradient of m: h = F^-1 g with those before it, n = m + g'h. */
export function compress(blocks: Block[], damp: number, m: number, g: Float64Array): void {
  for (const block of blocks) {
    const part = g.subarray(block.from, block.to)
    const h = blockTimes(block, damp, part)
    block.h.push(h)
    block.n.push(m + dot(part, h))
  }
}

/** F^-1 x */
export function productOf(blocks: readonly Block[], damp: number, x: Float64Array): Float64Array {
  const y = new Float64Array(x.length)
  for (const block of blocks) y.set(blockTimes(block, damp, x.slice(block.from, block.to)), block.from)
  return y
}

export function diagonalOf(blocks: readonly Block[], damp: number): Float64Array {
  const parts = blocks.map((block) => blockDiagonal(block, damp))
  return Float64Array.from(parts.flatMap((part) => Array.from(part)))
}
function blockDiagonal({ from, to, h, n }: Block, damp: number): Float64Array {
  const diagonal = new Float64Array(to - from).fill(1 / damp)
  h.forEach((hi, i) => {
    for (let q = 0; q < diagonal.length; q++) diagonal[q] -= hi[q] ** 2 / n[i]
  })
  return diagonal
}

/** An element of F^-1, in O(m). */
export function entryOf(blocks: readonly Block[], damp: number, i: number, j: number): number {
  const block = blocks.find(({ from, to }) => from <= i && i < to)!
  if (j < block.from || j >= block.to) return 0
  const { from, h, n } = block
  return h.reduce((sum, hk, k) => sum - (hk[i - from] * hk[j - from]) / n[k], i === j ? 1 / damp : 0)
}

/** What the removal of each weight alone costs: w_q^2/(2 [F^-1]_qq). */
export const saliencies = (blocks: readonly Block[], damp: number, w: Float64Array): Float64Array =>
  diagonalOf(blocks, damp).map((value, q) => w[q] ** 2 / (2 * value))

/** Weights after the removals, the removed ones in their order, and the cost 0.5*dw'F dw that was predicted for each. */
export type Pruned = { w: Float64Array; order: number[]; costs: number[] }

/**
 * Removes `count` weights, each time the one of the least saliency, and moves those that stay to make up for it. Without
 * weight q the inverse is F^-1 - c c'/c_q, c its column q: one more vector. O(d (m + count)) per removal within a block.
 */
export function prune(blocks: readonly Block[], damp: number, weights: Float64Array, count: number): Pruned {
  const w = weights.slice()
  const order: number[] = []
  const costs: number[] = []
  const open = blocks.map((block) => ({
    block: { ...block, h: [...block.h], n: [...block.n] },
    diagonal: blockDiagonal(block, damp),
    removed: new Set<number>(),
  }))
  const cheapest = ({ block, diagonal, removed }: (typeof open)[number]) => {
    let best = { q: -1, cost: Infinity }
    diagonal.forEach((value, q) => {
      const cost = w[block.from + q] ** 2 / (2 * value)
      if (!removed.has(q) && (cost < best.cost || best.q < 0)) best = { q, cost }
    })
    return best
  }
  const candidates = open.map(cheapest)
  while (order.length < Math.min(count, w.length)) {
    let k = -1
    candidates.forEach(({ q, cost }, i) => {
      if (q >= 0 && (k < 0 || cost < candidates[k].cost)) k = i
    })
    const { q, cost } = candidates[k]
    const { block, diagonal, removed } = open[k]
    const axis = new Float64Array(diagonal.length)
    axis[q] = 1
    const column = blockTimes(block, damp, axis)
    const step = -w[block.from + q] / column[q]
    removed.add(q)
    for (let i = 0; i < column.length; i++) {
      w[block.from + i] = removed.has(i) ? 0 : w[block.from + i] + step * column[i]
      diagonal[i] -= column[i] ** 2 / column[q]
    }
    block.h.push(column)
    block.n.push(column[q])
    order.push(block.from + q)
    costs.push(cost)
    candidates[k] = cheapest(open[k])
  }
  return { w, order, costs }
}
