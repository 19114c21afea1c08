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
export type ObjectivesRun = Run & {
  problem: string
  evaluations?: number
  /** Evaluations until the mark was reached, null where it was not; then the share of it that was. */
  reached?: number | null
  share?: number
}

type Group = { name: string; from: number; to: number }
export const BBOB_GROUPS: readonly Group[] = [
  { name: 'separable', from: 1, to: 5 },
  { name: 'moderate', from: 6, to: 9 },
  { name: 'ill-conditioned', from: 10, to: 14 },
  { name: 'multimodal', from: 15, to: 19 },
  { name: 'weak structure', from: 20, to: 24 },
]
export const PBO_GROUPS: readonly Group[] = [
  { name: 'plain', from: 1, to: 3 },
  { name: 'W-model of OneMax', from: 4, to: 10 },
  { name: 'W-model of LeadingOnes', from: 11, to: 17 },
  { name: 'combinatorial', from: 18, to: 23 },
]
const RESAMPLES = 2000

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length
const share = ({ hits = [] }: BbobRun) => (100 * hits.filter((n) => n !== null).length) / hits.length

function aligned(rows: readonly string[][]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  return rows
    .map((row) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '))
    .join('\n')
}

/** Mean shares of the targets by group of functions, of those groups that take part; one row for each subject. */
export function shareTable(runs: readonly BbobRun[], subjects: readonly string[], groups: readonly Group[]): string {
  const inside = ({ from, to }: Group) => runs.filter((run) => run.function >= from && run.function <= to)
  const columns = groups.filter((group) => inside(group).length)
  const rows = subjects.flatMap((name) => {
    const cells = [runs, ...columns.map(inside)].map((part) => part.filter((run) => run.subject === name && run.hits))
    return cells[0].length ? [[name, ...cells.map((part) => mean(part.map(share)).toFixed(1))]] : []
  })
  return aligned([['', 'all', ...columns.map(({ name }) => name)], ...rows])
}

/** By problem the mean number of evaluations to the mark, or in percent how much of it was reached where a run fell short. */
export function markTable(runs: readonly ObjectivesRun[], subjects: readonly string[]): string {
  const problems = [...new Set(runs.map(({ problem }) => problem))]
  const cell = (own: readonly ObjectivesRun[]) => {
    if (own.every(({ reached }) => reached)) return mean(own.map(({ reached }) => reached as number)).toFixed(0)
    return `${mean(own.map((run) => 100 * (run.share as number))).toFixed(1)}%`
  }
  const rows = subjects.flatMap((name) => {
    const own = runs.filter((run) => run.subject === name && run.share !== undefined)
    return own.length ? [[name, ...problems.map((p) => cell(own.filter(({ problem }) => problem === p)))]] : []
  })
  return aligned([['', ...problems], ...rows])
}

/** By subject the mean regret after each of some numbers of trainings, and over all of them. */
export function regretTable(runs: readonly TuningRun[], subjects: readonly string[], after: readonly number[]): string {
  const rows = subjects.flatMap((name) => {
    const own = runs.flatMap((run) => (run.subject === name && run.regret ? [run.regret] : []))
    const cells = [...after.map((n) => own.map((regret) => regret[n - 1])), own.map(mean)]
    return own.length ? [[name, ...cells.map((values) => (100 * mean(values)).toFixed(2))]] : []
  })
  return aligned([['', ...after.map(String), 'mean'], ...rows])
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

export const bbobLines = (runs: readonly BbobRun[], subjects: readonly string[], what: string, row = 'bbob'): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.function} ${run.instance}`,
    (run) => (run.hits ? share(run) : undefined),
    { row, what, unit: '%', less: false },
  )

export const tuningLines = (runs: readonly TuningRun[], subjects: readonly string[], what: string): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.task} ${run.seed}`,
    ({ regret }) => (regret ? 100 * regret[regret.length - 1] : undefined),
    { row: 'tuning', what: `regret after ${what}`, unit: '%', less: true },
  )

/** A run that falls short counts as if it had needed all that NSGA-II has. */
export const objectivesLines = (
  runs: readonly ObjectivesRun[],
  subjects: readonly string[],
  all: number,
  what: string,
): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.problem} ${run.seed}`,
    ({ reached, share }) => (share === undefined ? undefined : (reached ?? all)),
    { row: 'objectives', what, unit: '', less: true },
  ).map((line) => (line.against === 'pymoo-nsga2' ? { ...line, mark: 10 } : line))

export const fidelityLines = (runs: readonly TuningRun[], subjects: readonly string[], what: string): Line[] =>
  versus(
    runs,
    subjects,
    (run) => `${run.task} ${run.seed}`,
    ({ regret }) => (regret ? 100 * mean(regret) : undefined),
    { row: 'fidelity', what: `regret over ${what}`, unit: '%', less: true },
  )
