/** Options that cover a season, what they cost, and the budgets by which an unknown season is covered step by step. */

/** `days` is Infinity for an option that covers all. */
export type Option = { cost: number; days: number }
/** What a budget buys: how many days it covers, its real cost, and which options (by index). */
export type Purchase = { days: number; cost: number; options: readonly number[] }

export type Menu = {
  /** The least cost of covering the first t days; Infinity where nothing does. */
  opt(t: number): number
  /** What covers the most days for at most this budget; undefined below the cheapest option. */
  buy(budget: number): Purchase | undefined
}

/** One option at a time. */
export function singleMenu(options: readonly Option[]): Menu {
  return {
    opt: (t) => options.reduce((least, { cost, days }) => (days >= t ? Math.min(least, cost) : least), Infinity),
    buy(budget) {
      let best: Purchase | undefined
      options.forEach(({ cost, days }, i) => {
        if (cost > budget) return
        if (!best || days > best.days || (days === best.days && cost < best.cost)) best = { cost, days, options: [i] }
      })
      return best
    },
  }
}

/** Options one after the other, by dynamic programming over up to `horizon` days. */
export function combinedMenu(options: readonly Option[], horizon: number): Menu {
  const least = [0]
  const last = [-1]
  const extend = (t: number) => {
    for (let day = least.length; day <= t; day++) {
      least[day] = Infinity
      options.forEach(({ cost, days }, i) => {
        const total = cost + least[Math.max(0, day - days)]
        if (total < least[day]) {
          least[day] = total
          last[day] = i
        }
      })
    }
  }
  const chain = (t: number): number[] => {
    const chosen: number[] = []
    for (let day = t; day > 0; day -= options[last[day]].days) chosen.push(last[day])
    return chosen
  }
  return {
    opt(t) {
      const day = Math.ceil(t)
      extend(day)
      return least[day]
    },
    buy(budget) {
      const unlimited = singleMenu(options).buy(budget)
      if (unlimited?.days === Infinity) return unlimited
      let t = 0
      while (t < horizon) {
        extend(t + 1)
        if (least[t + 1] > budget) break
        t++
      }
      return t === 0 ? undefined : { days: t, cost: least[t], options: chain(t) }
    },
  }
}

/** A sequence of budgets, by a number k that rises; undefined where it is skipped. */
export type Budgets = { first: number; at(k: number): number | undefined }

/** Twice as much each time: 4-competitive. */
export const doubling = (cheapest: number): Budgets => ({ first: 0, at: (k) => cheapest * 2 ** k })

/** OPT(1) e^(k + U): e-competitive in expectation over U, uniform in [0, 1). */
export const exponential = (least: number, U: number): Budgets => ({ first: -1, at: (k) => least * Math.exp(k + U) })

/**
 * g_k = lambda o e^(k + U), o = OPT of the predicted length; at k = 0 at least o, and above only what is more than that.
 * Begins where g_k reaches `least`.
 */
export const predicted = (least: number, o: number, lambda: number, U: number): Budgets => {
  const g = (k: number) => lambda * o * Math.exp(k + U)
  return {
    first: Math.min(0, Math.floor(Math.log(least / (lambda * o)) - U)),
    at: (k) => (k === 0 ? Math.max(o, g(0)) : k > 0 && g(k) <= o ? undefined : g(k)),
  }
}

/** Cost over OPT when the prediction is right. */
export const consistency = (lambda: number): number =>
  lambda < 1 / Math.E ? 1 + lambda : (Math.E + 1) * lambda - Math.log(lambda) - 1

/** Cost over OPT whatever happens. */
export const robustness = (lambda: number): number => Math.exp(lambda) / lambda

/** The first purchase from budget k on that covers more than `covered` days, and the k to go on with. */
export function nextPurchase(
  menu: Menu,
  budgets: Budgets,
  k: number,
  covered: number,
): { k: number; bought: Purchase } {
  for (; ; k++) {
    const budget = budgets.at(k)
    const bought = budget === undefined ? undefined : menu.buy(budget)
    if (bought && bought.days > covered) return { k: k + 1, bought }
  }
}

/** What is paid for a season of length t that is covered from its start, purchase by purchase. */
export function paid(menu: Menu, budgets: Budgets, t: number): number {
  let [k, covered, cost] = [budgets.first, 0, 0]
  while (covered < t) {
    const next = nextPurchase(menu, budgets, k, covered)
    k = next.k
    covered = next.bought.days
    cost += next.bought.cost
  }
  return cost
}
