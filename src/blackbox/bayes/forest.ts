/**
 * Regression forests: L. Breiman, "Random Forests", Machine Learning 45, 2001; trees by least squared error as in L. Breiman, J.
 * Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", 1984.
 *
 * - Ordered coordinates are split by a threshold between neighbouring points: halfway or, given a stream, at a uniform place.
 *   The uncertainty of a forest of such trees grows with the distance to the points (F. Hutter, L. Xu, H. Hoos, K.
 *   Leyton-Brown, "Algorithm Runtime Prediction: Methods and Evaluation", Artificial Intelligence 206, 2014).
 * - Categories are split by subsets. The best of all subsets is among those that come first in the order of their means (W.
 *   Fisher, "On Grouping for Maximum Homogeneity", 1958), so k categories cost k - 1 trials.
 */
import type { Rng } from '../../core/rng.js'

/** Nodes of a regression tree, the root first; `feature` is -1 at leaves. */
export type Tree = {
  feature: number[]
  /** What is at most this goes left. */
  threshold: number[]
  /** Of a split by categories 1 for each that goes left; null for thresholds. */
  subset: (Uint8Array | null)[]
  left: number[]
  right: number[]
  /** Mean and variance of the values in the node. */
  value: number[]
  variance: number[]
}

export type GrowOptions = {
  /** By coordinate how many categories it numbers, from 0; 0 where it is ordered. All are when absent. */
  categories?: readonly number[]
  /** Fewest points of a node that is split, and of each part. */
  minSplit?: number
  minLeaf?: number
  /** Share of the coordinates that a split looks at; more where none of them can be split. Needs a stream. */
  featureShare?: number
  /** Draws thresholds, coordinates, and the side of categories that a node lacks; without it these go right. */
  rng?: Rng
}

type Split = { feature: number; threshold: number; subset: Uint8Array | null }

const MAX_DEPTH = 64

/** `count` trees, each of a bootstrap sample as large as the data. */
export function growForest(
  points: readonly Float64Array[],
  values: readonly number[],
  count: number,
  rng: Rng,
  options: GrowOptions = {},
): Tree[] {
  return Array.from({ length: count }, () => {
    const sample = points.map(() => rng.integer(points.length))
    return grow(
      sample.map((i) => points[i]),
      sample.map((i) => values[i]),
      options,
    )
  })
}

/** A tree down to leaves of equal values, of equal points or of too few, each split where the squared error falls most. */
export function grow(points: readonly Float64Array[], values: readonly number[], options: GrowOptions = {}): Tree {
  const tree: Tree = { feature: [], threshold: [], subset: [], left: [], right: [], value: [], variance: [] }
  const features = Array.from({ length: points[0]?.length ?? 0 }, (_, k) => k)
  const ordered = features.filter((k) => !options.categories?.[k])
  const columns = features.map((k) => Float64Array.from(points, (point) => point[k]))
  // Sorted once: the parts of a node keep the order. A node is a range of all lists.
  const sorted = new Map(
    ordered.map((k) => {
      const column = columns[k]
      return [k, Int32Array.from(points.keys()).sort((a, b) => column[a] - column[b])]
    }),
  )
  const rows = Int32Array.from(points.keys())
  const isLeft = new Uint8Array(points.length)
  const spare = new Int32Array(points.length)
  const add = (from: number, to: number, depth: number): number => {
    const node = tree.feature.length
    const count = to - from
    let mean = 0
    for (let r = from; r < to; r++) mean += values[rows[r]] / count
    let variance = 0
    for (let r = from; r < to; r++) variance += (values[rows[r]] - mean) ** 2 / count
    const split =
      depth < MAX_DEPTH && count >= (options.minSplit ?? 2)
        ? bestSplit(columns, values, rows.subarray(from, to), (k) => sorted.get(k)!.subarray(from, to), options)
        : undefined
    tree.feature.push(split?.feature ?? -1)
    tree.threshold.push(split?.threshold ?? 0)
    tree.subset.push(split?.subset ?? null)
    tree.value.push(mean)
    tree.variance.push(variance)
    tree.left.push(-1)
    tree.right.push(-1)
    if (split) {
      const { subset, threshold, feature } = split
      for (const r of rows.subarray(from, to)) isLeft[r] = goesLeft(subset, threshold, columns[feature][r]) ? 1 : 0
      const middle = partition(rows, from, to, isLeft, spare)
      for (const list of sorted.values()) partition(list, from, to, isLeft, spare)
      tree.left[node] = add(from, middle, depth + 1)
      tree.right[node] = add(middle, to, depth + 1)
    }
    return node
  }
  add(0, points.length, 0)
  return tree
}

const goesLeft = (subset: Uint8Array | null, threshold: number, x: number): boolean =>
  subset ? subset[x] === 1 : x <= threshold

/** Moves what goes left to the front of a range, both parts in their order; returns where the right part begins. */
function partition(list: Int32Array, from: number, to: number, isLeft: Uint8Array, spare: Int32Array): number {
  let at = from
  let right = 0
  for (let r = from; r < to; r++) {
    if (isLeft[list[r]]) list[at++] = list[r]
    else spare[right++] = list[r]
  }
  list.set(spare.subarray(0, right), at)
  return at
}

/** The split with the largest sum of (sum of values)^2 / count over both sides. */
function bestSplit(
  columns: readonly Float64Array[],
  values: readonly number[],
  rows: Int32Array,
  sortedBy: (feature: number) => Int32Array,
  { categories, minLeaf = 1, featureShare = 1, rng }: GrowOptions,
): Split | undefined {
  if (rows.every((i) => values[i] === values[rows[0]])) return undefined
  const n = rows.length
  const total = rows.reduce((sum, i) => sum + values[i], 0)
  let best: (() => Split) | undefined
  let most = Number.NEGATIVE_INFINITY
  const improves = (sum: number, count: number) => {
    if (count < minLeaf || n - count < minLeaf) return false
    const gain = sum ** 2 / count + (total - sum) ** 2 / (n - count)
    if (gain <= most) return false
    most = gain
    return true
  }
  const features = Array.from(columns.keys())
  const order = rng ? rng.shuffle(features) : features
  const wanted = Math.max(1, Math.round(featureShare * order.length))
  order.forEach((feature, tried) => {
    if (tried >= wanted && best) return
    const size = categories?.[feature] ?? 0
    const column = columns[feature]
    let sum = 0
    if (size === 0) {
      const sorted = sortedBy(feature)
      for (let i = 0; i + 1 < n; i++) {
        sum += values[sorted[i]]
        const here = column[sorted[i]]
        const next = column[sorted[i + 1]]
        if (here === next || !improves(sum, i + 1)) continue
        best = () => {
          const middle = here + (next - here) * (rng ? rng.uniform() : 0.5)
          // Of neighbours with no number between them the middle may be the upper one.
          return { feature, threshold: middle < next ? middle : here, subset: null }
        }
      }
      return
    }
    const sums = new Float64Array(size)
    const counts = new Int32Array(size)
    for (const i of rows) {
      sums[column[i]] += values[i]
      counts[column[i]]++
    }
    const present = Array.from(counts.keys()).filter((c) => counts[c] > 0)
    present.sort((a, b) => sums[a] / counts[a] - sums[b] / counts[b] || a - b)
    let count = 0
    present.slice(0, -1).forEach((category, i) => {
      sum += sums[category]
      count += counts[category]
      if (!improves(sum, count)) return
      best = () => {
        const subset = Uint8Array.from(counts, (c) => (c === 0 && rng ? rng.integer(2) : 0))
        for (const c of present.slice(0, i + 1)) subset[c] = 1
        return { feature, threshold: 0, subset }
      }
    })
  })
  return best?.()
}

/** The leaf that a point falls into. */
export function leafOf({ feature, threshold, subset, left, right }: Tree, x: Float64Array): number {
  let node = 0
  while (feature[node] >= 0) node = goesLeft(subset[node], threshold[node], x[feature[node]]) ? left[node] : right[node]
  return node
}

/**
 * Mean and variance at a point, by the law of total variance over the trees: the mean of the variances in the leaves and the
 * variance of their means (Hutter et al. 2014).
 */
export function predict(forest: readonly Tree[], x: Float64Array): { mean: number; variance: number } {
  const leaves = new Int32Array(forest.length)
  let mean = 0
  for (let t = 0; t < forest.length; t++) {
    leaves[t] = leafOf(forest[t], x)
    mean += forest[t].value[leaves[t]] / forest.length
  }
  let variance = 0
  for (let t = 0; t < forest.length; t++)
    variance += (forest[t].variance[leaves[t]] + (forest[t].value[leaves[t]] - mean) ** 2) / forest.length
  return { mean, variance }
}
