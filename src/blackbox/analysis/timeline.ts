/** When each trial began and ended, and how. */
import type { TrialData } from './trials.js'

export type TimelineEntry = { trial: number; state: string; createTime: number; endTime?: number }

/** All trials but deleted ones, by number. */
export const timeline = (trials: readonly TrialData[]): TimelineEntry[] =>
  trials
    .filter(({ state }) => state !== 'deleted')
    .map(({ number, state, createTime, endTime }) => ({ trial: number, state, createTime, endTime }))
