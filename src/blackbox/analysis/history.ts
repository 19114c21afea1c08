/** The best value so far, trial by trial. */
import type { ToldTrial } from './trials.js'

/** `best` is missing while every trial breaks a constraint. */
export type HistoryStep = { trial: number; value: number; best?: number }

/** One step per trial, in the order given; `sign` is -1 for an objective to maximize. */
export function history(trials: readonly ToldTrial[], objective: number, sign: number): HistoryStep[] {
  let best: number | undefined
  return trials.map(({ number, values, feasible }) => {
    const value = values[objective]
    if (feasible && (best === undefined || sign * value < sign * best)) best = value
    return best === undefined ? { trial: number, value } : { trial: number, value, best }
  })
}
