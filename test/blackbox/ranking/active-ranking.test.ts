import { describe, expect, test } from 'vitest'
import { method as activeRanking } from '../../../src/blackbox/ranking/active-ranking.js'
import { method as bestExpert } from '../../../src/blackbox/ranking/best-expert.js'
import {
  type ComparisonOptions,
  learn,
  requestOf,
  startComparison,
  threshold,
  type Verdict,
} from '../../../src/blackbox/ranking/comparison.js'
import type { AnyMethod } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Direction, Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'

const TASKS = 64
const options: ComparisonOptions = { tasks: TASKS, noise: 1, delta: 0.05, limit: Infinity, sampling: 'halving' }

/** Compares two experts that differ by `gap` of each task; the noise of each score is normal. */
function compare(gap: (task: number) => number, more: Partial<ComparisonOptions>, seed: number) {
  const all = { ...options, ...more }
  const tasks = new Rng(rngStream(seed, 'tasks'))
  const noise = new Rng(rngStream(seed, 'noise'))
  const at = startComparison(all, tasks)
  let verdict: Verdict | undefined
  while (verdict === undefined) {
    const request = requestOf(at, all)!
    const deviation = all.noise * Math.sqrt(2 / request.repeats)
    const differences = request.tasks.map((task) => gap(task) + deviation * noise.normal())
    verdict = learn(at, all, differences, tasks)
  }
  return { verdict, spent: at.spent }
}
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const runs = (count: number, gap: (task: number) => number, more: Partial<ComparisonOptions> = {}) => {
  const results = Array.from({ length: count }, (_, seed) => compare(gap, more, seed))
  return {
    wrong: results.filter(({ verdict }) => verdict !== 1).length,
    median: median(results.map(({ spent }) => spent)),
  }
}

test('[active-expert-ranking] one task in 64 with gap 2: no errors, and a fraction of what averaging takes', () => {
  const gap = (task: number) => (task === 17 ? 2 : 0)
  const halving = runs(200, gap)
  expect(halving.wrong).toBe(0)
  expect(halving.median).toBeLessThanOrEqual(4000)
  const uniform = runs(5, gap, { sampling: 'uniform' })
  expect(uniform.wrong).toBe(0)
  expect(uniform.median / halving.median).toBeGreaterThanOrEqual(50)
})

test('[active-expert-ranking] a gap of 0.5 on all tasks: not much more than averaging', () => {
  const halving = runs(200, () => 0.5)
  const uniform = runs(200, () => 0.5, { sampling: 'uniform' })
  expect(halving.wrong).toBe(0)
  expect(uniform.wrong).toBe(0)
  expect(halving.median).toBeLessThanOrEqual(8 * uniform.median)
})

const problemOf = (n: number, direction: Direction = 'maximize'): Problem => ({
  space: { kind: 'items', items: Array.from({ length: n }, (_, i) => ({ id: `e${i}` })) },
  objectives: [{ name: 'score', direction }],
})
/** Plays a tournament of experts with these scores on all tasks, with normal noise. */
function play(method: AnyMethod, qualities: readonly number[], config: object, direction: Direction = 'maximize') {
  const driver = new Driver(method, problemOf(qualities.length, direction), { tasks: 8, ...config }, 3)
  const noise = new Rng(rngStream(3, 'noise'))
  const queries: Query[] = []
  for (let [query] = driver.ask(); query; [query] = driver.outcome!.queries) {
    queries.push(query)
    const [first, second, note] = query.points
    if (first.kind !== 'item' || second.kind !== 'item' || note.kind !== 'text') throw new Error('two items and a note')
    const tasks: number[] = JSON.parse(note.text.tasks)
    const scores = (item: string) =>
      Float64Array.from(
        tasks,
        () => qualities[Number(item.slice(1))] + noise.normal() / Math.sqrt(Number(note.text.repeats)),
      )
    const quantities = [first, second].map(({ item }) => ({ scores: scores(item) }))
    driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', quantities } })
    driver.restart()
  }
  const order = driver.estimate().points.map(({ point }) => (point.kind === 'item' ? Number(point.item.slice(1)) : -1))
  return { driver, queries, order, estimate: driver.estimate() }
}

const QUALITIES = [2, 5, 0, 3, 6, 1, 4]

test('[active-expert-ranking] the ranking takes at most n*ceil(log2 n) comparisons; the best expert n - 1', () => {
  const n = QUALITIES.length
  const ranking = play(activeRanking, QUALITIES, {})
  expect(ranking.order).toEqual([4, 1, 6, 3, 0, 5, 2])
  expect(ranking.estimate.step).toBeLessThanOrEqual(n * Math.ceil(Math.log2(n)))
  const best = play(bestExpert, QUALITIES, {})
  expect(best.order).toEqual([4])
  expect(best.estimate.step).toBe(n - 1)
  expect(best.estimate.metrics!.scores).toBeLessThan(ranking.estimate.metrics!.scores)
  expect(play(activeRanking, QUALITIES, {}, 'minimize').order).toEqual([2, 5, 0, 3, 6, 1, 4])
})

test('[active-expert-ranking] equal experts are undecided at the cap of queries', () => {
  for (let seed = 0; seed < 50; seed++) {
    const { verdict, spent } = compare(() => 0, { limit: 20_000 }, seed)
    expect(verdict).toBe(0)
    expect(spent).toBeLessThanOrEqual(20_000)
  }
  const { estimate, driver, order } = play(activeRanking, [1, 1, 3], { maxPerComparison: 2000 })
  expect(order).toEqual([2, 0, 1])
  expect(estimate.metrics!.undecided).toBe(1)
  expect(driver.outcome?.status).toMatchObject({
    phase: 'done',
    reason: expect.stringContaining('1 of them undecided'),
  })
  expect(play(bestExpert, [1, 1], { maxPerComparison: 500 }).order).toEqual([0])
})

describe('active-ranking', () => {
  test('the schedule: budgets double, stages of 2^h tasks are halved to one, which gets the whole budget', () => {
    const rng = new Rng(rngStream(0, 'tasks'))
    const at = startComparison({ ...options, tasks: 4 }, rng)
    const asked: string[] = []
    while (at.k <= 3) {
      const { tasks, repeats } = requestOf(at, { ...options, tasks: 4 })!
      asked.push(`${at.k}.${at.h} ${tasks.length}x${repeats}`)
      // Differences of 0: no verdict.
      learn(at, { ...options, tasks: 4 }, new Float64Array(tasks.length), rng)
    }
    expect(asked).toEqual([
      ...['1.0 1x2', '1.1 2x1', '1.1 1x2'],
      ...['2.0 1x4', '2.1 2x2', '2.1 1x4'],
      ...['3.0 1x8', '3.1 2x4', '3.1 1x8', '3.2 4x1', '3.2 2x2', '3.2 1x8'],
    ])
    const share = 0.05 / (2 * 9 * 3 * 1.65)
    expect(threshold({ ...options, tasks: 4 }, 3)).toBeCloseTo(
      Math.SQRT2 * Math.sqrt((2 * Math.log(2 / share)) / 8),
      12,
    )
  })

  test('what fails is asked again; one expert needs no comparison; a run needs the number of tasks', () => {
    const driver = new Driver(activeRanking, problemOf(2), { tasks: 8 })
    const [query] = driver.ask()
    driver.tell(query, 'failed')
    expect(driver.outcome?.queries[0].points).toEqual(query.points)
    const alone = new Driver(activeRanking, problemOf(1), { tasks: 8 })
    expect(alone.ask()).toEqual([])
    expect(alone.outcome?.status).toEqual({ phase: 'done', reason: '0 comparisons are made' })
    expect(() => new Driver(activeRanking, problemOf(2), {})).toThrow('config.tasks')
  })
})
