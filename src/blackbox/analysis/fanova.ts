/**
 * Importances by functional ANOVA of a random forest: F. Hutter, H. Hoos, K. Leyton-Brown, "An Efficient Approach for Assessing
 * Hyperparameter Importance", ICML 2014, algorithm 2 and eq. 5 to 7. Of each tree the share of its variance over the unit cube
 * that the marginal of one coordinate has; the mean over the trees.
 *
 * The forest is that of bayes/forest.ts: bootstrap samples, every coordinate tried at every split, thresholds halfway, leaves
 * down to one trial. Parameters that are not active lie in the middle of their axis.
 */
import { Rng, rngStream } from '../../core/rng.js'
import type { SearchSpace } from '../../core/space.js'
import { growForest, type Tree } from '../bayes/forest.js'
import { offsetsOf, type ToldTrial } from './trials.js'

const TREES = 64
/** Trials that trees are grown from; of more, evenly spaced ones. */
const MAX_ROWS = 1000

/** Shares of the variance by parameter, in the order of the space; zeros where all values are equal. Permutations have no entry. */
export function fanova(
  space: SearchSpace,
  trials: readonly ToldTrial[],
  losses: readonly number[],
): { parameter: string; raw: number }[] {
  const rng = new Rng(rngStream(0, 'fanova'))
  const n = Math.min(trials.length, MAX_ROWS)
  const rows = Array.from({ length: n }, (_, i) => Math.floor((i * trials.length) / n))
  const points = rows.map((i) => trials[i].u)
  // In units of the largest: squares of huge values overflow.
  const largest = losses.reduce((most, loss) => Math.max(most, Math.abs(loss)), 0) || 1
  const values = rows.map((i) => losses[i] / largest)
  const d = points[0]?.length ?? 0
  const shares = varianceShares(growForest(points, values, TREES, rng), d)
  const offsets = offsetsOf(space)
  return space.parameters
    .filter(({ type }) => type !== 'permutation')
    .map(({ name }) => ({ parameter: name, raw: shares[offsets.get(name)!] }))
}

/** Of each coordinate the mean share over the trees that vary at all. */
export function varianceShares(trees: readonly Tree[], dimension: number): number[] {
  const shares = new Array<number>(dimension).fill(0)
  let counted = 0
  for (const tree of trees) {
    const leaves = leavesOf(tree, dimension)
    const mean = leaves.reduce((sum, leaf) => sum + leaf.volume * leaf.value, 0)
    const variance = leaves.reduce((sum, leaf) => sum + leaf.volume * (leaf.value - mean) ** 2, 0)
    if (!(variance > 0)) continue
    counted++
    for (let k = 0; k < dimension; k++) shares[k] += marginalVariance(leaves, k, mean) / variance
  }
  return shares.map((share) => (counted > 0 ? share / counted : 0))
}

/** A part of the unit cube with one value. */
type Leaf = { low: Float64Array; high: Float64Array; volume: number; value: number }

function leavesOf(tree: Tree, dimension: number): Leaf[] {
  const leaves: Leaf[] = []
  const visit = (node: number, low: Float64Array, high: Float64Array) => {
    const k = tree.feature[node]
    if (k < 0) {
      leaves.push({ low, high, volume: low.reduce((v, l, i) => v * (high[i] - l), 1), value: tree.value[node] })
      return
    }
    const cut = tree.threshold[node]
    visit(tree.left[node], low, high.with(k, cut))
    visit(tree.right[node], low.with(k, cut), high)
  }
  visit(0, new Float64Array(dimension), new Float64Array(dimension).fill(1))
  return leaves
}

/** The variance of the mean over all other coordinates, which is constant between neighbouring splits of coordinate k. */
function marginalVariance(leaves: readonly Leaf[], k: number, mean: number): number {
  const edges = [...new Set(leaves.flatMap(({ low, high }) => [low[k], high[k]]))].sort((a, b) => a - b)
  const place = new Map(edges.map((edge, i) => [edge, i]))
  // By differences: each leaf begins at one edge and ends at another.
  const steps = new Float64Array(edges.length)
  for (const { low, high, volume, value } of leaves) {
    const part = (volume / (high[k] - low[k])) * (value - mean)
    steps[place.get(low[k])!] += part
    steps[place.get(high[k])!] -= part
  }
  let [marginal, variance] = [0, 0]
  for (let i = 0; i + 1 < edges.length; i++) {
    marginal += steps[i]
    variance += (edges[i + 1] - edges[i]) * marginal ** 2
  }
  return variance
}
