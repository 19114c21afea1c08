/**
 * Trials of earlier sessions as first points: M. Feurer, J. T. Springenberg, F. Hutter, "Initializing Bayesian Hyperparameter
 * Optimization via Meta-Learning", AAAI 2015.
 */
import type { EarlierSession } from '../../core/method.js'
import type { Params } from '../../core/space.js'

/** At most `most` of the trials: the best of every session in their order, then the second best of every one, and so on. */
export function bestOf(earlier: readonly EarlierSession[], sign: number, most: number): Params[] {
  const ranked = earlier.map(({ trials }) => trials.toSorted((a, b) => sign * a.value - sign * b.value))
  const found = new Map<string, Params>()
  const longest = ranked.reduce((length, trials) => Math.max(length, trials.length), 0)
  for (let rank = 0; rank < longest; rank++)
    for (const trials of ranked) {
      if (found.size === most) return [...found.values()]
      const params = trials[rank]?.params
      if (params) found.set(JSON.stringify(params), params)
    }
  return [...found.values()]
}
