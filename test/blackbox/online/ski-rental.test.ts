import { describe, expect, test } from 'vitest'
import {
  combinedMenu,
  consistency,
  doubling,
  exponential,
  type Menu,
  paid,
  predicted,
  robustness,
  singleMenu,
} from '../../../src/blackbox/online/menu.js'
import { method } from '../../../src/blackbox/online/ski-rental.js'
import { indices, items, Session } from './session.js'

/** OPT(t) = t, down to seasons of a millionth of a day: budgets begin far below any season that is looked at. */
const LEAST = 1e-6
const continuous: Menu = { opt: (t) => t, buy: (B) => (B < LEAST ? undefined : { days: B, cost: B, options: [0] }) }
const U = Array.from({ length: 4000 }, (_, i) => (i + 0.5) / 4000)
const mean = (f: (u: number) => number) => U.reduce((sum, u) => sum + f(u), 0) / U.length

describe('[ski-rental] the continuous menu', () => {
  test.each([1, 1.7, 2.5, 10])('expected cost over OPT is e, a season of %d', (t) => {
    expect(Math.abs(mean((u) => paid(continuous, exponential(LEAST, u), t)) / t - Math.E)).toBeLessThan(0.002)
  })
  test('doubling costs at most 4 OPT, and nearly that for some season', () => {
    let worst = 0
    for (let t = 1; t < 1100; t += 0.013) worst = Math.max(worst, paid(continuous, doubling(1), t) / t)
    worst = Math.max(worst, paid(continuous, doubling(1), 1024 + 1e-9) / 1024)
    expect(worst).toBeLessThanOrEqual(4)
    expect(worst).toBeGreaterThan(3.9)
  })
  test.each([
    [0.2, 1.2],
    [0.5, 1.5523],
    [0.7, 1.9595],
    [0.9, 2.4518],
  ])('lambda %d: %d times OPT when the prediction is right, e^lambda/lambda whatever it is', (lambda, expected) => {
    const cost = (t: number) => mean((u) => paid(continuous, predicted(LEAST, 30, lambda, u), t)) / t
    expect(Math.abs(cost(30) - expected)).toBeLessThan(1e-3)
    expect(consistency(lambda)).toBeCloseTo(expected, 4)
    for (const t of [1, 5, 20, 29, 31, 50, 82, 200]) expect(cost(t)).toBeLessThanOrEqual(robustness(lambda) * 1.001)
  })
})

const menu = [
  { cost: 1, days: 1 },
  { cost: 3, days: 5 },
  { cost: 8, days: 20 },
  { cost: 20, days: Infinity },
]
const space = items(menu.map(({ cost, days }) => [cost, days < Infinity ? days : -1]))

/** Plays a season; what was bought on which day. */
function season(days: number, config: object, seed: number) {
  const session = new Session(method, space, config, seed)
  const bought: { day: number; options: number[] }[] = []
  for (let day = 1; session.done === undefined; day++) {
    if (session.query.purpose === 'buy') bought.push({ day, options: indices(session.query) })
    session.tell(Number(day < days))
  }
  expect(session.done).toBe('the season is over')
  expect(session.estimate.step).toBe(days)
  const cost = bought.flatMap(({ options }) => options).reduce((sum, i) => sum + menu[i].cost, 0)
  expect(session.metrics.cost).toBe(cost)
  return { bought, cost }
}

describe('[ski-rental] a discrete menu', () => {
  const opt = combinedMenu(menu, 1000)

  test.each([true, false])('expected cost is at most e OPT for seasons of 1 to 100 days (combined: %s)', (combine) => {
    const choice = combine ? opt : singleMenu(menu)
    for (let t = 1; t <= 100; t++)
      expect(mean((u) => paid(choice, exponential(choice.opt(1), u), t)) / choice.opt(t)).toBeLessThanOrEqual(Math.E)
  })

  test.each([
    {},
    { combine: false },
    { strategy: 'deterministic' },
    { prediction: 12, lambda: 0.3 },
    { coverage: 'purchase' },
  ])('every day of a session is covered, with %o', (config) => {
    for (let seed = 0; seed < 20; seed++)
      for (const days of [1, 2, 7, 33, 100]) {
        const { bought } = season(days, config, seed)
        for (let day = 1; day <= days; day++) {
          const covers = bought.some(({ day: from, options }) => {
            const length = options.reduce((sum, i) => sum + menu[i].days, 0)
            return from <= day && day <= ('coverage' in config ? from - 1 : 0) + length
          })
          expect(covers).toBe(true)
        }
      }
  })

  test('sessions cost what the analysis says, seed by seed', () => {
    let total = 0
    for (let seed = 0; seed < 200; seed++) {
      const { cost } = season(30, {}, seed)
      const { U: u } = (new Session(method, space, {}, seed).state as { own: { U: number } }).own
      expect(cost).toBe(paid(opt, exponential(1, u), 30))
      total += cost / 200
    }
    expect(total / opt.opt(30)).toBeLessThan(Math.E)
    expect(season(30, { strategy: 'deterministic' }, 0).cost).toBe(paid(opt, doubling(1), 30))
  })
})

test('ski-rental: the least cost is over combinations', () => {
  const brute = (t: number): number =>
    t <= 0 ? 0 : Math.min(...menu.map(({ cost, days }) => cost + (days === Infinity ? 0 : brute(t - days))))
  const opt = combinedMenu(menu, 100)
  for (const t of [1, 2, 3, 4, 6, 9, 11, 14]) expect(opt.opt(t)).toBe(brute(t))
  expect(opt.buy(0.5)).toBeUndefined()
  expect(opt.buy(4.9)).toEqual({ days: 6, cost: 4, options: [0, 1] })
  expect(opt.buy(25)).toEqual({ days: Infinity, cost: 20, options: [3] })
})

test('ski-rental: asks for the prediction first, and follows it', () => {
  const session = new Session(method, space, { prediction: 'ask', lambda: 0.1 })
  expect([session.query.purpose, session.query.wants]).toMatchObject(['predict', [{ quantities: [{ name: 'days' }] }]])
  session.tell(100)
  expect(session.metrics.guarantee).toBeCloseTo(Math.exp(0.1) / 0.1, 12)
  expect(session.metrics.consistency).toBeCloseTo(1.1, 12)
  for (let day = 1; day < 30; day++) session.tell(1)
  expect(indices(session.query)).toEqual([3])
  expect(session.query.purpose).toBe('wait')
})

test('ski-rental: an answer that makes no sense is asked for again, and a restart changes nothing', () => {
  const session = new Session(method, space, { prediction: 'ask' })
  session.tell(-1)
  expect(session.query.purpose).toBe('predict')
  session.tell(7)
  const day = session.query.sampleKey
  session.tell({ status: 'failed' })
  expect([session.query.purpose, session.query.sampleKey]).toEqual(['buy', day])
  session.restart()
  session.tell(1)
  expect(session.query.sampleKey).toBe('round-2')
})

test('ski-rental: says what is wrong with a menu', () => {
  expect(
    () =>
      new Session(
        method,
        items([
          [1, 1],
          [0, 5],
        ]),
      ),
  ).toThrow('space.items[1].features[0]: expected a cost above 0')
  expect(() => new Session(method, items([[1, 0.5]]))).toThrow('space.items[0].features[1]')
  expect(() => new Session(method, items([[1]]))).toThrow('space.items[0].features: expected [cost, days]')
  expect(() => new Session(method, items([[1, 1]]), { combine: false })).toThrow('config.combine')
  expect(() => new Session(method, items([[1, 1]]), { strategy: 'deterministic', prediction: 3 })).toThrow(
    'config.prediction',
  )
  const bounded = new Session(method, items([[1, 1]]), { horizon: 3 })
  for (let day = 1; day <= 3; day++) bounded.tell(1)
  expect(bounded.done).toBe('the horizon is reached')
})
