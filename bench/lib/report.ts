/** What a row found, as a table for the terminal, for README and as JSON. */
import { isSettled, median, type Ratio, ratio, type Samples } from './measure.js'

/** One comparison. Ratios above 1 mean that asktell is better. */
export type Line = {
  row: string
  what: string
  /** Median of ours and theirs in `unit`. */
  ours: number
  unit: string
  against: string
  theirs?: number
  ratio?: Ratio
  /** What bounds the row, measured in the same run: not a peer. */
  limit?: boolean
  /** The ratio that is to be reached. */
  mark?: number
  /** What was measured where it needs saying, or why there is no figure. */
  note?: string
}

type Comparison = Pick<Line, 'row' | 'what' | 'unit' | 'against'> &
  Partial<Pick<Line, 'limit' | 'mark' | 'note'>> & {
    samples: Samples
    ours: string
    theirs: string
    /** Seconds per unit of work to a figure in `unit`. */
    figure(seconds: number): number
  }

export function compare({ samples, ours, theirs, figure, ...line }: Comparison): Line {
  return {
    ...line,
    ours: figure(median(samples[ours])),
    theirs: figure(median(samples[theirs])),
    ratio: ratio(samples[theirs], samples[ours]),
  }
}

export const unavailable = (row: string, what: string, against: string, note: string): Line => ({
  row,
  what,
  ours: Number.NaN,
  unit: '',
  against,
  note,
})

const short = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value)
    ? 'n/a'
    : value >= 1000
      ? Math.round(value).toLocaleString('en-US')
      : value.toPrecision(3)

const HEADER = ['row', 'what', 'asktell', 'against', 'theirs', 'ratio', '95 %', 'mark']

function cells({ row, what, ours, unit, against, theirs, ratio: r, limit, mark }: Line): string[] {
  return [
    row,
    what,
    `${short(ours)} ${unit}`.trim(),
    limit ? `limit: ${against}` : against,
    theirs === undefined ? 'n/a' : `${short(theirs)} ${unit}`.trim(),
    r ? `${short(r.median)}x` : 'n/a',
    r ? `${short(r.low)}-${short(r.high)}${isSettled(r) ? '' : ' (wide)'}` : '',
    mark ? `${mark}x ${r && r.median >= mark ? 'met' : 'missed'}` : '',
  ]
}

export function table(lines: readonly Line[]): string {
  const rows = [HEADER, ...lines.map(cells)]
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function markdown(lines: readonly Line[]): string {
  const row = (values: readonly string[]) => `| ${values.join(' | ')} |`
  return [row(HEADER), row(HEADER.map(() => '---')), ...lines.map((line) => row(cells(line)))].join('\n')
}

/** What the lines have to say beside their figures, each once. */
export const notes = (lines: readonly Line[]): string[] => [
  ...new Set(lines.flatMap(({ row, note }) => (note ? `${row}: ${note}` : []))),
]
