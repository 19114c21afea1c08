/**
 * Ski rental with many options: Y. Shin, C. Lee, G. Lee, H.-C. An, "Improved Learning-Augmented Algorithms for the
 * Multi-Option Ski Rental Problem via Best-Possible Competitive Analysis", ICML 2023 (arXiv:2302.06832).
 *
 * The space's items are the options, with the features [cost, days]; days of -1 cover everything. Nobody knows how long the
 * season is. Day by day a query says what to do, `buy` (its points are the options to buy, one by one) or `wait` (its point is
 * the option bought last), and asks whether the season goes on after this day. The session is done when it is over. With
 * costs of a resource, this is a stop rule by growing budgets.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Want } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { ItemsSpace, Problem } from '../../core/space.js'
import {
  type Budgets,
  combinedMenu,
  consistency,
  doubling,
  exponential,
  type Menu,
  nextPurchase,
  type Option,
  predicted,
  robustness,
  singleMenu,
} from './menu.js'
import { itemPoint, itemsOf, playMethod } from './play.js'

const config = z.strictObject({
  strategy: field(
    z.enum(['randomized', 'deterministic']).default('randomized'),
    'Budgets that grow by e from a random start (e-competitive on average), or that double (4-competitive).',
    { source: 'arXiv:2302.06832' },
  ),
  prediction: field(
    z.union([z.number().positive(), z.literal('ask')]).optional(),
    'Predicted days of the season; "ask" has the first query ask for it. Without one, nothing is trusted.',
    { source: 'arXiv:2302.06832' },
  ),
  lambda: field(
    z.number().positive().max(1).default(0.5),
    'Trust in the prediction: towards 0 it is followed, at 1 the guarantee is e whatever it says.',
    { source: 'ours' },
  ),
  combine: field(z.boolean().default(true), 'A budget may buy several options, one after the other.', {
    source: 'arXiv:2302.06832',
  }),
  coverage: field(
    z.enum(['season', 'purchase']).default('season'),
    'What is bought covers its days counted from the start of the season, as in the analysis, or from its purchase.',
    { source: 'arXiv:2302.06832' },
  ),
  horizon: field(
    z.int().min(1).max(1_000_000).default(10_000),
    'Days that combinations of options are planned for; without an unlimited option the session ends there.',
    { source: 'ours', advanced: true },
  ),
})
type Config = z.infer<typeof config>

type State = {
  U: number
  /** Predicted days; null while unknown. */
  predicted: number | null
  /** The day that begins, 1-based, and how many days are covered. */
  day: number
  covered: number
  /** The budget to go on with; null before the first. */
  k: number | null
  cost: number
  /** Options bought today, none on a day that was covered, and the one bought last. */
  today: number[]
  latest: number
  over: string | null
}

const optionsOf = (problem: Problem): Option[] =>
  itemsOf(problem).map(({ features: [cost, days] = [0, 0] }) => ({ cost, days: days === -1 ? Infinity : days }))

function menuOf({ combine, horizon }: Config, problem: Problem, memo: Map<string, unknown>): Menu {
  const options = optionsOf(problem)
  const menu = (memo.get('menu') as Menu) ?? (combine ? combinedMenu(options, horizon) : singleMenu(options))
  memo.set('menu', menu)
  return menu
}

function budgetsOf({ strategy, lambda, horizon }: Config, problem: Problem, menu: Menu, state: State): Budgets {
  const least = menu.opt(1)
  if (strategy === 'deterministic') return doubling(Math.min(...optionsOf(problem).map(({ cost }) => cost)))
  if (state.predicted === null) return exponential(least, state.U)
  return predicted(least, menu.opt(Math.min(state.predicted, horizon)), lambda, state.U)
}

const asksPrediction = ({ prediction }: Config, { predicted, day }: State) =>
  prediction === 'ask' && predicted === null && day === 0

/** Begins a day, and buys what it needs where it is not covered. */
function begin(config: Config, problem: Problem, memo: Map<string, unknown>, state: State): void {
  state.day++
  state.today = []
  if (state.covered >= state.day) return
  const menu = menuOf(config, problem, memo)
  const budgets = budgetsOf(config, problem, menu, state)
  const fromPurchase = config.coverage === 'purchase'
  const next = nextPurchase(menu, budgets, state.k ?? budgets.first, fromPurchase ? 0 : state.covered)
  state.k = next.k
  state.cost += next.bought.cost
  state.today = [...next.bought.options]
  state.latest = state.today[state.today.length - 1]
  state.covered = (fromPurchase ? state.day - 1 : 0) + next.bought.days
}

const CONTINUES = 'Whether the season goes on after this day: 1, or 0 when it is over.'
const ask = (name: string, description: string): Want[] => [
  { kind: 'quantities', quantities: [{ name, shape: [], description }] },
]

export const method = playMethod<Config, State>({
  id: 'ski-rental',
  title: 'Ski rental with many options',
  summary: 'Decides day by day which option to buy for a season of unknown length, with or without a prediction of it.',
  references: [
    {
      authors: 'Y. Shin, C. Lee, G. Lee, H.-C. An',
      title:
        'Improved Learning-Augmented Algorithms for the Multi-Option Ski Rental Problem via Best-Possible Competitive Analysis',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.06832',
    },
  ],
  config,
  spaces: ['items'],
  recipes: [
    { problem: 'ski-season', maxEvaluations: 100, target: 3 },
    { problem: 'ski-season', config: { strategy: 'deterministic' }, maxEvaluations: 100, target: 4 },
    { problem: 'ski-season', config: { prediction: 'ask', lambda: 0.2 }, maxEvaluations: 100, target: 2.5 },
  ],
  equations: ({ strategy, prediction }) => {
    if (strategy === 'deterministic') return [String.raw`B_k = 2^k \min_i c_i`]
    if (prediction === undefined) return [String.raw`B_k = \mathrm{OPT}(1) e^{k + U}, \quad U \sim U[0, 1)`]
    return [
      String.raw`g_k = \lambda o\, e^{k + U}, \quad o = \mathrm{OPT}(\hat T), \quad U \sim U[0, 1)`,
      String.raw`B_k = g_k \;(k < 0), \quad B_0 = \max(o, g_0), \quad B_k = g_k \;(k > 0,\ g_k > o)`,
    ]
  },
  needs: () => ['quantities'],
  check({ strategy, prediction, combine }, problem) {
    const issues: Issue[] = []
    const { items } = problem.space as ItemsSpace
    items.forEach(({ features = [] }, i) => {
      const [cost, days] = features
      const at = `space.items[${i}].features`
      if (features.length !== 2) issues.push({ path: at, message: 'expected [cost, days]' })
      else if (!(cost > 0)) issues.push({ path: `${at}[0]`, message: `expected a cost above 0, got ${cost}` })
      else if (days !== -1 && !(Number.isInteger(days) && days > 0))
        issues.push({ path: `${at}[1]`, message: `expected days of 1 or more, or -1 for no end, got ${days}` })
    })
    if (strategy === 'deterministic' && prediction !== undefined)
      issues.push({ path: 'config.prediction', message: 'only the randomized strategy makes use of a prediction' })
    if (!combine && !items.some(({ features }) => features?.[1] === -1))
      issues.push({ path: 'config.combine', message: 'without an unlimited option, options have to be combined' })
    return issues
  },
  init({ config, problem, memo }, seed) {
    const { prediction, strategy } = config
    const state: State = {
      U: strategy === 'randomized' ? new Rng(rngStream(seed, 'ski-rental')).uniform() : 0,
      predicted: typeof prediction === 'number' ? prediction : null,
      day: 0,
      covered: 0,
      k: null,
      cost: 0,
      today: [],
      latest: 0,
      over: null,
    }
    if (prediction !== 'ask') begin(config, problem, memo, state)
    return state
  },
  ask({ config, problem }, state) {
    const { day, today, latest } = state
    if (asksPrediction(config, state)) {
      const wants = ask('days', 'Predicted days of the season.')
      return { points: [itemPoint(problem, latest)], wants, purpose: 'predict', round: 0 }
    }
    const points = (today.length > 0 ? today : [latest]).map((option) => itemPoint(problem, option))
    return { points, wants: ask('continues', CONTINUES), purpose: today.length > 0 ? 'buy' : 'wait', round: day }
  },
  learn({ config, problem, memo }, state, { quantities }) {
    const [told] = quantities!
    if (asksPrediction(config, state)) {
      if (!(told.days[0] > 0)) return
      state.predicted = told.days[0]
    } else if (told.continues[0] === 0) {
      state.over = 'the season is over'
      return
    } else if (state.day >= config.horizon && optionsOf(problem).every(({ days }) => days < Infinity)) {
      state.over = 'the horizon is reached'
      return
    }
    begin(config, problem, memo, state)
  },
  finished: ({ over }) => over ?? undefined,
  estimate({ config, problem }, { day, cost, covered, latest, predicted }) {
    const { strategy, lambda } = config
    const guarantee = strategy === 'deterministic' ? 4 : predicted === null ? Math.E : robustness(lambda)
    return {
      kind: 'iterate',
      points: day === 0 ? [] : [{ point: itemPoint(problem, latest) }],
      step: day,
      metrics: {
        cost,
        guarantee,
        ...(predicted === null ? {} : { consistency: consistency(lambda) }),
        ...(covered < Infinity ? { covered } : {}),
      },
    }
  },
})
