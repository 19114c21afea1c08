/** Points with several values to minimize: dominance, fronts, crowding, hypervolume. Rows of values are equally long. */

export type Values = ArrayLike<number>

/** Whether a is nowhere worse than b and somewhere better. */
export function dominates(a: Values, b: Values): boolean {
  let better = false
  for (let k = 0; k < a.length; k++) {
    if (a[k] > b[k]) return false
    better ||= a[k] < b[k]
  }
  return better
}

/**
 * Indices of the points, front by front: K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A Fast and Elitist Multiobjective
 * Genetic Algorithm: NSGA-II", 2002. Of two infeasible points that with the smaller violation dominates; every feasible one
 * dominates both.
 */
export function fronts(values: readonly Values[], violations?: ArrayLike<number>): number[][] {
  const beats = (i: number, j: number) => {
    const [a, b] = violations ? [violations[i], violations[j]] : [0, 0]
    return a === b ? dominates(values[i], values[j]) : a < b
  }
  const beaten = values.map(() => [] as number[])
  const count = values.map(() => 0)
  for (let i = 0; i < values.length; i++)
    for (let j = 0; j < i; j++) {
      const [winner, loser] = beats(i, j) ? [i, j] : [j, i]
      if (winner === j && !beats(j, i)) continue
      beaten[winner].push(loser)
      count[loser]++
    }
  const out: number[][] = []
  let front = Array.from(values.keys()).filter((i) => count[i] === 0)
  while (front.length > 0) {
    out.push(front)
    front = front.flatMap((i) => beaten[i].filter((j) => --count[j] === 0)).sort((a, b) => a - b)
  }
  return out
}

/** How far apart the neighbours of each point of a front are, objective by objective; Infinity at its ends. */
export function crowding(values: readonly Values[]): Float64Array {
  const distance = new Float64Array(values.length)
  const m = values[0]?.length ?? 0
  for (let k = 0; k < m; k++) {
    const order = Array.from(values.keys()).sort((i, j) => values[i][k] - values[j][k] || i - j)
    const [first, last] = [order[0], order[order.length - 1]]
    distance[first] = Number.POSITIVE_INFINITY
    distance[last] = Number.POSITIVE_INFINITY
    const width = values[last][k] - values[first][k]
    if (!(width > 0) || !Number.isFinite(width)) continue
    for (let i = 1; i + 1 < order.length; i++)
      distance[order[i]] += (values[order[i + 1]][k] - values[order[i - 1]][k]) / width
  }
  return distance
}

/**
 * The volume that points dominate below a reference, by slices along the last objective: L. While et al., "A faster algorithm
 * for calculating hypervolume", 2006. Exact; exponential in the number of objectives.
 */
export function hypervolume(values: readonly Values[], reference: Values): number {
  const m = reference.length
  const inside = values.filter((v) => Array.from(v).every((x, k) => x < reference[k]))
  if (inside.length === 0) return 0
  if (m === 1) return reference[0] - Math.min(...inside.map((v) => v[0]))
  const sorted = [...inside].sort((a, b) => a[m - 1] - b[m - 1])
  const below = Array.from(reference).slice(0, m - 1)
  let volume = 0
  for (let i = 0; i < sorted.length; i++) {
    const to = i + 1 < sorted.length ? sorted[i + 1][m - 1] : reference[m - 1]
    const height = to - sorted[i][m - 1]
    const slice = sorted.slice(0, i + 1).map((v) => Array.from(v).slice(0, m - 1))
    if (height > 0) volume += height * hypervolume(slice, below)
  }
  return volume
}
