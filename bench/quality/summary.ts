/** What the runs of the quality benchmarks amount to: shares, regrets and ratios of means. */
import { Rng, rngStream } from '../../src/core/rng.js'
import type { Ratio } from '../lib/measure.js'
import type { Line } from '../lib/report.js'

type Run = { subject: string; seed: number; refused?: string; failed?: string; seconds?: number }
export type BbobRun = Run & {
  dimension: number
  function: number
  instance: number
  /** Evaluations until each target was reached, null where it was not. */
  hits?: (number | null)[]
}
export type TuningRun = Run & {
  task: string
  /** Normalised regret after each round. */
  regret?: number[]
}

const GROUPS = [
  { name: 'separable', from: 1, to: 5 },
  { name: 'moderate', from: 6, to: 9 },
  { name: 'ill-conditioned', from: 10, to: 14 },
  { name: 'multimodal', from: 15, to: 19 },
  { name: 'weak structure', from: 20, to: 24 },
]
const RESAMPLES = 2000

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
const share = ({ hits = [] }: BbobRun) => (100 * hits.filter((n) => n !== null).length) / hits.length

/** The groups of functions of BBOB that take part. */
export const groups = (functions: readonly number[]) =>
  GROUPS.filter(({ from, to }) => functions.some((f) => f >= from && f <= to))

/** Means by group of functions; one row for each subject. */
export function shareTable(
  runs: readonly BbobRun[],
  subjects: readonly string[],
  columns: ReturnType<typeof groups>,
): string {
  const header = ['', 'all', ...columns.map(({ name }) => name)]
  const rows = subjects.flatMap((name) => {
    const own = runs.filter((run) => run.subject === name && run.hits)
    if (!own.length) return []
    const inside = columns.map(({ from, to }) => own.filter((run) => run.function >= from && run.function <= to))
    return [[name, ...[own, ...inside].map((part) => mean(part.map(share)).toFixed(1))]]
  })
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  return [header, ...rows]
    .map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '))
    .join('\n')
}

/** The ratio of two means over the same problems, with a 95 % interval from resampled problems. */
function ratioOfMeans(above: readonly number[], below: readonly number[]): Ratio {
  const rng = new Rng(rngStream(0, 'bootstrap'))
  const drawn = Array.from({ length: RESAMPLES }, () => {
    const picks = above.map(() => rng.integer(above.length))
    return mean(picks.map((i) => above[i])) / mean(picks.map((i) => below[i]))
  }).sort((a, b) => a - b)
  return {
    median: mean(above) / mean(below),
    low: drawn[Math.floor(0.025 * RESAMPLES)],
    high: drawn[Math.ceil(0.975 * RESAMPLES) - 1],
    rounds: above.length,
  }
}

/** The first subject beside each of the others, on the problems that both have a figure for. */
function versus<R extends Run>(
  runs: readonly R[],
  [ours, ...others]: readonly string[],
  key: (run: R) => string,
  figure: (run: R) => number | undefined,
  line: Pick<Line, 'row' | 'what' | 'unit'> & { less: boolean },
): Line[] {
  const { less, ...rest } = line
  const figures = (name: string) =>
    new Map(
      runs.flatMap((run) => {
        const value = run.subject === name ? figure(run) : undefined
        return value === undefined ? [] : [[key(run), value] as const]
      }),
    )
  const mine = figures(ours)
  return others.flatMap((name): Line[] => {
    const own = runs.filter(({ subject }) => subject === name)
    const theirs = figures(name)
    const keys = [...theirs.keys()].filter((k) => mine.has(k))
    const [a, b] = [keys.map((k) => mine.get(k) as number), keys.map((k) => theirs.get(k) as number)]
    const failures = own.filter(({ failed }) => failed)
    const refused = own.find((run) => run.refused)?.refused
    const said = [
      refused ? `${name} left out: ${refused}` : '',
      failures.length ? `${name} failed in ${failures.length} of ${own.length} runs: ${failures[0].failed}` : '',
    ]
    const note = said.filter(Boolean).join('; ') || undefined
    if (!keys.length) return refused ? [{ ...rest, ours: Number.NaN, against: name, note }] : []
    const ratio = less ? ratioOfMeans(b, a) : ratioOfMeans(a, b)
    return [{ ...rest, ours: mean(a), against: name, theirs: mean(b), ratio, note }]
  })
}

export const bbobLines = (runs: readonly BbobRun[], subjects: readonly string[], what: string): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.function} ${run.instance}`,
    (run) => (run.hits ? share(run) : undefined),
    { row: 'bbob', what, unit: '%', less: false },
  )

export const tuningLines = (runs: readonly TuningRun[], subjects: readonly string[], what: string): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.task} ${run.seed}`,
    ({ regret }) => (regret ? 100 * regret[regret.length - 1] : undefined),
    { row: 'tuning', what: `regret after ${what}`, unit: '%', less: true },
  )
