/**
 * The signed-rank test: F. Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1(6), 1945.
 * Zeros are ranked and split between the signs; equal sizes share the mean of their ranks.
 */
import { normalCdf } from '../bayes/acquisition.js'

/** As in SciPy, the normal approximation serves larger samples. */
const EXACT = 50

/**
 * Probability of a rank sum of the positive differences at least as large as theirs, when every difference were as likely
 * to have the other sign: small where they are mostly above 0. Exact up to 50 differences, ties included.
 */
export function signedRankTest(differences: readonly number[]): number {
  const sorted = [...differences].sort((a, b) => Math.abs(a) - Math.abs(b))
  const n = sorted.length
  /** Twice the ranks, which are whole numbers with ties too. */
  const doubled: number[] = []
  let ties = 0
  for (let from = 0; from < n; ) {
    let to = from
    while (to < n && Math.abs(sorted[to]) === Math.abs(sorted[from])) to++
    for (let i = from; i < to; i++) doubled.push(from + 1 + to)
    ties += (to - from) ** 3 - (to - from)
    from = to
  }
  const sum = (included: (x: number) => boolean) => doubled.reduce((s, r, i) => (included(sorted[i]) ? s + r : s), 0)
  const positive = sum((x) => x > 0)
  if (n <= EXACT)
    return tail(
      doubled.filter((_, i) => sorted[i] !== 0),
      positive,
    )
  const mean = (n * (n + 1)) / 4
  const deviation = Math.sqrt((n * (n + 1) * (2 * n + 1) - ties / 2) / 24)
  return normalCdf((mean - (positive + sum((x) => x === 0) / 2) / 2) / deviation)
}

/** Probability that the sum of a random half of the numbers, each in it or not alike, is at least `bound`. */
function tail(numbers: readonly number[], bound: number): number {
  const probability = new Float64Array(numbers.reduce((a, b) => a + b, 0) + 1)
  probability[0] = 1
  let reach = 0
  for (const number of numbers) {
    reach += number
    for (let s = reach; s >= 0; s--)
      probability[s] = 0.5 * (probability[s] + (s >= number ? probability[s - number] : 0))
  }
  return probability.subarray(bound).reduce((a, b) => a + b, 0)
}
