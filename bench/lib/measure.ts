/** Interleaved measurements and what they say: medians of paired ratios with bootstrap intervals. */
import { Rng, rngStream } from '../../src/core/rng.js'

/** Something that is measured: one round of it, in seconds per unit. */
export type Subject = { name: string; run(): Promise<number> }
export type Samples = { readonly [subject: string]: readonly number[] }

export type Effort = {
  /** Rounds at least and at most; the first comes before them and does not count. */
  least: number
  most: number
  /** Stops after this many seconds, once `least` rounds are done. */
  seconds: number
}

export type Ratio = { median: number; low: number; high: number; rounds: number }

/** Half the width of the interval, relative to the median, below which a ratio counts as settled. */
const SETTLED = 0.05
const RESAMPLES = 2000

/**
 * Runs A B C, A B C, ... and stops when the ratio of every other subject to the first is settled, or the effort is
 * spent.
 */
export async function interleave(subjects: readonly Subject[], effort: Effort): Promise<Samples> {
  const samples: { [subject: string]: number[] } = Object.fromEntries(subjects.map(({ name }) => [name, []]))
  const begun = performance.now()
  for (let round = -1; round < effort.most; round++) {
    for (const { name, run } of subjects) {
      const cost = await run()
      if (round >= 0) samples[name].push(cost)
    }
    if (round + 1 < effort.least) continue
    if ((performance.now() - begun) / 1000 > effort.seconds) break
    const [ours, ...peers] = subjects
    if (peers.every(({ name }) => isSettled(ratio(samples[name], samples[ours.name])))) break
  }
  return samples
}

export const isSettled = ({ median, low, high }: Ratio): boolean =>
  high - median <= SETTLED * median && median - low <= SETTLED * median

/** The median of theirs/ours, round by round, with its 95 % interval from 2,000 bootstrap resamples. */
export function ratio(theirs: readonly number[], ours: readonly number[]): Ratio {
  const pairs = theirs.map((cost, i) => cost / ours[i])
  const rng = new Rng(rngStream(0, 'bootstrap'))
  const medians = Array.from({ length: RESAMPLES }, () => median(pairs.map(() => pairs[rng.integer(pairs.length)])))
  medians.sort((a, b) => a - b)
  return {
    median: median(pairs),
    low: medians[Math.floor(0.025 * RESAMPLES)],
    high: medians[Math.ceil(0.975 * RESAMPLES) - 1],
    rounds: pairs.length,
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
