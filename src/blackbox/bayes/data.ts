/** What was told, as the surrogate sees it. */

/** A told point; NaN for infeasible. `noise` is the standard deviation told with the value. */
export type Row = { u: Float64Array; value: number; noise: number }

/** Told noise is cut here, in standard deviations of the values. */
const MAX_NOISE = 1e6

/** At most `limit` of the rows: the best quarter of that, and of the others evenly spaced ones, in their order. */
export function subset<R extends Pick<Row, 'value'>>(rows: readonly R[], limit: number): readonly R[] {
  if (rows.length <= limit) return rows
  const order = rows.map((_, i) => i).sort((a, b) => rank(rows[a]) - rank(rows[b]) || a - b)
  const best = Math.floor(limit / 4)
  const rest = order.slice(best).sort((a, b) => a - b)
  const spaced = Array.from({ length: limit - best }, (_, i) => rest[Math.floor((i * rest.length) / (limit - best))])
  return [...order.slice(0, best), ...spaced].sort((a, b) => a - b).map((i) => rows[i])
}
const rank = ({ value }: Pick<Row, 'value'>) => (Number.isNaN(value) ? Number.MAX_VALUE : value)

/** Mean and standard deviation of the told values; safe where their squares or differences overflow. */
export function standardization(rows: readonly Row[]): { center: number; scale: number } {
  const values = rows.flatMap(({ value }) => (Number.isNaN(value) ? [] : [value]))
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  if (largest === 0 || values.every((v) => v === values[0])) return { center: values[0] ?? 0, scale: 1 }
  const mean = values.reduce((sum, v) => sum + v / largest, 0) / values.length
  const variance = values.reduce((sum, v) => sum + (v / largest - mean) ** 2, 0) / values.length
  const scale = Math.sqrt(variance) * largest
  return { center: mean * largest, scale: scale > 0 ? scale : 1 }
}

/** What the surrogate is given: told values in units of the standardization; infeasible rows count as the worst. */
export function standardized(rows: readonly Row[], { center, scale }: { center: number; scale: number }) {
  const z = rows.map(({ value }) => 2 * ((value / 2 - center / 2) / scale))
  const worst = z.reduce((most, v) => (v > most || Number.isNaN(most) ? v : most), Number.NaN)
  const floor = Number.isNaN(worst) ? 0 : worst
  return {
    points: rows.map(({ u }) => u),
    values: z.map((v) => (Number.isNaN(v) ? floor : v)),
    noises: rows.map(({ noise }) => Math.min(noise / scale, MAX_NOISE) ** 2),
  }
}
