/**
 * Which points of a set matter to the volume that they dominate below a reference. Values are minimized; rows are equally
 * long.
 */
import { hypervolume, type Values } from './pareto.js'

/** The rows that no other dominates; of equal ones the first. */
export function nondominated(values: readonly Values[]): number[] {
  const order = Array.from(values.keys()).sort((i, j) => {
    for (let k = 0; k < values[i].length; k++) if (values[i][k] !== values[j][k]) return values[i][k] - values[j][k]
    return i - j
  })
  // In this order nothing is dominated by what comes after it.
  const kept: number[] = []
  const covered = (i: number, j: number) => {
    for (let k = 0; k < values[i].length; k++) if (values[j][k] > values[i][k]) return false
    return true
  }
  for (const i of order) if (!kept.some((j) => covered(i, j))) kept.push(i)
  return kept.sort((a, b) => a - b)
}

/** The first fronts, as many as hold `count` points together (of duplicates one a front), or all. */
export function leadingFronts(values: readonly Values[], count: number): number[][] {
  const out: number[][] = []
  let left = Array.from(values.keys())
  let found = 0
  while (left.length > 0 && found < count) {
    const front = nondominated(left.map((i) => values[i])).map((k) => left[k])
    const taken = new Set(front)
    left = left.filter((i) => !taken.has(i))
    out.push(front)
    found += front.length
  }
  return out
}

/** A point a tenth of the rows' extent beyond their worst in each objective; by `least` where there is none. */
export function referenceBeyond(values: readonly Values[], least: number): Float64Array {
  return Float64Array.from({ length: values[0].length }, (_, k) => {
    const [low, high] = values.reduce<[number, number]>(
      ([from, to], v) => [Math.min(from, v[k]), Math.max(to, v[k])],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    )
    return high + (high > low ? 0.1 * (high - low) : least)
  })
}

/** What a point adds to the volume of others: its box less what they cover of it. */
export function exclusive(point: Values, others: readonly Values[], reference: Values): number {
  let box = 1
  for (let k = 0; k < reference.length; k++) box *= Math.max(0, reference[k] - point[k])
  if (box === 0) return 0
  const limited = others.map((other) => Array.from(other, (x, k) => Math.max(x, point[k])))
  const within = nondominated(limited).map((i) => limited[i])
  return Math.max(0, box - hypervolume(within, reference))
}

/** By how much the volume of all would fall without each. */
export const contributions = (values: readonly Values[], reference: Values): Float64Array =>
  Float64Array.from(values, (v, i) =>
    exclusive(
      v,
      values.filter((_, j) => j !== i),
      reference,
    ),
  )

/**
 * `count` rows whose volume is large, one after the other by what it adds: A. P. Guerreiro, C. M. Fonseca, L. Paquete,
 * "Greedy Hypervolume Subset Selection in Low Dimensions", Evolutionary Computation 24, 2016 (at least 1 - 1/e of the best).
 * What a row adds never grows, so one that still adds most need not be compared anew.
 */
export function greedySubset(values: readonly Values[], count: number, reference: Values): number[] {
  const gains = values.map((v) => exclusive(v, [], reference))
  const left = Array.from(values.keys()).sort((i, j) => gains[j] - gains[i] || i - j)
  const chosen: number[] = []
  while (chosen.length < count && left.length > 0) {
    const known = chosen.map((i) => values[i])
    let [best, most] = [0, Number.NEGATIVE_INFINITY]
    for (let at = 0; at < left.length && gains[left[at]] >= most; at++) {
      const i = left[at]
      gains[i] = exclusive(values[i], known, reference)
      if (gains[i] > most || (gains[i] === most && i < left[best])) [best, most] = [at, gains[i]]
    }
    chosen.push(...left.splice(best, 1))
    left.sort((i, j) => gains[j] - gains[i] || i - j)
  }
  return chosen
}

/** A box of the values that a new point could have: from `low` (-Infinity where it has no end) to `high`. */
export type ValueBox = { low: number[]; high: number[] }

/**
 * Disjoint boxes of all that is below the reference and not dominated. Slices along the last objective, as in `hypervolume`;
 * a box that goes on from one slice to the next stays one: about 2n in three objectives.
 */
export function nondominatedBoxes(front: readonly Values[], reference: Values): ValueBox[] {
  const last = reference.length - 1
  if (last === 0) {
    const best = front.reduce((least, v) => Math.min(least, v[0]), reference[0])
    return [{ low: [Number.NEGATIVE_INFINITY], high: [best] }]
  }
  const inside = front.filter((v) => Array.from(v).every((x, k) => x < reference[k]))
  const sorted = inside.sort((a, b) => a[last] - b[last])
  const below = Array.from(reference).slice(0, last)
  const out: ValueBox[] = []
  let open = new Map<string, ValueBox>()
  const close = (box: ValueBox, at: number) => {
    if (at > box.low[last]) out.push({ low: box.low, high: [...box.high, at] })
  }
  for (let i = 0; i <= sorted.length; i++) {
    const from = i === 0 ? Number.NEGATIVE_INFINITY : sorted[i - 1][last]
    const slice = sorted.slice(0, i).map((v) => Array.from(v).slice(0, last))
    const next = new Map<string, ValueBox>()
    const shadows = nondominated(slice).map((k) => slice[k])
    for (const { low, high } of nondominatedBoxes(shadows, below)) {
      const key = `${low} ${high}`
      next.set(key, open.get(key) ?? { low: [...low, from], high })
      open.delete(key)
    }
    for (const box of open.values()) close(box, from)
    open = next
  }
  for (const box of open.values()) close(box, reference[last])
  return out
}
