/**
 * Importances by PED-ANOVA: S. Watanabe, A. Bansal, F. Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
 * Arbitrary Subspaces", IJCAI 2023, arXiv 2304.10255. Of a parameter: how far the distribution of its values among the best
 * trials is from that among all, by Pearson's divergence of Parzen estimates on a grid. A parameter that is not always active
 * is weighed by how often it is active among the best and among all: arXiv 2601.20800, theorem 4.2.
 *
 * Estimates as in Optuna: Scott's rule on the grid, a prior kernel of the weight of one trial.
 */
import type { Parameter, ParamValue, SearchSpace } from '../../core/space.js'
import { normalCdf } from '../bayes/acquisition.js'
import type { ToldTrial } from './trials.js'

/** Cells of the grid of a continuous parameter. */
const CELLS = 50
/** A narrowest kernel: 90% of it lies within its cell. */
const LEAST_WIDTH = 0.5 / 1.64
/** Keeps quotients of densities finite. */
const FLOOR = 1e-12
/** Fewer trials with the parameter active say nothing. */
const LEAST_TRIALS = 2

/** Divergences by parameter, in the order of the space; 0 where nothing can be told. Permutations have no entry. */
export function pedAnova(
  { parameters }: SearchSpace,
  trials: readonly ToldTrial[],
  losses: readonly number[],
  quantile: number,
): { parameter: string; raw: number }[] {
  const sorted = [...losses].sort((a, b) => a - b)
  const cut = sorted[Math.ceil(quantile * losses.length) - 1]
  const best = trials.filter((_, i) => losses[i] <= cut)
  return parameters
    .filter(({ type }) => type !== 'permutation')
    .map((p) => {
      const active = ({ params }: ToldTrial) => Object.hasOwn(params, p.name)
      const [top, all] = [best.filter(active), trials.filter(active)]
      const raw =
        isSingle(p) || top.length === 0 || all.length < LEAST_TRIALS
          ? 0
          : ((top.length / best.length) ** 2 / (all.length / trials.length)) * divergence(p, top, all)
      return { parameter: p.name, raw: raw * (best.length / trials.length) ** 2 }
    })
}

const isSingle = (p: Parameter): boolean =>
  p.type === 'permutation'
    ? p.items.length === 1
    : 'choices' in p
      ? p.choices.length === 1
      : p.low === p.high || p.high - p.low < (p.step ?? 0)

function divergence(p: Parameter, top: readonly ToldTrial[], all: readonly ToldTrial[]): number {
  const valuesOf = (trials: readonly ToldTrial[]) => trials.map(({ params }) => params[p.name])
  const [a, b] = [density(p, valuesOf(top)), density(p, valuesOf(all))]
  return b.reduce((sum, q, i) => sum + q * (a[i] / q - 1) ** 2, 0)
}

/** The estimated probability of each cell. */
function density(p: Parameter, values: readonly ParamValue[]): Float64Array {
  const counts = countCells(p, values)
  const cells = [...counts.keys()].filter((i) => counts[i] > 0)
  const weights = cells.map((i) => counts[i])
  return p.type === 'categorical'
    ? choiceDensity(counts.length, cells, weights)
    : gridDensity(counts.length, cells, weights)
}

/** How many values fall to each cell; one halfway between two goes to the lower. */
function countCells(p: Parameter, values: readonly ParamValue[]): Float64Array {
  if (p.type === 'permutation') throw new TypeError(`${p.name} is a permutation`)
  const choices = 'choices' in p ? p.choices : undefined
  const log = 'log' in p && p.log
  const number = (value: ParamValue) =>
    choices ? choices.indexOf(value as never) : log ? Math.log(value as number) : (value as number)
  const [low, high] = 'choices' in p ? [0, p.choices.length - 1] : [number(p.low), number(p.high)]
  const step = 'choices' in p ? 1 : (p.step ?? (p.type === 'int' && !log ? 1 : undefined))
  // Of steps the last may lie below `high`.
  const last = step === undefined ? high : low + Math.floor((high - low) / step + 1e-9) * step
  const n =
    p.type === 'categorical'
      ? p.choices.length
      : step !== undefined
        ? Math.min(Math.round((last - low) / step) + 1, CELLS)
        : p.type === 'int' && 'low' in p
          ? Math.min(Math.ceil(Math.log(p.high - p.low + 1) / Math.log(2)) + 1, CELLS)
          : CELLS
  const counts = new Float64Array(n)
  const width = (last - low) / (n - 1)
  for (const value of values) counts[Math.min(n - 1, Math.max(0, Math.ceil((number(value) - low) / width - 0.5)))]++
  return counts
}

/** A kernel for each cell with values, with the weight of their number, and one of weight 1 over all cells. */
function choiceDensity(n: number, cells: readonly number[], weights: readonly number[]): Float64Array {
  const total = weights.reduce((sum, w) => sum + w, 1)
  const prior = 1 / (cells.length + 1)
  const out = new Float64Array(n).fill(1 / n / total + FLOOR)
  cells.forEach((cell, k) => {
    for (let i = 0; i < n; i++) out[i] += ((weights[k] / total) * (prior + (i === cell ? 1 : 0))) / (1 + n * prior)
  })
  return out
}

/** The same with normal kernels, cut off at the ends of the grid and integrated over each cell. */
function gridDensity(n: number, cells: readonly number[], weights: readonly number[]): Float64Array {
  const sums: number[] = []
  weights.reduce((sum, w, i) => (sums[i] = sum + w), 0)
  const total = sums[sums.length - 1]
  const mean = cells.reduce((sum, cell, k) => sum + cell * weights[k], 0) / total
  const variance = cells.reduce((sum, cell, k) => sum + weights[k] * (cell - mean) ** 2, 0) / Math.max(1, total - 1)
  // Scott's rule: D. W. Scott, "Multivariate Density Estimation", Wiley 1992.
  const first = sums.findIndex((sum) => sum >= Math.floor(total / 4))
  const third = sums.findIndex((sum) => sum > Math.floor((3 * total) / 4))
  const range = cells[third < 0 ? cells.length - 1 : third] - cells[first]
  const width = Math.max(1.059 * Math.min(range / 1.34, Math.sqrt(variance)) * total ** -0.2, LEAST_WIDTH)
  const kernels = [
    ...cells.map((mu, k) => ({ mu, width, weight: weights[k] })),
    { mu: (n - 1) / 2, width: n, weight: 1 },
  ]
  const out = new Float64Array(n).fill(FLOOR)
  for (const { mu, width, weight } of kernels) {
    const mass = (from: number, to: number) => between((from - mu) / width, (to - mu) / width)
    const whole = mass(-0.5, n - 0.5)
    for (let i = 0; i < n; i++) out[i] += ((weight / (total + 1)) * mass(i - 0.5, i + 0.5)) / whole
  }
  return out
}

/** The normal probability of [a, b], exact in both tails. */
const between = (a: number, b: number): number => (a > 0 ? normalCdf(-a) - normalCdf(-b) : normalCdf(b) - normalCdf(a))
