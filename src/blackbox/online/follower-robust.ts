/**
 * Caching with few action predictions: K. Abdel Sadek, M. Eliáš, "Algorithms for Caching and MTS with reduced number of
 * predictions", ICLR 2024 (arXiv:2404.06280)
 *
 * The space's items are the pages. Query by query the session is told the next request, and decides what is evicted; on some
 * misses it first asks for a prediction. Purposes: `start`; `hit`, `load` (there is room) and `evict`, whose point is the
 * page requested last, and for `evict` the page to evict for it: do so, then tell the next request; and `predict`, whose
 * point is the page that missed: tell the pages that an optimal policy would hold once it is served. Pages are told as
 * indices into the items.
 *
 * Follower trusts predictions until it has missed more than the optimum of its requests. Robust is one phase of random
 * marking; then Follower begins anew.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Observation, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { type Optimum, serve, startOptimum } from './paging.js'
import { itemPoint, itemsOf, playMethod } from './play.js'

const config = z.strictObject({
  cacheSize: field(z.int().min(1).default(8), 'Pages k that the cache holds.', { source: 'ours' }),
  cache: field(z.array(z.string()).default([]), 'Ids of the pages that it holds at the start.', { source: 'ours' }),
  sync: field(
    z.enum(['none', 'linear', 'exponential']).default('none'),
    'Predictions asked during Robust too, at most f(j) after its k - k/2^j-th new page: f = 0, f(j) = j, or 2^j - 1. More ' +
      'of them make it less sensitive to errors.',
    { source: 'arXiv:2404.06280; the windows are ours' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  rng: RngState
  cache: number[]
  /** The cache that the last prediction said. */
  predicted: number[]
  mode: 'follower' | 'robust'
  /** Of Follower: misses and optimum since it began. */
  misses: number
  optimum: Optimum
  /** Of Robust: distinct pages of its phase, the new ones among them, and the window of predictions with those asked in it. */
  distinct: number[]
  fresh: number
  window: number
  asked: number
  /** The page requested last, and the one evicted for it; null before the first. */
  request: number | null
  evicted: number | null
  outcome: 'start' | 'hit' | 'load' | 'evict' | 'predict'
  round: number
  cost: number
  predictions: number
}

const allowance = { none: () => 0, linear: (j: number) => j, exponential: (j: number) => 2 ** j - 1 }
/** The window that `fresh` new pages of a phase lie in: j from k - k/2^j on. */
const windowOf = (fresh: number, k: number) => Math.floor(Math.log2(k / Math.max(1, k - fresh)))

/** Serves a miss: the victim (undefined while there is room) leaves and the page comes. */
function load(config: Config, state: State, page: number): void {
  const { cache, predicted, distinct, mode } = state
  state.cost++
  state.evicted = null
  if (cache.length >= config.cacheSize) {
    const unwanted = cache.filter((p) => !predicted.includes(p)).sort((a, b) => a - b)
    let victim = unwanted[0] ?? cache[0]
    if (mode === 'robust') {
      const unmarked = cache.filter((p) => !distinct.includes(p))
      const synced = state.asked > 0 ? unwanted.filter((p) => unmarked.includes(p)) : []
      victim = synced[0] ?? unmarked[new Rng(state.rng).integer(unmarked.length)]
    }
    state.cache = cache.filter((p) => p !== victim)
    state.evicted = victim
  }
  state.cache.push(page)
  state.outcome = state.evicted === null ? 'load' : 'evict'
  if (mode === 'follower') {
    state.misses++
    if (state.misses > state.optimum.misses)
      Object.assign(state, { mode: 'robust', distinct: [page], fresh: 0, window: 0, asked: 0 })
  }
}

/** Follower begins anew, with what the cache holds. */
function follow({ cacheSize }: Config, state: State): void {
  state.mode = 'follower'
  state.misses = 0
  state.optimum = startOptimum(state.cache, cacheSize)
  state.predicted = state.cache.slice()
}

/** Whether a prediction is wanted before this miss is served. */
function wantsPrediction({ sync, cacheSize }: Config, state: State, page: number): boolean {
  if (state.mode === 'follower') return !state.predicted.includes(page)
  const window = windowOf(state.fresh, cacheSize)
  if (window !== state.window) Object.assign(state, { window, asked: 0 })
  return state.asked < allowance[sync](window)
}

function take(config: Config, state: State, page: number): void {
  state.round++
  state.request = page
  const missed = !state.cache.includes(page)
  if (state.mode === 'robust' && !state.distinct.includes(page)) {
    if (state.distinct.length >= config.cacheSize) follow(config, state)
    else {
      state.distinct.push(page)
      state.fresh += Number(missed)
    }
  }
  if (state.mode === 'follower') state.optimum = serve(state.optimum, page)
  if (!missed) {
    state.outcome = 'hit'
    state.evicted = null
  } else if (wantsPrediction(config, state, page)) {
    state.outcome = 'predict'
    state.evicted = null
  } else load(config, state, page)
}

/** Indices of pages, each once; undefined when one is none. */
function pagesIn(told: ArrayLike<number>, count: number): number[] | undefined {
  const pages = [...new Set(Array.from(told))]
  return pages.every((p) => Number.isInteger(p) && p >= 0 && p < count) ? pages : undefined
}

const REQUEST: Want[] = [
  {
    kind: 'quantities',
    quantities: [{ name: 'request', shape: [], description: 'The next page requested: its index among the items.' }],
  },
]
const PREDICTION: Want[] = [
  {
    kind: 'quantities',
    quantities: [
      {
        name: 'cache',
        shape: [-1],
        description: 'Indices of the pages that an optimal cache would hold after this request.',
      },
    ],
  },
]

export const method = playMethod<Config, State>({
  id: 'follower-robust',
  title: 'Follower and Robust: caching with few predictions',
  summary:
    'Decides what a cache evicts: optimal with right predictions, which it seldom asks for, and safe with wrong ones.',
  references: [
    {
      authors: 'K. Abdel Sadek, M. Eliáš',
      title: 'Algorithms for Caching and MTS with reduced number of predictions',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.06280',
    },
  ],
  config,
  spaces: ['items'],
  recipes: [
    { problem: 'requests', config: { cacheSize: 3 }, maxEvaluations: 400, target: 0.5 },
    { problem: 'requests', config: { cacheSize: 3, sync: 'linear' }, maxEvaluations: 400, target: 0.5 },
  ],
  equations: () => [
    String.raw`\text{Follower, on a miss of } r:\quad \text{ask } P_t \text{ if } r \notin P, \quad \text{evict from } C \setminus P`,
    String.raw`c_F > \mathrm{OPT}_s \;\Rightarrow\; \text{Robust:}\quad \text{evict uniformly from } C \setminus D \text{ while } |D| \le k`,
  ],
  needs: () => ['quantities'],
  check({ cacheSize, cache }, problem) {
    const known = new Set(itemsOf(problem).map(({ id }) => id))
    const issues: Issue[] = cache.flatMap((id, i) => {
      const path = `config.cache[${i}]`
      if (!known.has(id)) return [{ path, message: `"${id}" is not an item of the space` }]
      return cache.indexOf(id) < i ? [{ path, message: `"${id}" is listed twice` }] : []
    })
    if (cache.length > cacheSize)
      issues.push({ path: 'config.cache', message: `expected at most ${cacheSize} pages, got ${cache.length}` })
    return issues
  },
  init({ config, problem }, seed) {
    const indices = new Map(itemsOf(problem).map(({ id }, i) => [id, i]))
    const cache = config.cache.map((id) => indices.get(id) as number)
    return {
      rng: rngStream(seed, 'follower-robust'),
      cache,
      predicted: cache.slice(),
      mode: 'follower',
      misses: 0,
      optimum: startOptimum(cache, config.cacheSize),
      distinct: [],
      fresh: 0,
      window: 0,
      asked: 0,
      request: null,
      evicted: null,
      outcome: 'start',
      round: 0,
      cost: 0,
      predictions: 0,
    }
  },
  ask({ problem }, { request, evicted, outcome, round }) {
    const points = [itemPoint(problem, evicted ?? request ?? 0)]
    return { points, wants: outcome === 'predict' ? PREDICTION : REQUEST, purpose: outcome, round }
  },
  learn({ config, problem }, state, { quantities }: Observation) {
    const count = itemsOf(problem).length
    const [told] = quantities!
    if (state.outcome !== 'predict') {
      const pages = pagesIn(told.request, count)
      if (pages) take(config, state, pages[0])
      return
    }
    const pages = pagesIn(told.cache, count)
    if (!pages) return
    state.predictions++
    state.asked += Number(state.mode === 'robust')
    state.predicted = pages
    load(config, state, state.request as number)
  },
  estimate({ problem }, { cache, cost, predictions, round, mode }) {
    return {
      kind: 'iterate',
      points: cache.map((page) => ({ point: itemPoint(problem, page) })),
      step: round,
      metrics: { cost, predictions, robust: Number(mode === 'robust') },
    }
  },
})
