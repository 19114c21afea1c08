/** Sparse starts of a space of tensors: which coordinates may be pruned, other choices of them, and paths between solutions. */
import type { Rng } from '../../core/rng.js'
import type { Problem } from '../../core/space.js'
import { flatOf, spaceOf } from '../../optimizers/flat.js'

/** Points of the path between two solutions. */
const PATH = 21

/** Whether each coordinate lies in a tensor that is never pruned: one of these, or whose name ends in "bias". */
export function denseOf(dense: readonly string[] | undefined, problem: Problem): boolean[] {
  const flat = flatOf(problem)
  const out = new Array<boolean>(flat.dimension).fill(false)
  for (const { name } of spaceOf(problem).tensors)
    if (dense ? dense.includes(name) : /bias$/i.test(name)) out.fill(true, ...flat.range(name)!)
  return out
}

/** A vector of the coordinates left among all, zeros elsewhere. */
export function spread(free: readonly number[], values: ArrayLike<number>, n: number): Float64Array {
  const x = new Float64Array(n)
  free.forEach((at, i) => {
    x[at] = values[i]
  })
  return x
}

/** max L((1 - t) a + t b) - max(L(a), L(b)) of losses along a segment, ends included. */
export const barrier = (losses: Float64Array): number =>
  Math.max(...losses) - Math.max(losses[0], losses[losses.length - 1])

/** Points along the segment between two solutions, both among them; one a row. */
export const segment = (a: Float64Array, b: Float64Array): Float64Array => {
  const n = a.length
  return new Float64Array(PATH * n).map((_, i) => {
    const t = Math.floor(i / n) / (PATH - 1)
    return (1 - t) * a[i % n] + t * b[i % n]
  })
}

/** Another choice of as many coordinates among all that can be pruned: within each tensor, or anywhere. */
export function otherMask(
  within: 'tensors' | 'all',
  problem: Problem,
  kept: readonly number[],
  dense: readonly boolean[],
  rng: Rng,
): number[] {
  const all = Array.from(dense.keys()).filter((i) => !dense[i])
  if (within === 'all') return rng.shuffle(all).slice(0, kept.length)
  const flat = flatOf(problem)
  return spaceOf(problem).tensors.flatMap(({ name }) => {
    const [from, to] = flat.range(name)!
    const inside = (i: number) => i >= from && i < to
    return rng.shuffle(all.filter(inside)).slice(0, kept.filter(inside).length)
  })
}

/** A start of the same root mean square, tensor by tensor. */
export function freshStart(problem: Problem, start: Float64Array, rng: Rng): Float64Array {
  const flat = flatOf(problem)
  const fresh = start.slice()
  for (const { name } of spaceOf(problem).tensors) {
    const part = fresh.subarray(...flat.range(name)!)
    const size = Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / part.length)
    for (let i = 0; i < part.length; i++) part[i] = size * rng.normal()
  }
  return fresh
}
