/** An analysis as text. */
import type { Analysis } from '../../clients/typescript/src/index.js'
import { print, printTable, short } from './output.js'

/** Lines of a list that goes on; the whole is in --json. */
const LINES = 10

const last = <T>(list: readonly T[]): readonly T[] => list.slice(-LINES)

export function printAnalysis(a: Analysis): void {
  print(`${a.objective} of ${a.trials} trials, revision ${a.revision}`)
  const section = (title: string, header: readonly string[], rows: readonly (readonly string[])[]) => {
    if (rows.length === 0) return
    print(`\n${title}`)
    printTable(header, rows)
  }
  section(
    'best so far',
    ['TRIAL', 'VALUE', 'BEST'],
    last(a.history).map((s) => [String(s.trial), short(s.value), short(s.best)]),
  )
  section(
    `importances (${a.importances?.method})`,
    ['PARAMETER', 'SHARE', 'RAW'],
    (a.importances?.parameters ?? []).map((i) => [i.parameter, i.importance.toFixed(3), short(i.raw)]),
  )
  section(
    'slices of the surrogate',
    ['PARAMETER', 'LOWEST AT', 'MEAN', 'HIGHEST AT', 'MEAN'],
    a.slices.flatMap(({ parameter, surrogate }) => {
      if (surrogate.length === 0) return []
      const sorted = [...surrogate].sort((p, q) => p.mean - q.mean)
      const ends = [sorted[0], sorted[sorted.length - 1]]
      return [[parameter, ...ends.flatMap((p) => [shown(p.parameterValue), short(p.mean)])]]
    }),
  )
  if (a.contour) {
    const { x, y, xValues, yValues, means } = a.contour
    const [low, high] = [Math.min(...means), Math.max(...means)]
    print(`\ncontour of ${x} (${xValues.length}) and ${y} (${yValues.length}): ${short(low)} to ${short(high)}`)
  }
  section(
    'distribution',
    ['AT MOST', 'SHARE'],
    quantiles(a.edf).map(([value, share]) => [short(value), share.toFixed(2)]),
  )
  section(
    `Pareto front (${a.pareto?.front.length}), hypervolume ${short(a.pareto?.hypervolumes.at(-1)?.hypervolume)}`,
    ['TRIAL', 'VALUES', 'PARAMS'],
    (a.pareto?.front ?? []).map((t) => [String(t.trial), t.values.map(short).join(', '), JSON.stringify(t.params)]),
  )
  section(
    'timeline',
    ['TRIAL', 'STATE', 'SECONDS'],
    last(a.timeline).map(({ trial, state, createTime, endTime }) => [
      String(trial),
      state,
      createTime && endTime ? short((endTime.getTime() - createTime.getTime()) / 1000) : '-',
    ]),
  )
  if (a.crossValidation) {
    const { rmse, explained, coverage } = a.crossValidation
    const shares = `explains ${explained.toFixed(3)} of the variance, ${coverage.toFixed(3)} within two deviations`
    print(`\ncross-validation of the surrogate: RMSE ${short(rmse)}, ${shares}`)
  }
  section(
    'predictions',
    ['MEAN', 'DEVIATION', 'PARAMS'],
    a.predictions.map((p) => [short(p.mean), short(p.deviation), JSON.stringify(p.params)]),
  )
  for (const { kind, reason } of a.leftOut) print(`\nno ${kind}: ${reason}`)
}

const shown = (value: unknown): string => (typeof value === 'number' ? short(value) : JSON.stringify(value))

/** The values at the tenths. */
const quantiles = (edf: Analysis['edf']): [number, number][] =>
  edf && edf.values.length > 0
    ? [0.1, 0.25, 0.5, 0.75, 1].map((share) => [edf.values[edf.fractions.findIndex((f) => f >= share - 1e-12)], share])
    : []
