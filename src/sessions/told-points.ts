/** Which trial was told first at the same parameters: a query that repeats one says so. */
import type { Params } from '../core/space.js'
import type { TrialRecord } from './trials.js'

const keyOf = (params: Params): string =>
  JSON.stringify(
    Object.keys(params)
      .sort()
      .map((name) => [name, params[name]]),
  )

export class ToldPoints {
  private first = new Map<string, number>()

  /** Takes a trial in that has ended. One that failed or was stopped tells little, and repeating it is no repeat. */
  add({ number, params, state }: TrialRecord): void {
    if (state !== 'completed' && state !== 'infeasible') return
    const key = keyOf(params)
    if (!this.first.has(key)) this.first.set(key, number)
  }
  /** After trials were changed by hand, or read from a snapshot. */
  rebuild(trials: readonly TrialRecord[]): void {
    this.first.clear()
    for (const trial of trials) this.add(trial)
  }
  find(params: Params): number | undefined {
    return this.first.get(keyOf(params))
  }
}
