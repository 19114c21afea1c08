import { describe, expect, test } from 'vitest'
import { method } from '../../../src/blackbox/online/follower-robust.js'
import { method as ftsp } from '../../../src/blackbox/online/ftsp.js'
import { serve, startOptimum } from '../../../src/blackbox/online/paging.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { indices, items, Session } from './session.js'

const [K, PAGES] = [8, 24]
const pages = items(Array.from({ length: PAGES }, (_, i) => [i]))
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)

/** Requests with probability proportional to 1/rank^0.7, the ranks shuffled. */
function zipf(seed: number, length = 800): number[] {
  const rng = new Rng(rngStream(seed, 'requests'))
  const order = rng.shuffle(Array.from({ length: PAGES }, (_, i) => i))
  const weights = order.map((_, i) => (i + 1) ** -0.7)
  return Array.from({ length }, () => {
    let u = rng.uniform() * sum(weights)
    const rank = weights.findIndex((w) => (u -= w) < 0)
    return order[rank]
  })
}

/** Misses and the cache after each request of the policy that evicts what is needed last. */
function belady(requests: readonly number[], k: number, start: readonly number[] = []) {
  let cache = [...start]
  let misses = 0
  const states = requests.map((page, t) => {
    if (!cache.includes(page)) {
      misses++
      if (cache.length >= k) {
        const next = (p: number) => {
          const at = requests.indexOf(p, t + 1)
          return at < 0 ? Number.POSITIVE_INFINITY : at
        }
        const victim = cache.reduce((a, b) => (next(b) > next(a) ? b : a))
        cache = cache.filter((p) => p !== victim)
      }
      cache = [...cache, page]
    }
    return cache
  })
  return { misses, states }
}
function lru(requests: readonly number[], k: number): number {
  let cache: number[] = []
  let misses = 0
  for (const page of requests) {
    if (!cache.includes(page)) misses++
    cache = [...cache.filter((p) => p !== page), page].slice(-k)
  }
  return misses
}

/** Plays a trace; `predict` gives the cache predicted after request t. Keeps the cache itself and checks each decision. */
function play(requests: readonly number[], config: object, predict: (t: number) => readonly number[], seed = 1) {
  const session = new Session(method, pages, { cacheSize: K, ...config }, seed)
  let cache: number[] = []
  let misses = 0
  requests.forEach((page, t) => {
    session.tell(page)
    if (session.query.purpose === 'predict') {
      expect(indices(session.query)).toEqual([page])
      session.tell(predict(t))
    }
    const { purpose } = session.query
    expect(purpose === 'hit').toBe(cache.includes(page))
    if (purpose === 'hit') return
    misses++
    if (purpose === 'evict') {
      expect(cache.length).toBe(K)
      const [victim] = indices(session.query)
      expect(cache).toContain(victim)
      cache = cache.filter((p) => p !== victim)
    }
    cache = [...cache, page]
    expect(cache.length).toBeLessThanOrEqual(K)
  })
  expect(session.metrics.cost).toBe(misses)
  return { cost: misses, predictions: session.metrics.predictions }
}

const traces = [0, 1, 2, 3, 4].map((seed) => {
  const requests = zipf(seed)
  return { requests, seed, ...belady(requests, K) }
})

test('[follower-robust] perfect predictions: the optimum, with at most as many predictions', () => {
  for (const { requests, misses, states } of traces) {
    const { cost, predictions } = play(requests, {}, (t) => states[t])
    expect(cost).toBe(misses)
    expect(predictions).toBeLessThanOrEqual(cost)
    expect(lru(requests, K)).toBeGreaterThanOrEqual(1.6 * misses)
  }
})

test('[follower-robust] with noise the cost rises and stays safe; fewer predictions are asked', () => {
  const results = [0, 0.1, 0.3, 1].map((noise) => {
    const runs = traces.map(({ requests, misses, states, seed }) => {
      const rng = new Rng(rngStream(seed, 'noise'))
      const random = () => rng.shuffle(Array.from({ length: PAGES }, (_, i) => i)).slice(0, K)
      const { cost, predictions } = play(requests, {}, (t) => (rng.uniform() < noise ? random() : states[t]), seed)
      return { ratio: cost / misses, predictions }
    })
    return { ratio: sum(runs.map((r) => r.ratio)) / 5, predictions: sum(runs.map((r) => r.predictions)), runs }
  })
  expect(results[0].ratio).toBe(1)
  results.slice(1).forEach(({ ratio, predictions, runs }, i) => {
    expect(ratio).toBeGreaterThan(results[i].ratio)
    expect(predictions).toBeLessThan(results[0].predictions)
    for (const run of runs) expect(run.ratio).toBeLessThanOrEqual(2.3)
  })
})

test('follower-robust: predictions during Robust help when they are right again', () => {
  // Wrong for the first 200 requests, right from there on.
  const cost = (sync: string) =>
    traces.map(({ requests, states, seed }) => {
      const rng = new Rng(rngStream(seed, 'wrong'))
      return play(requests, { sync }, (t) => (t < 200 ? [rng.integer(PAGES)] : states[t]), seed)
    })
  const [none, ...some] = ['none', 'linear', 'exponential'].map(cost)
  for (const synced of some) {
    expect(sum(synced.map((r) => r.cost))).toBeLessThan(sum(none.map((r) => r.cost)))
    expect(sum(synced.map((r) => r.predictions))).toBeGreaterThan(sum(none.map((r) => r.predictions)))
  }
})

describe('follower-robust: the optimum of the requests so far', () => {
  test.each([1, 2, 3, 5])('is that of the offline policy, for a cache of %i', (k) => {
    const rng = new Rng(rngStream(k, 'optimum'))
    for (let run = 0; run < 30; run++) {
      const start = run % 2 === 0 ? [] : Array.from({ length: k }, (_, i) => i)
      const requests = Array.from({ length: 60 }, () => rng.integer(k + 3))
      let optimum = startOptimum(start, k)
      requests.forEach((page, t) => {
        optimum = serve(optimum, page)
        if (t % 7 === 6) expect(optimum.misses).toBe(belady(requests.slice(0, t + 1), k, start).misses)
      })
    }
  })
})

test('follower-robust: goes on after a restart at any point, and asks again for what makes no sense', () => {
  const { requests, states } = traces[0]
  const run = (restart: boolean) => {
    const session = new Session(method, pages, { cacheSize: K, cache: ['i3', 'i5'], sync: 'exponential' })
    const asked: unknown[] = []
    requests.slice(0, 200).forEach((page, t) => {
      if (restart) session.restart()
      session.tell(page)
      if (restart) session.restart()
      if (session.query.purpose === 'predict') session.tell(t % 3 === 0 ? [1, 2] : states[t])
      asked.push(session.query)
    })
    return asked
  }
  expect(run(true)).toEqual(run(false))
  const session = new Session(method, pages, { cacheSize: K })
  for (const wrong of [3.5, -1, PAGES]) {
    session.tell(wrong)
    expect([session.query.purpose, session.metrics.cost]).toEqual(['start', 0])
  }
  session.tell(0)
  session.tell([0, 99])
  expect(session.query.purpose).toBe('predict')
  expect(() => new Session(method, pages, { cache: ['nowhere'] })).toThrow('config.cache[0]')
  expect(() => new Session(method, pages, { cache: ['i1', 'i2'], cacheSize: 1 })).toThrow('at most 1 pages')
})

describe('[follower-robust] ftsp on a line of five points', () => {
  const line = items([[0], [1], [2], [3], [4]])
  const TASKS = 400
  /** The least cost of serving all tasks, and where that policy is. */
  function offline(tasks: readonly (readonly number[])[]) {
    let cost = [0, 1, 2, 3, 4]
    const from: number[][] = []
    for (const task of tasks) {
      const best = task.map((_, x) =>
        cost.reduce((b, _, y) => (cost[y] + Math.abs(x - y) < cost[b] + Math.abs(x - b) ? y : b), 0),
      )
      from.push(best)
      cost = task.map((c, x) => c + cost[best[x]] + Math.abs(x - best[x]))
    }
    let x = cost.indexOf(Math.min(...cost))
    const states = new Array<number>(tasks.length)
    for (let t = tasks.length - 1; t >= 0; t--) {
      states[t] = x
      x = from[t][x]
    }
    return { cost: Math.min(...cost), states }
  }
  const ratio = (every: number, seed: number) => {
    const rng = new Rng(rngStream(seed, 'tasks'))
    const tasks = Array.from({ length: TASKS }, () => Array.from({ length: 5 }, () => rng.integer(3)))
    const { cost, states } = offline(tasks)
    const session = new Session(ftsp, line, { every })
    let [at, paid] = [0, 0]
    tasks.forEach((task, t) => {
      session.tell(task)
      if (session.query.purpose === 'predict') session.tell(states[t])
      const [x] = indices(session.query)
      paid += Math.abs(x - at) + task[x]
      at = x
    })
    expect(session.metrics.cost).toBe(paid)
    expect(session.metrics.predictions).toBe(Math.ceil(TASKS / every))
    return paid / cost
  }
  test('the price of asking seldom', () => {
    const means = [1, 2, 4].map((every) => sum([0, 1, 2, 3, 4].map((seed) => ratio(every, seed))) / 5)
    expect(means[0]).toBeLessThanOrEqual(1.02)
    expect(means[1]).toBeLessThanOrEqual(1.5)
    expect(means[2]).toBeLessThanOrEqual(1.9)
    expect(means[1]).toBeGreaterThan(means[0])
    expect(means[2]).toBeGreaterThan(means[1])
    ratio(3, 0)
  })
  test('metrics, starts and what is refused', () => {
    const plane = items([
      [0, 0],
      [3, 4],
    ])
    const cost = (space: typeof plane, metric: string) => {
      const session = new Session(ftsp, space, { metric, start: 'i1' })
      return session.tell([1, 100]).tell(0).metrics.cost
    }
    expect([cost(plane, 'euclidean'), cost(plane, 'manhattan')]).toEqual([6, 8])
    expect(
      cost(
        items([
          [0, 9],
          [2, 0],
        ]),
        'matrix',
      ),
    ).toBe(3)
    expect(() => new Session(ftsp, items([[0], [1]]), { metric: 'matrix' })).toThrow(
      'expected the distances to 2 states',
    )
    expect(() => new Session(ftsp, plane, { start: 'home' })).toThrow('config.start')
  })
})
