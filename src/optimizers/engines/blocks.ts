/** How an engine that launches whole-array operations cuts up a state: few launches for small tensors, bounded memory. */
import type { Graph } from './graph.js'
import { domainSize, type TensorShape } from './shapes.js'

/** Elements that are computed together. */
export type Block = {
  /** Place in the manifest of the tensor whose numbers, rows and columns apply. */
  tensor: number
  /** Whether it is a whole matrix, or a stack of some. */
  matrix: boolean
  /** Shape of elements, rows and columns: `[batch, rows, columns]` and what broadcasts to it, or flat. */
  shape: { readonly tensor: number[]; readonly row: number[]; readonly column: number[] }
  size: number
  /** Place of its first element among the elements of all tensors. */
  first: number
  /** Where its elements are: of which tensors, from where to where. */
  pieces: { tensor: number; from: number; to: number }[]
}

/**
 * Rules with rows or columns take tensors whole; rules with numbers per tensor take them apart; all others see one
 * array. `most` bounds the elements of a block where the rule lets tensors be cut; they are cut at multiples of `unit`.
 */
export function blocksOf({ nodes }: Graph, shapes: readonly TensorShape[], most: number, unit = 1): Block[] {
  const domains = new Set(nodes.map(({ domain }) => domain))
  const whole = domains.has('row') || domains.has('column')
  const apart = whole || domains.has('scalar')
  const blocks: Block[] = []
  let first = 0
  for (const [tensor, shape] of shapes.entries()) {
    const limit = whole ? Math.max(1, shape.size) : most
    let open = apart || blocks.length === 0 ? undefined : blocks.at(-1)
    for (let from = 0; from < shape.size; ) {
      const room = () => limit - (open?.size ?? limit)
      if (!open || room() < Math.min(unit, shape.size - from)) {
        open = { ...empty(tensor), first: first + from }
        blocks.push(open)
      }
      const left = shape.size - from
      const to = from + (left <= room() ? left : Math.floor(room() / unit) * unit)
      open.pieces.push({ tensor, from, to })
      open.size += to - from
      from = to
    }
    // A matrix without elements may have rows or columns, but not both.
    const factors = domainSize('row', shape) + domainSize('column', shape)
    if (whole && shape.size === 0 && factors > 0) blocks.push({ ...empty(tensor), first })
    first += shape.size
  }
  return blocks.map((block) => {
    const { matrix, batch, rows, columns } = shapes[block.tensor]
    const flat = [block.size]
    if (!whole || !matrix)
      return { ...block, matrix: matrix && apart, shape: { tensor: flat, row: flat, column: flat } }
    return {
      ...block,
      matrix,
      shape: { tensor: [batch, rows, columns], row: [batch, rows, 1], column: [batch, 1, columns] },
    }
  })
}

const empty = (tensor: number): Block => ({
  tensor,
  matrix: false,
  shape: { tensor: [], row: [], column: [] },
  size: 0,
  first: 0,
  pieces: [],
})
