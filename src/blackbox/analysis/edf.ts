/** The empirical distribution function of the told values. */
import type { ToldTrial } from './trials.js'

export type Edf = { values: number[]; fractions: number[] }

/** Distinct values, rising, and of each the share of trials with at most this value. */
export function edf(trials: readonly ToldTrial[], objective: number): Edf {
  const sorted = trials.map(({ values }) => values[objective]).sort((a, b) => a - b)
  const last = sorted.flatMap((value, i) => (value === sorted[i + 1] ? [] : [i]))
  return { values: last.map((i) => sorted[i]), fractions: last.map((i) => (i + 1) / sorted.length) }
}
