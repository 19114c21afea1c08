/**
 * NSGA-III: K. Deb, H. Jain, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated
 * Sorting Approach", IEEE Transactions on Evolutionary Computation 18, 2014. Of the last front those survive that lie along
 * directions, spread evenly over the objectives, which few others follow.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { fronts } from '../space/pareto.js'
import { checkDirections, countDirections, directions, partitionsOf } from './directions.js'
import { geneticFields, geneticMethod, type Population, type Survivors } from './genetic.js'

const config = z.strictObject({
  partitions: field(
    z.int().min(1).max(200).optional(),
    'Parts that each objective is divided into: there is a direction for each way of sharing them out. When absent, as many as make a hundred directions at most: 99 for two objectives, 12 for three, 6 for four.',
    { source: 'Deb, Jain 2014' },
  ),
  populationSize: field(
    z.int().min(4).max(10_000).optional(),
    'Members of the population; as many as directions when absent, up to a multiple of 4.',
    { source: 'Deb, Jain 2014' },
  ),
  ...geneticFields,
  crossover: field(z.number().min(0).max(1).default(1), 'Probability that two parents are crossed.', {
    source: 'Deb, Jain 2014',
  }),
  crossoverIndex: field(z.number().positive().default(30), 'How near to their parents the children are.', {
    source: 'Deb, Jain 2014',
  }),
})
type Config = z.infer<typeof config>

/** x of the square system A x = 1, by elimination with pivots; undefined when it is singular. */
function intercepts(rows: readonly number[][]): number[] | undefined {
  const m = rows.length
  const A = rows.map((row) => [...row, 1])
  for (let k = 0; k < m; k++) {
    let pivot = k
    for (let i = k + 1; i < m; i++) if (Math.abs(A[i][k]) > Math.abs(A[pivot][k])) pivot = i
    if (Math.abs(A[pivot][k]) < 1e-12) return undefined
    ;[A[k], A[pivot]] = [A[pivot], A[k]]
    for (let i = 0; i < m; i++) {
      if (i === k) continue
      const factor = A[i][k] / A[k][k]
      for (let j = k; j <= m; j++) A[i][j] -= factor * A[k][j]
    }
  }
  return A.map((row, i) => row[i] / row[m])
}

/** Values from the ideal point, in units of the intercepts of the plane through the extreme points. */
function normalized(values: readonly number[][]): number[][] {
  const m = values[0].length
  const ideal = Array.from({ length: m }, (_, k) => Math.min(...values.map((v) => v[k])))
  const shifted = values.map((v) => v.map((x, k) => x - ideal[k]))
  const worst = Array.from({ length: m }, (_, k) => Math.max(...shifted.map((v) => v[k])))
  const extremes = Array.from({ length: m }, (_, k) => {
    const along = (v: readonly number[]) => Math.max(...v.map((x, j) => (j === k ? x : 1e6 * x)))
    return shifted.reduce((a, b) => (along(b) < along(a) ? b : a))
  })
  const cuts = intercepts(extremes)
  const usable = cuts?.every((c) => Number.isFinite(c) && c > 1e-9)
  return shifted.map((v) => v.map((x, k) => x / ((usable ? cuts![k] : worst[k]) || 1)))
}

/** The direction that a point is nearest to, and how far it is from its line. */
function nearest(point: readonly number[], lines: readonly number[][]): { line: number; distance: number } {
  let best = { line: 0, distance: Number.POSITIVE_INFINITY }
  lines.forEach((w, line) => {
    const length = w.reduce((sum, x) => sum + x * x, 0)
    const along = w.reduce((sum, x, k) => sum + x * point[k], 0) / length
    const distance = Math.hypot(...point.map((x, k) => x - along * w[k]))
    if (distance < best.distance) best = { line, distance }
  })
  return best
}

/** Takes members of the last front one by one, each for one of the directions that the fewest follow (algorithm 4). */
function niche(
  partitions: number,
  { values }: Population,
  chosen: number[],
  last: number[],
  size: number,
  rng: Rng,
): number[] {
  const usable = [...chosen, ...last].filter((i) => values[i].every(Number.isFinite))
  const lines = directions(values[0].length, partitions)
  const scaled = usable.length > 0 ? normalized(usable.map((i) => values[i])) : []
  const near = new Map(usable.map((i, k) => [i, nearest(scaled[k], lines)]))
  const followers = new Array<number>(lines.length).fill(0)
  for (const i of chosen) if (near.has(i)) followers[near.get(i)!.line]++
  const left = new Set(last)
  const taken: number[] = []
  while (chosen.length + taken.length < size) {
    const open = [...left].filter((i) => near.has(i))
    // Without values there is no direction.
    if (open.length === 0) return [...taken, ...[...left].slice(0, size - chosen.length - taken.length)]
    const fewest = Math.min(...open.map((i) => followers[near.get(i)!.line]))
    const candidates = [...new Set(open.map((i) => near.get(i)!.line))].filter((line) => followers[line] === fewest)
    const line = candidates[rng.integer(candidates.length)]
    const around = open.filter((i) => near.get(i)!.line === line)
    const closest = around.reduce((a, b) => (near.get(b)!.distance < near.get(a)!.distance ? b : a))
    const member = fewest === 0 ? closest : around[rng.integer(around.length)]
    followers[line]++
    left.delete(member)
    taken.push(member)
  }
  return taken
}

export const method = geneticMethod<Config>({
  id: 'nsga3',
  version: 2,
  title: 'NSGA-III',
  summary: 'A genetic algorithm for three objectives and more: spreads its front along directions given beforehand.',
  references: [
    {
      authors: 'K. Deb, H. Jain',
      title:
        'An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting Approach',
      year: 2014,
      url: 'https://doi.org/10.1109/TEVC.2013.2281535',
    },
  ],
  config,
  recipes: [
    { problem: 'two-objectives', config: { partitions: 19 }, maxEvaluations: 1500, target: 0.08 },
    { problem: 'mixed', config: { populationSize: 20 }, maxEvaluations: 1000, target: 0.05 },
  ],
  equations: () => [
    String.raw`\tilde f_k = \frac{f_k - z_k^*}{a_k}`,
    String.raw`d(i, w) = \left\| \tilde f(i) - \frac{w^\top \tilde f(i)}{\|w\|^2} w \right\|`,
  ],
  check: (config, problem) => checkDirections(problem.objectives.length, partitionsOf(config, problem)),
  size: (config, problem) =>
    config.populationSize ??
    4 * Math.max(1, Math.ceil(countDirections(problem.objectives.length, partitionsOf(config, problem)) / 4)),
  survive({ config, problem }, all, size, rng) {
    const survivors: Survivors = { chosen: [], ranks: [], distances: [] }
    for (const [rank, front] of fronts(all.values, all.violations).entries()) {
      const room = size - survivors.chosen.length
      const taken =
        front.length <= room ? front : niche(partitionsOf(config, problem), all, survivors.chosen, front, size, rng)
      survivors.chosen.push(...taken)
      // Parents are equal but for constraints: the niches have seen to the rest.
      const best = all.violations[front[0]] === 0 ? 0 : rank + 1
      survivors.ranks.push(...taken.map(() => best))
      survivors.distances.push(...taken.map(() => 0))
      if (survivors.chosen.length === size) break
    }
    return survivors
  },
})
